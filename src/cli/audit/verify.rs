//! `postern audit verify`: is the log as it was written?

use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;

use crate::audit::signer::Verifying;
use crate::audit::verify::Report;
use crate::audit::verify::Verifier;
use crate::cli::FAILED;
use crate::cli::print;

/// The longest line, in octets; ours are far shorter.
const LONGEST: u64 = 4 * 1024 * 1024;
/// The longest file of a key.
const LONGEST_KEY: u64 = 64 * 1024;
/// Somebody at a terminal is told after so many lines how far it is.
const TELL_EVERY: u64 = 100_000;

/// Say whether an audit log is whole, and where it is not
///
/// Each line holds the SHA-256 of the one before it, so a line that was changed, taken out or put in shows at its place.
/// What only signatures show is a log that was written anew from some line on. With --key, they must be there and be good.
/// Lines that were cut off at the end show by `head` alone, the hash of the last line, if you keep it elsewhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 the log is whole, 1 it is not or cannot be read, 2 wrong arguments.

Example:
  postern audit verify --key audit.pub.pem /var/log/postern/audit*.jsonl")]
pub(super) struct Verify {
    /// The public key of `audit.signing_key_file`, as `openssl pkey -pubout` writes it
    #[arg(long, value_name = "PATH")]
    key: Option<PathBuf>,
    /// Print JSON: the report
    #[arg(long)]
    json: bool,
    /// The files, oldest first; the shell puts `audit*.jsonl` into that order
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Verify {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let mut verifier = Verifier::new(key.as_ref());
        let mut progress = Progress::default();
        for path in &self.files {
            read_lines(path, &mut verifier, &mut progress)
                .with_context(|| format!("cannot read `{}`", path.display()))?;
        }
        progress.end();
        let report = verifier.finish();
        let whole = report.findings.is_empty() && report.lines > 0;
        print::out(&match self.json {
            true => format!("{:#}\n", as_json(&report, whole)),
            false => as_text(&report, whole, self.files.len()),
        });
        Ok(if whole { 0 } else { FAILED })
    }
}

fn read_key(path: &Path) -> anyhow::Result<Verifying> {
    let mut pem = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_KEY).read_to_end(&mut pem));
    read.with_context(|| format!("cannot read `{}`", path.display()))?;
    let help = "openssl pkey -in KEY -pubout";
    Verifying::read(&pem).with_context(|| {
        format!("`{}` is no public key on the curve P-256 in PEM; make it with `{help}`", path.display())
    })
}

/// One line at a time, however many there are.
fn read_lines(path: &Path, verifier: &mut Verifier<'_>, progress: &mut Progress) -> std::io::Result<()> {
    let name = path.display().to_string();
    let mut file = BufReader::with_capacity(256 * 1024, File::open(path)?);
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        if file.by_ref().take(LONGEST).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let ended = line.pop_if(|octet| *octet == b'\n').is_some();
        verifier.line(&name, number, &line, ended);
        progress.line(&name, number);
    }
    Ok(())
}

fn as_text(report: &Report, whole: bool, files: usize) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&format!("{}: {}: {}\n", finding.spot, finding.kind, finding.message));
    }
    if report.more_findings > 0 {
        text.push_str(&format!("… and {} more\n", report.more_findings));
    }
    let count = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let files = count(files as u64, "file");
    let Some((first, last)) = report.seqs else {
        return text + &format!("NOT WHOLE: there is no line of a chain in {files}\n");
    };
    let verdict = if whole { "whole" } else { "NOT WHOLE" };
    text.push_str(&format!("{verdict}: {} in {files}, {first} to {last}\n", count(report.lines, "line")));
    if let Some(signed) = report.signed {
        text.push_str(&format!(
            "signed: up to {signed}; the {} lines after it are not yet\n",
            last.saturating_sub(signed)
        ));
    }
    if report.torn > 0 {
        text.push_str(&format!(
            "torn: {} lines that a killed process left unfinished, and the next one marked\n",
            report.torn
        ));
    }
    if report.dropped > 0 {
        text.push_str(&format!("dropped: {} answers have no line, as the log says\n", report.dropped));
    }
    if !report.stopped {
        text.push_str("open: the last line is no orderly end; the process runs, was killed, or the end was cut off\n");
    }
    text.push_str(&format!("head: {}\n", report.head.as_deref().unwrap_or_default()));
    text
}

fn as_json(report: &Report, whole: bool) -> serde_json::Value {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| {
            let spot = &finding.spot;
            json!({"file": spot.file, "line": spot.line, "kind": finding.kind, "message": finding.message})
        })
        .collect();
    json!({
        "whole": whole,
        "lines": report.lines,
        "first": report.seqs.map(|(first, _)| first),
        "last": report.seqs.map(|(_, last)| last),
        "head": report.head,
        "signed": report.signed,
        "torn": report.torn,
        "dropped": report.dropped,
        "stopped": report.stopped,
        "findings": findings,
        "more_findings": report.more_findings,
    })
}

/// How far it is, for a person.
#[derive(Default)]
struct Progress {
    lines: u64,
    told: bool,
}

impl Progress {
    fn line(&mut self, file: &str, number: u64) {
        self.lines += 1;
        if self.lines.is_multiple_of(TELL_EVERY) && print::may_colour() {
            self.told = true;
            print::err(&format!("\r{file}:{number}\u{1b}[K"));
        }
    }

    fn end(&self) {
        if self.told {
            print::err("\r\u{1b}[K");
        }
    }
}
