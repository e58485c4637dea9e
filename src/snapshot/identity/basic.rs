//! Sources of users with passwords: the settings, and the users of their file.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::authn::basic::BasicSettings;
use crate::authn::basic::BasicSource;
use crate::authn::basic::DEFAULT_CACHE;
use crate::authn::basic::PasswordHash;
use crate::authn::basic::User;
use crate::config::at::At;
use crate::config::htpasswd;
use crate::config::load::Surroundings;
use crate::config::read;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::identity::api_key::texts;

/// Build a source from its table and its file.
pub(super) fn source(
    name: &Arc<str>,
    written: &At<tree::Basic>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<BasicSource> {
    let cache = cache(written, problems);
    let users = match (&written.users, &written.htpasswd) {
        (Some(file), None) => {
            if let Some(groups) = &written.groups {
                let message = "`groups` is for an `htpasswd` file";
                let help = "write the groups of each user into the file of users";
                problems.push(Problem::error(groups.place.clone(), "", message).help(help));
            }
            from_yaml(file, surroundings, problems)?
        }
        (None, Some(file)) => from_htpasswd(file, written, surroundings, problems)?,
        (Some(_), Some(_)) | (None, None) => {
            let message = "people with passwords stand in one file";
            let help = "write either `users: users.yaml` or `htpasswd: users.htpasswd`";
            problems.push(Problem::error(written.place.clone(), "", message).help(help));
            return None;
        }
    };
    // Half of the processors: a storm of logins leaves the rest to those who are in.
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let at_once = (processors / 2).max(1);
    let built = BasicSource::build(BasicSettings { source: name.clone(), users, cache, at_once });
    built.map_err(|error| problems.push(Problem::error(written.place.clone(), "", error.to_string()))).ok()
}

/// `30s`, `5m` or `1h`.
fn cache(written: &tree::Basic, problems: &mut Problems) -> SignedDuration {
    let Some(text) = &written.cache else { return DEFAULT_CACHE };
    let seconds = [("s", 1), ("m", 60), ("h", 3600)].into_iter().find_map(|(unit, seconds)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(seconds).filter(|seconds| (1..=3600).contains(seconds))
    });
    match seconds {
        Some(seconds) => SignedDuration::from_secs(seconds),
        None => {
            let message = format!("`{}` is not a time to remember passwords", text.value);
            problems.push(Problem::error(text.place.clone(), "", message).help("write `1s` to `1h`"));
            DEFAULT_CACHE
        }
    }
}

