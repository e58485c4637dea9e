//! Judging a log: is the chain whole, and who vouches for it?

use std::fmt;

use aws_lc_rs::digest::Context;
use aws_lc_rs::digest::SHA256;
use serde::Deserialize;

use crate::audit::cef::BEGIN;
use crate::audit::chain::CHECKPOINT_LINES;
use crate::audit::chain::Link;
use crate::audit::chain::NOTHING;
use crate::audit::chain::SIGNATURE;
use crate::audit::chain::hash;
use crate::audit::chain::hex;
use crate::audit::chain::read;
use crate::audit::line::SCHEMA;
use crate::audit::signer::Verifying;

/// More findings are only counted.
const MOST_FINDINGS: usize = 1000;

/// More lines than a writer leaves unsigned: those until a checkpoint is due, and a few of its own.
const MOST_UNSIGNED: u64 = CHECKPOINT_LINES + 10;

/// A place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spot {
    pub file: String,
    /// From 1.
    pub line: u64,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub spot: Spot,
    /// `changed`, `gap`, `order`, `anew`, `malformed`, `cut`, `unlinked`, `signature` or `unsigned`.
    pub kind: &'static str,
    pub message: String,
}

/// What became of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that are part of the chain.
    pub lines: u64,
    /// The numbers of the first and the last of them.
    pub seqs: Option<(u64, u64)>,
    /// The SHA-256 of the last line in hex: who keeps it elsewhere notices when lines are cut off.
    pub head: Option<String>,
    /// The number of the last line with a good signature.
    pub signed: Option<u64>,
    /// Lines that a killed process left unfinished and the next one marked.
    pub torn: u64,
    /// Answers without a line, as the log itself says.
    pub dropped: u64,
    /// The log ends with an orderly end of the process.
    pub stopped: bool,
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more_findings: u64,
}

/// What matters of a line here.
#[derive(Deserialize)]
struct Line {
    schema: u32,
    seq: Option<u64>,
    prev: Option<String>,
    #[serde(default)]
    kind: String,
    kid: Option<String>,
    sig: Option<String>,
    octets: Option<u64>,
    sha256: Option<String>,
    lines: Option<u64>,
}

/// Octets that are no line, until it is known whether they were marked.
struct Junk {
    spot: Spot,
    octets: u64,
    hash: Context,
    cut: bool,
}

/// Takes the lines of a log in their order.
pub struct Verifier<'k> {
    key: Option<&'k Verifying>,
    last: Option<(Link, Spot)>,
    junk: Option<Junk>,
    /// Chained lines since the last good signature.
    unsigned: u64,
    report: Report,
}

