//! What an earlier process left at the end of a file: the last whole line, and what it could not finish.

use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;

use serde::Deserialize;

use crate::audit::cef::BEGIN;
use crate::audit::chain::Link;
use crate::audit::chain::hash;
use crate::audit::chain::read;
use crate::audit::line::SCHEMA;

/// How far back a whole line is looked for, in octets.
const FAR: u64 = 4 * 1024 * 1024;

/// The end of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tail {
    /// The last whole line, where it is part of a chain.
    pub(super) last: Option<Link>,
    /// What stands after the last whole line, without a line end at its end.
    pub(super) torn: Vec<u8>,
    /// The last octet ends no line.
    pub(super) needs_end: bool,
}

/// What matters of a line here.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "schema")]
    _schema: u32,
    seq: Option<u64>,
}

impl Tail {
    /// Read it.
    pub(super) fn read(file: &mut File) -> io::Result<Tail> {
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(size.saturating_sub(FAR)))?;
        let mut end = Vec::new();
        file.take(FAR).read_to_end(&mut end)?;
        Ok(Tail::of(&end))
    }

    fn of(end: &[u8]) -> Tail {
        let needs_end = end.last().is_some_and(|octet| *octet != b'\n');
        let text = end.strip_suffix(b"\n").unwrap_or(end);
        let mut until = text.len();
        while until > 0 {
            let before = text.get(..until).unwrap_or_default();
            let start = before.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
            let octets = before.get(start..).unwrap_or_default();
            // The beginning of an object is no object: what can be read is whole.
            let ended = until < text.len() || !needs_end;
            let cef = ended && octets.starts_with(BEGIN.as_bytes());
            if let Some(line) = read::<Line>(octets).or(cef.then_some(Line { _schema: SCHEMA, seq: None })) {
                let last = line.seq.map(|seq| Link { seq, digest: hash(octets) });
                let torn = text.get(until + 1..).unwrap_or_default().to_vec();
                return Tail { last, torn, needs_end };
            }
            until = start.saturating_sub(1);
        }
        Tail { last: None, torn: text.to_vec(), needs_end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_line_is_found_and_what_stands_after_it() {
        let (one, two) = (r#"{"schema":1,"seq":1,"x":1}"#, r#"{"schema":1,"seq":2,"x":1}"#);
        let half = two.split_at(9).0;
        let link = |seq, line: &str| Some(Link { seq, digest: hash(line.as_bytes()) });
        for (end, last, torn, needs_end) in [
            (String::new(), None, "", false),
            (format!("{one}\n"), link(1, one), "", false),
            (format!("{one}\n{two}\n"), link(2, two), "", false),
            (format!("{one}\n{two}"), link(2, two), "", true),
            (format!("{one}\n{}", half), link(1, one), half, true),
            (format!("{one}\n{}\n", half), link(1, one), half, false),
            (format!("{one}\n\0\0\n{}", half), link(1, one), "\0\0\n{\"schema\"", true),
            (half.to_owned(), None, half, true),
            ("{\"schema\":1,\"kind\":\"decision\"}\n".to_owned(), None, "", false),
        ] {
            let want = Tail { last, torn: torn.as_bytes().to_vec(), needs_end };
            assert_eq!(Tail::of(end.as_bytes()), want, "{end:?}");
        }
    }
}