fn text(file: &At<String>, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Option<(String, String)> {
    let text = surroundings.text(file).map_err(|problem| problems.push(problem)).ok()?;
    problems.0.extend(surroundings.open_to_others(file));
    Some(text)
}

fn from_yaml(file: &At<String>, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Option<Vec<User>> {
    let (name, text) = text(file, surroundings, problems)?;
    let document = match read::document::<tree::UserFile>(&name, &text) {
        Ok(document) => document,
        Err(found) => {
            problems.0.extend(found.0);
            return None;
        }
    };
    if !document.ended {
        let message = format!("the end marker `...` is missing in `{name}`");
        let help = "write `...` as its last line, and a half-written file will be noticed";
        problems.push(Problem::warning(file.place.clone(), "", message).help(help));
    }
    let Some(users) = document.value else {
        let message = format!("there are no users in `{name}`");
        problems.push(Problem::error(file.place.clone(), "", message).help("begin with `users:`"));
        return None;
    };
    let users: Vec<Option<User>> = users
        .users
        .iter()
        .map(|(name, entry)| {
            let user = user(name, &entry.password, texts(entry.groups.as_ref()), problems)?;
            let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
            Some(User { email: text(&entry.email), display_name: text(&entry.name), ..user })
        })
        .collect();
    users.into_iter().collect()
}

fn from_htpasswd(
    file: &At<String>,
    written: &tree::Basic,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Vec<User>> {
    let (name, text) = text(file, surroundings, problems)?;
    let lines = match htpasswd::parse(&name, &text) {
        Ok(lines) => lines,
        Err(found) => {
            problems.0.extend(found.0);
            return None;
        }
    };
    let known: HashSet<&str> = lines.iter().map(|(name, _)| name.as_str()).collect();
    let groups = || written.groups.iter().flat_map(|groups| groups.iter());
    for member in groups().flat_map(|(_, members)| members.iter()) {
        if !known.contains(member.as_str()) {
            let message = format!("there is no user `{}` in `{name}`", member.value);
            problems.push(Problem::error(member.place.clone(), "", message));
        }
    }
    let of = |user: &str| {
        let held = groups().filter(|(_, members)| members.iter().any(|member| member.value == user));
        held.map(|(group, _)| group.value.clone()).collect::<Vec<_>>()
    };
    let users: Vec<Option<User>> = lines.iter().map(|(name, hash)| user(name, hash, of(name), problems)).collect();
    users.into_iter().collect()
}

fn user(name: &At<String>, hash: &At<String>, groups: Vec<String>, problems: &mut Problems) -> Option<User> {
    let sound = !name.is_empty() && name.trim() == name.value && !name.contains(|c: char| c == ':' || c.is_control());
    if !sound {
        let message = "this is no name of a user";
        let help = "a name is not empty, and holds no `:` and no control characters";
        problems.push(Problem::error(name.place.clone(), "", message).help(help));
    }
    match PasswordHash::parse(hash) {
        Ok(password) if sound => {
            Some(User { name: name.value.clone(), password, groups, email: None, display_name: None })
        }
        Ok(_) => None,
        Err(error) => {
            let message = format!("user `{}`: {error}", name.value);
            let help = "`postern key hash-password` makes hashes, and so does `htpasswd -B -C 12`";
            problems.push(Problem::error(hash.place.clone(), "", message).help(help));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::load::Pretend;
    use crate::config::load::load;
    use crate::snapshot::build;
    use crate::snapshot::judge;

    const HASH: &str = "$2b$10$M9Rs2SVRZX8HraWyyvHI1upFOzHNFtOaDxElQ2EwvebOsIk/GgPHO";

    /// What is said about a policy with these settings and this file.
    fn problems(settings: &str, file: &str) -> Vec<String> {
        let policy = format!(
            "version: 1\nidentity: {{staff: {{basic: {{{settings}}}}}}}\n\
             hosts: {{h.test: {{routes: [{{path: /**, require: {{authenticated: true}}}}]}}}}\n...\n"
        );
        let world = Pretend::new().file("p.yaml", policy).file("users", file);
        let problems = match load(Path::new("p.yaml"), &world) {
            Err(refused) => judge(refused, &world).into_problems(),
            Ok(loaded) => build(&loaded, &world).map_or_else(|problems| problems, |(_, warnings)| warnings),
        };
        problems.to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn both_kinds_of_files_are_read() {
        let yaml = format!(
            "users:\n  alice: {{password: '{HASH}', groups: [staff], email: a@corp.test, name: Alice}}\n  bob: {{password: '{HASH}'}}\n...\n"
        );
        let lines = format!("# ours\nalice:{HASH}\nbob:{HASH}\n");
        for (settings, file) in [
            ("users: users", yaml.as_str()),
            ("users: users, cache: 30s", &yaml),
            ("htpasswd: users", &lines),
            ("htpasswd: users, cache: 1h, groups: {staff: [alice, bob], admins: alice}", &lines),
        ] {
            assert_eq!(problems(settings, file), Vec::<String>::new(), "{settings}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_where_it_stands() {
        let line = format!("alice:{HASH}\n");
        let yaml = |text: &str| format!("users: {{{text}}}\n...\n");
        for (settings, file, want) in [
            (
                "htpasswd: users",
                "alice:$apr1$x$y\n".to_owned(),
                "users:1:7: user `alice`: MD5 hashes are guessed too fast (`postern key hash-password` makes hashes, and so does `htpasswd -B -C 12`)",
            ),
            (
                "htpasswd: users",
                "alice:hunter2\n".to_owned(),
                "users:1:7: user `alice`: this is neither an argon2id nor a bcrypt hash",
            ),
            (
                "htpasswd: users",
                line.replace("$10$", "$05$"),
                "users:1:7: user `alice`: the cost of this bcrypt hash is 5, not 10 to 14",
            ),
            ("htpasswd: users", line.repeat(2), "users:2:1: the user `alice` stands in line 1 already"),
            ("htpasswd: users", String::new(), "there are no users"),
            (
                "htpasswd: users, groups: {staff: [alice, carol]}",
                line.clone(),
                "p.yaml:2:69: there is no user `carol` in `users`",
            ),
            (
                "users: users",
                yaml("alice: {password: x}"),
                "users:1:27: user `alice`: this is neither an argon2id nor a bcrypt hash",
            ),
            (
                "users: users",
                yaml(&format!("' alice': {{password: '{HASH}'}}")),
                "users:1:9: this is no name of a user",
            ),
            ("users: users", yaml("alice: {passwort: x}"), "unknown key `passwort`"),
            ("users: users", "users: {alice: {password: x}, alice: {password: x}}\n".to_owned(), "alice"),
            ("users: users", "...\n".to_owned(), "there are no users in `users` (begin with `users:`)"),
            ("users: users, groups: {a: alice}", yaml("alice: {password: x}"), "`groups` is for an `htpasswd` file"),
            ("users: users, htpasswd: users", line.clone(), "people with passwords stand in one file"),
            ("cache: 5m", line.clone(), "people with passwords stand in one file"),
            ("htpasswd: none", line.clone(), "the file `none` does not exist"),
            (
                "htpasswd: users, cache: 1d",
                line.clone(),
                "`1d` is not a time to remember passwords (write `1s` to `1h`)",
            ),
            ("htpasswd: users, cache: 0s", line, "`0s` is not a time to remember passwords"),
        ] {
            let said = problems(settings, &file);
            assert!(said.iter().any(|message| message.contains(want)), "{want}\n{said:#?}");
            assert!(!said.iter().any(|message| message.contains("hunter2")), "{said:#?}");
        }
    }
}
