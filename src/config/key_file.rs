//! The file of API keys: a YAML list, a mapping for every key. Read here for the policy and for `postern key`.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::config::at::At;
use crate::config::nearest;
use crate::config::read;
use crate::config::tree::KeyLine;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// Read the text of a key file, called `name` where something is wrong with it. Without an end marker the file may be
/// half written: that is a warning beside its keys.
pub fn parse(name: &str, text: &str) -> Result<(Vec<At<KeyLine>>, Problems), Problems> {
    let document = read::document::<Vec<At<KeyLine>>>(name, text)?;
    let problems = Problems(document.unended(name).into_iter().collect());
    let lines = document.value.unwrap_or_default();
    let mut found = Problems::default();
    for (index, line) in lines.iter().enumerate() {
        if let Some(first) = lines.iter().take(index).find(|first| first.id.value == line.id.value) {
            let message = format!("the key `{}` stands in line {} already", line.id.value, first.id.place.line);
            let help = "give the new one an id of its own; two keys may have the same owner";
            found.push(Problem::error(line.id.place.clone(), "", message).help(help));
        }
        for moment in [&line.expires, &line.created].into_iter().flatten() {
            if parse_moment(moment).is_none() {
                let message = format!("`{}` is not a time", moment.value);
                let help = "write `2027-01-31`, or `2027-01-31T12:00:00Z`";
                found.push(Problem::error(moment.place.clone(), "", message).help(help));
            }
        }
    }
    if found.has_errors() { Err(found) } else { Ok((lines, problems)) }
}

/// A moment as a key file has it: `2027-01-31T12:00:00Z`, or `2027-01-31` for the beginning of that day in UTC.
pub fn parse_moment(text: &str) -> Option<Timestamp> {
    if let Ok(date) = text.parse::<Date>()
        && text.len() == "2027-01-31".len()
    {
        return date.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    }
    text.parse::<Timestamp>().ok()
}

/// A dangling id, with the nearest one that exists.
pub fn unknown_id(id: &str, lines: &[At<KeyLine>]) -> String {
    let known: Vec<&str> = lines.iter().map(|line| line.id.as_str()).collect();
    let help = if known.is_empty() { "the file holds no key".to_owned() } else { nearest::help(id, &known) };
    format!("there is no key `{id}` ({help})")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        match parse("keys.yaml", text) {
            Ok((_, problems)) | Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
        }
    }

    #[test]
    fn a_file_is_a_list_or_empty() {
        let (lines, problems) =
            parse("k", "# mine\n- {id: ci, hash: x, owner: deploy, groups: ci}\n- id: b\n  hash: y\n  owner: o\n...\n")
                .expect("keys");
        assert_eq!((lines.len(), problems), (2, Problems::default()));
        for text in ["", "# nothing yet\n", "...\n", "# nothing yet\n...\n"] {
            let (lines, problems) = parse("k", text).unwrap_or_else(|problems| panic!("{text:?}: {problems}"));
            assert_eq!((lines.len(), problems), (0, Problems::default()), "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_file_and_line() {
        for (text, want) in [
            (
                "- {id: a, hash: x, owner: o}\n- {id: a, hash: x, owner: p}\n...\n",
                "keys.yaml:2:8: the key `a` stands in line 1 already (give the new one an id of its own; two keys may have the same owner)",
            ),
            (
                "- {id: a, hash: x, owner: o, expires: tomorrow}\n...\n",
                "keys.yaml:1:39: `tomorrow` is not a time (write `2027-01-31`, or `2027-01-31T12:00:00Z`)",
            ),
            (
                "- {id: a, hash: x, owner: o}\n",
                "keys.yaml:1:1: the end marker `...` is missing (write `...` as its last line, and a half-written file will be noticed)",
            ),
        ] {
            assert_eq!(messages(text), [want], "{text}");
        }
        for (text, part) in [
            ("- {id: a, hash: x, owner: o, group: g}\n...\n", "unknown key `group`"),
            ("- {id: a, hash: x}\n...\n", "the key `owner` is missing"),
            ("- {id: a, id: b, hash: x, owner: o}\n...\n", "`id`"),
            ("{id: a}\n...\n", "expected a list"),
            ("- a\n...\n", "expected a mapping"),
            ("- {id: a, hash: x, owner: o, networks: []}\n...\n", "empty"),
            ("- {id: a\n", ""),
        ] {
            let said = messages(text);
            assert!(said.iter().any(|message| message.contains(part)), "{text}: {said:?}");
            assert!(parse("keys.yaml", text).is_err(), "{text}");
        }
    }

    #[test]
    fn moments_are_days_or_exact() {
        for (text, want) in [
            ("2027-01-31", Some("2027-01-31T00:00:00Z")),
            ("2027-01-31T12:00:00Z", Some("2027-01-31T12:00:00Z")),
            ("2027-01-31T12:00:00+02:00", Some("2027-01-31T10:00:00Z")),
            ("2027-01-31T12:00:00", None),
            ("2027-02-30", None),
            ("90d", None),
            ("", None),
        ] {
            assert_eq!(parse_moment(text).map(|moment| moment.to_string()).as_deref(), want, "{text}");
        }
    }
}
