//! Lines from bodies: the schema and, where asked for, the chain.
//!
//! A chained line names its number (`seq`, from 1) and the SHA-256 of the octets of the line before it (`prev`, without
//! its line end; zeros for the first). So nothing can be changed, left out or put in without breaking the link that
//! follows it; and a signed line vouches for all that stand before it.

use std::io::Write;

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::audit::cef;
use crate::audit::form::Format;
use crate::audit::json::Members;
use crate::audit::line::SCHEMA;
use crate::audit::ocsf;
use crate::audit::ocsf::UNMAPPED;
use crate::audit::signer::Signer;

/// A checkpoint is signed when so many lines have none after them.
pub(super) const CHECKPOINT_LINES: u64 = 1000;
/// Or when the oldest of them is older than this, in seconds.
const CHECKPOINT_SECONDS: i64 = 60;

/// A SHA-256.
pub(super) type Digest = [u8; 32];

/// What a first line names as the one before it.
pub(super) const NOTHING: Digest = [0; 32];

/// What stands between a signed line and its signature.
pub(super) const SIGNATURE: &str = ",\"sig\":\"";

/// The last line of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) digest: Digest,
}

impl Link {
    /// Before the first line.
    pub(super) const START: Link = Link { seq: 0, digest: NOTHING };
}

/// Makes lines.
pub(super) struct Chain {
    format: Format,
    /// `None`: lines stand for themselves.
    last: Option<Link>,
    signer: Option<Signer>,
    unsigned: u64,
    unsigned_since: Option<Timestamp>,
}

impl Chain {
    /// Go on after a line.
    pub(super) fn after(last: Link, signer: Option<Signer>) -> Chain {
        Chain { format: Format::Json, last: Some(last), signer, unsigned: 0, unsigned_since: None }
    }

    /// Lines that are not linked.
    pub(super) fn unlinked() -> Chain {
        Chain { format: Format::Json, last: None, signer: None, unsigned: 0, unsigned_since: None }
    }

    /// The same of lines in this format. Lines that are no JSON are not linked.
    pub(super) fn in_format(self, format: Format) -> Chain {
        match format {
            Format::Json | Format::Ocsf => Chain { format, ..self },
            Format::Cef => Chain { format, ..Chain::unlinked() },
        }
    }

    /// Put a line with this body at the end of `out`.
    pub(super) fn line(&mut self, body: &str, now: Timestamp, out: &mut Vec<u8>) {
        let start = out.len();
        self.begin(body, out);
        self.end(start, out);
        self.unsigned += 1;
        self.unsigned_since.get_or_insert(now);
    }

