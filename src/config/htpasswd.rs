//! Lines of `user:hash`, as Apache's `htpasswd` writes them.

use std::sync::Arc;

use crate::config::at::At;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// Users and their hashes.
pub type Lines = Vec<(At<String>, At<String>)>;

/// The users of a file and their hashes, in order. Empty lines and lines that begin with `#` are passed over.
pub fn parse(name: &str, text: &str) -> Result<Lines, Problems> {
    let file: Arc<str> = name.into();
    let mut users = Lines::new();
    let mut problems = Problems::default();
    let mut start = 0;
    for (index, line) in text.split('\n').enumerate() {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let at = |from: usize, value: &str| At {
            value: value.to_owned(),
            place: Place {
                file: Arc::clone(&file),
                line: number(index + 1),
                column: number(from + 1),
                span: (number(start + from), number(start + from + value.len())),
            },
        };
        let written = line.strip_suffix('\r').unwrap_or(line);
        if !written.is_empty() && !written.starts_with('#') {
            match written.split_once(':') {
                Some((user, hash)) => {
                    let user = at(0, user);
                    if let Some((first, _)) = users.iter().find(|(first, _)| first.value == user.value) {
                        let message = format!("the user `{}` stands in line {} already", user.value, first.place.line);
                        problems.push(Problem::error(user.place.clone(), "", message));
                    }
                    users.push((user.clone(), at(user.value.len() + 1, hash)));
                }
                None => {
                    let message = "this line is not `user:hash`";
                    let help = "`htpasswd -B -C 12` writes such lines";
                    problems.push(Problem::error(at(0, "").place, "", message).help(help));
                }
            }
        }
        start += line.len() + 1;
    }
    if problems.has_errors() { Err(problems) } else { Ok(users) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_users_and_hashes() {
        let users = parse("u", "# ours\nalice:$2y$12$a\r\n\nbob:x:y\n").expect("users");
        let users: Vec<_> = users.iter().map(|(user, hash)| (user.as_str(), hash.as_str())).collect();
        assert_eq!(users, [("alice", "$2y$12$a"), ("bob", "x:y")]);
        assert_eq!(parse("u", "").map(|users| users.len()), Ok(0));
        let problems = parse("u", "alice:x\nsecret\nalice:y\n").expect_err("odd lines").to_string();
        assert_eq!(
            problems,
            "u:2:1: this line is not `user:hash` (`htpasswd -B -C 12` writes such lines)\n\
             u:3:1: the user `alice` stands in line 1 already"
        );
    }
}