impl<'k> Verifier<'k> {
    /// With a key, signatures are verified and must be there.
    pub fn new(key: Option<&'k Verifying>) -> Verifier<'k> {
        Verifier { key, last: None, junk: None, unsigned: 0, report: Report::default() }
    }

    /// The next line, without its line end; `ended` unless it had none.
    pub fn line(&mut self, file: &str, number: u64, octets: &[u8], ended: bool) {
        let spot = Spot { file: file.to_owned(), line: number };
        match read::<Line>(octets) {
            Some(line) => self.whole(&line, octets, spot),
            None if octets.starts_with(BEGIN.as_bytes()) => {
                self.find(spot, "unlinked", "lines in CEF are not part of a chain".to_owned());
            }
            None => self.junk(octets, spot, ended),
        }
    }

    /// That was all.
    pub fn finish(mut self) -> Report {
        self.unmarked();
        let spot = self.last.as_ref().map(|(_, spot)| spot.clone()).unwrap_or_default();
        match (self.key, self.report.signed) {
            (Some(key), None) => {
                self.find(spot, "unsigned", format!("no line is signed by the key {}", key.kid()));
            }
            // A signature vouches for all that stand before it; what matters is what comes after the last one.
            (Some(_), Some(signed)) if self.unsigned > MOST_UNSIGNED => {
                let message = format!("{} lines after line {signed} of the chain are not signed", self.unsigned);
                self.find(spot, "unsigned", message);
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
        self.report
    }

    fn whole(&mut self, line: &Line, octets: &[u8], spot: Spot) {
        self.marked(line);
        if line.schema != SCHEMA {
            self.find(spot.clone(), "malformed", format!("schema {} is not known here", line.schema));
        }
        let (Some(seq), Some(prev)) = (line.seq, &line.prev) else {
            self.find(spot, "unlinked", "the line is not part of the chain".to_owned());
            return;
        };
        self.follow(seq, prev, &spot);
        let link = Link { seq, digest: hash(octets) };
        self.unsigned += 1;
        if let (Some(signature), Some(key)) = (&line.sig, self.key) {
            self.signature(line, signature, key, octets, &spot);
        }
        let report = &mut self.report;
        report.lines += 1;
        report.seqs = Some((report.seqs.map_or(seq, |(first, _)| first), seq));
        report.head = Some(hex(&link.digest));
        report.stopped = line.kind == "stop";
        if line.kind == "dropped" {
            report.dropped += line.lines.unwrap_or_default();
        }
        self.last = Some((link, spot));
    }

    /// Does it follow the line before?
    fn follow(&mut self, seq: u64, prev: &str, spot: &Spot) {
        let first = seq == 1 && prev == hex(&NOTHING);
        let Some((last, before)) = self.last.clone() else {
            if seq == 1 && !first {
                self.find(spot.clone(), "changed", "the first line names one before it".to_owned());
            }
            return;
        };
        let expected = last.seq.saturating_add(1);
        if seq == expected {
            if prev != hex(&last.digest) {
                let message = format!("the line is not the one that {spot} follows: one of the two was changed");
                self.find(before, "changed", message);
            }
        } else if first {
            self.find(spot.clone(), "anew", format!("a chain begins anew; {} lines stand before it", last.seq));
        } else if seq > expected {
            let missing = seq - expected;
            self.find(
                spot.clone(),
                "gap",
                format!("{missing} lines are missing before it (seq {expected} to {})", seq - 1),
            );
        } else {
            let message =
                format!("line {seq} of the chain stands after line {}; give the files in their order", last.seq);
            self.find(spot.clone(), "order", message);
        }
    }

    fn signature(&mut self, line: &Line, signature: &str, key: &Verifying, octets: &[u8], spot: &Spot) {
        if line.kid.as_deref() != Some(key.kid()) {
            let kid = line.kid.as_deref().unwrap_or("none").escape_debug().to_string();
            self.find(spot.clone(), "signature", format!("signed by the key {kid}, not by {}", key.kid()));
            return;
        }
        // What is signed stands before the signature, which is the last member and holds no such text.
        let at = octets.windows(SIGNATURE.len()).rposition(|window| window == SIGNATURE.as_bytes());
        let signed = at.and_then(|at| octets.get(..at)).unwrap_or_default();
        let ends = at.and_then(|at| octets.get(at + SIGNATURE.len()..));
        if ends.is_some_and(|ends| is_end(ends, signature)) && key.verifies(signed, signature) {
            self.report.signed = line.seq;
            self.unsigned = 0;
        } else {
            self.find(spot.clone(), "signature", "the signature is not good".to_owned());
        }
    }

    fn junk(&mut self, octets: &[u8], spot: Spot, ended: bool) {
        let junk = match &mut self.junk {
            Some(junk) => {
                junk.hash.update(b"\n");
                junk.octets += 1;
                junk
            }
            None => self.junk.insert(Junk { spot, octets: 0, hash: Context::new(&SHA256), cut: false }),
        };
        junk.hash.update(octets);
        junk.octets += octets.len() as u64;
        junk.cut = !ended;
    }

    /// What came before this line is fine if the line says that it is there.
    fn marked(&mut self, line: &Line) {
        let Some(junk) = self.junk.take_if(|junk| line.kind == "torn" && line.octets == Some(junk.octets)) else {
            return self.unmarked();
        };
        let mut digest = NOTHING;
        digest.copy_from_slice(junk.hash.clone().finish().as_ref());
        if line.sha256.as_deref() == Some(&hex(&digest)) {
            self.report.torn += 1;
        } else {
            self.junk = Some(junk);
            self.unmarked();
        }
    }

    fn unmarked(&mut self) {
        let Some(junk) = self.junk.take() else { return };
        let (kind, message) = match junk.cut {
            true => ("cut", "the file ends within a line"),
            false => ("malformed", "this is no line of the log"),
        };
        self.find(junk.spot, kind, message.to_owned());
    }

    fn find(&mut self, spot: Spot, kind: &'static str, message: String) {
        match self.report.findings.len() < MOST_FINDINGS {
            true => self.report.findings.push(Finding { spot, kind, message }),
            false => self.report.more_findings += 1,
        }
    }
}

/// Is this what follows a signature's beginning: the signature, and the end of one object or of two?
fn is_end(octets: &[u8], signature: &str) -> bool {
    let rest = octets.strip_prefix(signature.as_bytes());
    matches!(rest, Some(b"\"}" | b"\"}}"))
}

#[cfg(test)]
mod tests;