    /// Put a line of ours there.
    pub(super) fn event(&mut self, kind: &str, now: Timestamp, fill: impl FnOnce(&mut Members<'_>), out: &mut Vec<u8>) {
        let mut body = self.body(kind, now, fill);
        body.push_str(self.closing());
        self.line(&body, now, out);
    }

    /// The same, signed where there is a key.
    pub(super) fn signed(
        &mut self,
        kind: &str,
        now: Timestamp,
        fill: impl FnOnce(&mut Members<'_>),
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let signer = self.signer.clone().filter(|_| self.last.is_some());
        let body = self.body(kind, now, |line| {
            fill(line);
            if let Some(signer) = &signer {
                line.text("kid", signer.kid());
            }
        });
        self.begin(&body, out);
        let signature = signer.and_then(|signer| signer.sign(out.get(start..)?));
        if let Some(signature) = signature {
            out.extend_from_slice(SIGNATURE.as_bytes());
            out.extend_from_slice(signature.as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(self.closing().as_bytes());
        self.end(start, out);
        (self.unsigned, self.unsigned_since) = (0, None);
    }

    /// The number of the last line, where lines have one.
    pub(super) fn seq(&self) -> Option<u64> {
        self.last.map(|last| last.seq)
    }

    /// Is it time for a checkpoint?
    pub(super) fn wants_checkpoint(&self, now: Timestamp) -> bool {
        let old = |since: Timestamp| now.duration_since(since).as_secs() >= CHECKPOINT_SECONDS;
        self.signer.is_some() && (self.unsigned >= CHECKPOINT_LINES || self.unsigned_since.is_some_and(old))
    }

    /// The beginning of a line, with the body it begins.
    fn begin(&self, body: &str, out: &mut Vec<u8>) {
        let ours = match self.format {
            Format::Json => {
                out.push(b'{');
                body
            }
            Format::Ocsf => {
                let (theirs, ours) = body.split_once(UNMAPPED).unwrap_or(("", body));
                out.push(b'{');
                out.extend_from_slice(theirs.as_bytes());
                out.extend_from_slice(UNMAPPED.as_bytes());
                ours
            }
            Format::Cef => return out.extend_from_slice(body.as_bytes()),
        };
        self.link(out);
        out.extend_from_slice(ours.as_bytes());
    }

    fn link(&self, out: &mut Vec<u8>) {
        // Writing to a vector cannot fail.
        let _ = write!(out, "\"schema\":{SCHEMA},");
        if let Some(Link { seq, digest }) = self.last {
            let _ = write!(out, "\"seq\":{},\"prev\":\"", seq + 1);
            out.extend(digits(&digest));
            out.extend_from_slice(b"\",");
        }
    }

    /// The body of a line of ours, without what closes it.
    fn body(&self, kind: &str, now: Timestamp, fill: impl FnOnce(&mut Members<'_>)) -> String {
        let mut body = String::with_capacity(256);
        if self.format == Format::Ocsf {
            ocsf::event(kind, now, &mut body);
        }
        let mut line = Members::new(&mut body);
        line.text("kind", kind);
        line.time("time", now);
        fill(&mut line);
        if self.format == Format::Cef { cef::event(kind, now, &body) } else { body }
    }

    fn closing(&self) -> &'static str {
        match self.format {
            Format::Json => "}",
            Format::Ocsf => "}}",
            Format::Cef => "",
        }
    }

    fn end(&mut self, start: usize, out: &mut Vec<u8>) {
        if let Some(last) = &mut self.last {
            *last = Link { seq: last.seq + 1, digest: hash(out.get(start..).unwrap_or_default()) };
        }
        out.push(b'\n');
    }
}

/// A line of the log as far as somebody looks at it: the object itself, or what is ours of an OCSF event.
pub(super) fn read<T: DeserializeOwned>(octets: &[u8]) -> Option<T> {
    #[derive(Deserialize)]
    struct Event<T> {
        unmapped: T,
    }
    let event = || serde_json::from_slice::<Event<T>>(octets).ok().map(|event| event.unmapped);
    serde_json::from_slice(octets).ok().or_else(event)
}

/// The SHA-256 of some octets.
pub(super) fn hash(octets: &[u8]) -> Digest {
    let mut hash = NOTHING;
    for (to, from) in hash.iter_mut().zip(digest(&SHA256, octets).as_ref()) {
        *to = *from;
    }
    hash
}

/// Lower-case hex.
pub(super) fn hex(digest: &Digest) -> String {
    digits(digest).into_iter().map(char::from).collect()
}

/// The same in octets, for what is written many thousand times a second.
fn digits(digest: &Digest) -> [u8; 64] {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    let mut digits = [0; 64];
    for (pair, octet) in digits.as_chunks_mut::<2>().0.iter_mut().zip(digest) {
        *pair = [digit(octet >> 4), digit(octet & 15)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::audit::signer::tests::pair;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    #[test]
    fn each_line_names_the_one_before() {
        let mut chain = Chain::after(Link::START, None);
        let mut out = Vec::new();
        chain.line(r#""kind":"decision"}"#, at(0), &mut out);
        chain.event("start", at(1), |line| line.number("n", 7), &mut out);
        let text = String::from_utf8(out).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        let (zeros, first) = (hex(&NOTHING), hex(&hash(lines[0].as_bytes())));
        assert_eq!(
            lines,
            [
                format!(r#"{{"schema":1,"seq":1,"prev":"{zeros}","kind":"decision"}}"#),
                format!(
                    r#"{{"schema":1,"seq":2,"prev":"{first}","kind":"start","time":"1970-01-01T00:00:01.000000Z","n":7}}"#
                ),
            ]
        );
        let mut out = Vec::new();
        Chain::unlinked().line(r#""kind":"decision"}"#, at(0), &mut out);
        assert_eq!(out, b"{\"schema\":1,\"kind\":\"decision\"}\n");
    }

    #[test]
    fn hex_is_what_sha256sum_prints() {
        let want = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&hash(b"abc")), want);
    }

    #[test]
    fn a_checkpoint_signs_its_own_line_up_to_the_signature() {
        let (signer, verifying) = pair();
        let mut chain = Chain::after(Link::START, Some(signer));
        let mut out = Vec::new();
        assert!(!chain.wants_checkpoint(at(1000)), "nothing to sign");
        chain.line(r#""kind":"decision"}"#, at(0), &mut out);
        assert!(!chain.wants_checkpoint(at(59)));
        assert!(chain.wants_checkpoint(at(60)));
        out.clear();
        chain.signed("checkpoint", at(60), |_| {}, &mut out);
        assert!(!chain.wants_checkpoint(at(600)));
        let text = String::from_utf8(out).expect("text");
        let line: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&line["seq"], line["kid"].as_str()), (&Value::from(2), Some(verifying.kid())));
        let (signed, _) = text.split_once(SIGNATURE).expect("a signature");
        assert!(verifying.verifies(signed.as_bytes(), line["sig"].as_str().expect("a signature")));
        (0..CHECKPOINT_LINES).for_each(|_| chain.line(r#""kind":"decision"}"#, at(60), &mut Vec::new()));
        assert!(chain.wants_checkpoint(at(60)));
    }
}
