//! Policy files: read or refused with a report, and never taken for whole when they are half.

use std::path::Path;

use postern::config::load::{Loaded, load};
use postern::snapshot::build;

use super::world;

pub fn run(input: &[u8]) {
    let Some(whole) = loaded(input) else { return };
    let Ok(text) = std::str::from_utf8(input) else { panic!("{input:?} is no text, and was read") };
    match build(&whole, &world::machine(text)) {
        Ok((snapshot, warnings)) => {
            assert!(!warnings.has_errors());
            for block in snapshot.policy.hosts.iter() {
                assert!(!block.key.is_empty());
            }
        }
        Err(problems) => {
            assert!(problems.has_errors());
            shown(&whole.report(problems).text(false));
        }
    }
    for cut in cuts(text.len()) {
        if let Some(short) = text.get(..cut) {
            half(&whole, short, cut);
        }
    }
}

/// A proper prefix is refused beside the whole file; a file with an end marker has none without it.
pub fn half(whole: &Loaded, short: &str, cut: usize) {
    let Some(half) = loaded(short.as_bytes()) else { return };
    assert!(half.check_complete(&whole.files).has_errors(), "cut at {cut}, taken for whole:\n{short}");
    let (Some(whole), Some(half)) = (whole.files.first(), half.files.first()) else { panic!("no files") };
    if whole.ended && half.ended {
        let rest = whole.text.get(cut..).unwrap_or_default();
        let harmless = |line: &str| line.trim().is_empty() || line.trim().chars().all(|letter| letter == '.');
        let mut lines = rest.lines();
        // What follows the cut in its own line; in a comment it may be anything.
        let begun = short.rsplit('\n').next().unwrap_or_default();
        let is_comment = |rest: &&str| begun.chars().chain(rest.chars()).find(|c| !c.is_whitespace()) == Some('#');
        let first = lines.next().filter(|rest| !is_comment(rest)).unwrap_or_default();
        assert!(
            lines.all(|line| harmless(line) || line.trim_start().starts_with('#')) && !first.contains(": "),
            "cut at {cut}, and still ended:\n{short}"
        );
    }
}

/// A policy that loads; the report of one that does not is whole.
pub fn loaded(text: &[u8]) -> Option<Loaded> {
    let world = postern::config::load::Pretend::new().file("p.yaml", text).file("keys.json", world::key_set());
    match load(Path::new("p.yaml"), &world) {
        Ok(loaded) => Some(loaded),
        Err(refused) => {
            let report = postern::snapshot::judge(refused, &world);
            assert!(report.problems().has_errors());
            shown(&report.text(false));
            let _ = report.json();
            None
        }
    }
}

/// A report is text for a terminal.
fn shown(report: &str) {
    assert!(!report.is_empty());
    let hostile = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    assert!(!report.contains(hostile), "a control character in {report:?}");
}

/// Every place of a short file; some of a long one, more towards its end.
fn cuts(length: usize) -> Vec<usize> {
    if length <= 400 {
        return (0..length).collect();
    }
    (0..length).step_by(length / 24).chain(length - 24..length).collect()
}
