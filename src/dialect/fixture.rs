//! Reads the recorded checks of `tests/wire` for the tests of this room.

use std::fmt::Write;

use http::request::Parts;

use crate::model::header::Headers;
use crate::model::request::{Attributes, Refusal, Scheme};

/// One recorded check: its name, what must come out, and its request lines.
pub(super) struct Recorded {
    pub(super) name: String,
    pub(super) want: String,
    lines: Vec<Vec<u8>>,
}

/// Every block of `tests/wire/NAME.txt`.
pub(super) fn recorded(name: &str) -> Vec<Recorded> {
    let text = String::from_utf8(file(&format!("{name}.txt"))).expect("fixtures are text");
    text.split("=== ").filter(|block| !block.is_empty()).map(block).collect()
}

/// The octets of `tests/wire/PATH`.
#[expect(clippy::disallowed_methods, reason = "tests read their fixtures")]
pub(super) fn file(path: &str) -> Vec<u8> {
    let path = format!("{}/tests/wire/{path}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What a decoder made of a check, in the words of the fixtures.
pub(super) fn shown(result: &Result<Attributes<'_>, Refusal>) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| writeln!(text, "{key}: {value}").expect("a string takes it");
    match result {
        Err(refusal) => line("refused", refusal.reason.code()),
        Ok(attributes) => {
            line("method", attributes.method);
            line("host", attributes.host);
            line("target", &escape(attributes.target.as_bytes()));
            match attributes.scheme {
                Some(Scheme::Http) => line("scheme", "http"),
                Some(Scheme::Https) => line("scheme", "https"),
                None => {}
            }
            if let Some(peer) = attributes.address.peer {
                line("peer", peer);
            }
            if !attributes.address.forwarded_for.is_empty() {
                line("chain", &attributes.address.forwarded_for.join(" "));
            }
            for (name, value) in credentials(&attributes.headers) {
                line(&name, &value);
            }
            if attributes.ignored_forwarding > 0 {
                line("ignored", &attributes.ignored_forwarding.to_string());
            }
        }
    }
    text
}

impl Recorded {
    /// The head of the HTTP request.
    pub(super) fn parts(&self) -> Parts {
        let (first, fields) = self.lines.split_first().expect("a request line");
        let first = std::str::from_utf8(first).expect("a request line is text");
        let mut words = first.split(' ');
        let (method, target) = (words.next().expect("method"), words.next().expect("target"));
        let mut request = http::Request::builder().method(method).uri(target);
        for field in fields {
            let colon = field.iter().position(|octet| *octet == b':').expect("a colon");
            request = request.header(&field[..colon], field[colon + 1..].trim_ascii());
        }
        request.body(()).unwrap_or_else(|error| panic!("{}: {error}", self.name)).into_parts().0
    }
}

fn block(text: &str) -> Recorded {
    let mut lines = text.lines();
    let name = lines.next().expect("a name").to_owned();
    let client = lines.next().expect("what the client sent");
    assert!(client.starts_with("client: "), "{name}");
    let (want, check): (Vec<_>, Vec<_>) =
        lines.filter(|line| !line.is_empty()).partition(|line| line.starts_with("> "));
    Recorded {
        name,
        want: want.iter().filter_map(|line| line.strip_prefix("> ")).map(|line| format!("{line}\n")).collect(),
        lines: check.iter().map(|line| unescape(line)).collect(),
    }
}

fn credentials(headers: &Headers<'_>) -> Vec<(String, String)> {
    let mut found: Vec<_> = headers
        .iter()
        .filter(|(name, _)| [&b"authorization"[..], b"cookie"].contains(name))
        .map(|(name, value)| (escape(name), escape(value)))
        .collect();
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found
}

fn escape(octets: &[u8]) -> String {
    octets
        .iter()
        .map(|octet| match octet {
            b'\\' => "\\x5c".to_owned(),
            0x20..=0x7E => char::from(*octet).to_string(),
            _ => format!("\\x{octet:02x}"),
        })
        .collect()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut pieces = text.split("\\x");
    let mut octets = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).expect("two hex digits");
        octets.push(u8::from_str_radix(digits, 16).expect("two hex digits"));
        octets.extend_from_slice(rest.as_bytes());
    }
    octets
}
