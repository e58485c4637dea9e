use jiff::Timestamp;

use super::*;
use crate::audit::chain::Chain;
use crate::audit::signer::Signer;
use crate::audit::signer::tests::pair;

/// So many decisions and an end.
fn log(decisions: u32, signer: Option<Signer>) -> Vec<String> {
    let mut chain = Chain::after(Link::START, signer);
    let mut out = Vec::new();
    let now = Timestamp::UNIX_EPOCH;
    for number in 0..decisions {
        chain.line(&format!(r#""kind":"decision","path":"/{number}"}}"#), now, &mut out);
    }
    chain.signed("stop", now, |_| {}, &mut out);
    String::from_utf8(out).expect("text").lines().map(str::to_owned).collect()
}

/// What is found in lines, as `line kind`.
fn found(lines: &[impl AsRef<str>], key: Option<&Verifying>) -> (Report, Vec<String>) {
    let mut verifier = Verifier::new(key);
    for (number, line) in lines.iter().enumerate() {
        let line = line.as_ref();
        verifier.line("a", number as u64 + 1, line.trim_end_matches('~').as_bytes(), !line.ends_with('~'));
    }
    let report = verifier.finish();
    let found = report.findings.iter().map(|finding| format!("{} {}", finding.spot.line, finding.kind)).collect();
    (report, found)
}

#[test]
fn a_whole_log_is_whole() {
    let lines = log(3, None);
    let (report, findings) = found(&lines, None);
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!((report.lines, report.seqs, report.stopped), (4, Some((1, 4)), true));
    assert_eq!(report.head, Some(hex(&hash(lines[3].as_bytes()))));
    let (report, findings) = found(&lines[2..], None);
    assert_eq!((report.seqs, findings), (Some((3, 4)), vec![]), "older files may be gone");
}

#[test]
fn every_change_shows_where_it_is() {
    let lines = log(5, None);
    let changed = |at: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[at].contains(from));
        lines[at] = lines[at].replacen(from, to, 1);
        lines
    };
    let without = |at: usize| [&lines[..at], &lines[at + 1..]].concat();
    let mut swapped = lines.clone();
    swapped.swap(1, 2);
    let mut put_in = lines.clone();
    put_in.insert(2, r#"{"schema":1,"kind":"decision"}"#.to_owned());
    let mut nonsense = lines.clone();
    nonsense.insert(2, "nonsense".to_owned());
    for (lines, want) in [
        (changed(2, "/2", "/x"), vec!["3 changed"]),
        (changed(0, r#""prev":"0"#, r#""prev":"1"#), vec!["1 changed", "1 changed"]),
        (changed(2, r#""schema":1"#, r#""schema":2"#), vec!["3 malformed", "3 changed"]),
        (without(2), vec!["3 gap"]),
        (swapped, vec!["2 gap", "3 order", "4 gap"]),
        ([&lines[..], &lines[..1]].concat(), vec!["7 anew"]),
        (put_in, vec!["3 unlinked"]),
        (nonsense, vec!["3 malformed"]),
        ([&lines[..2], &[format!("{}~", lines[2].split_at(20).0)][..]].concat(), vec!["3 cut"]),
    ] {
        let (_, findings) = found(&lines, None);
        assert_eq!(findings, want, "{lines:#?}");
    }
}

/// Nothing but the signature tells of a log that was written anew, or cut off at its end.
#[test]
fn with_a_key_the_end_must_be_signed_by_it() {
    let ((signer, key), (other, _)) = (pair(), pair());
    let lines = log(3, Some(signer.clone()));
    assert_eq!(found(&lines, Some(&key)).0.signed, Some(4));
    assert_eq!(found(&lines[..3], Some(&key)).1, ["3 unsigned"], "cut off");
    assert_eq!(found(&log(3, None), Some(&key)).1, ["4 unsigned"], "written anew");
    assert_eq!(found(&log(3, Some(other)), Some(&key)).1, ["4 signature", "4 unsigned"], "with another key");
    for (from, to) in [("\"kind\":\"stop\"", "\"kind\":\"stip\""), ("\"}", "A\"}"), ("\"}", "\",\"x\":1}")] {
        let mut lines = log(1, Some(signer.clone()));
        lines[1] = lines[1].replacen(from, to, 1);
        assert_eq!(found(&lines, Some(&key)).1, ["2 signature", "2 unsigned"], "{}", lines[1]);
    }
    let mut chain = Chain::after(Link { seq: 4, digest: hash(lines[3].as_bytes()) }, Some(signer));
    let mut out = Vec::new();
    let mut after =
        |count| (0..count).for_each(|_| chain.line(r#""kind":"decision"}"#, Timestamp::UNIX_EPOCH, &mut out));
    after(MOST_UNSIGNED);
    after(1);
    let text = String::from_utf8(out).expect("text");
    let all: Vec<&str> = lines.iter().map(String::as_str).chain(text.lines()).collect();
    assert_eq!(found(&all[..all.len() - 1], Some(&key)).1, Vec::<String>::new(), "the next checkpoint is to come");
    assert_eq!(found(&all, Some(&key)).1, [format!("{} unsigned", all.len())], "one must have been taken out");
}

#[test]
fn what_was_torn_and_marked_is_no_finding() {
    let whole = log(1, None);
    let torn = whole[1].split_at(30).0;
    let mut out = Vec::new();
    let mut chain = Chain::after(Link { seq: 1, digest: hash(whole[0].as_bytes()) }, None);
    let digest = hex(&hash(torn.as_bytes()));
    let mark = |octets: u64, digest: &str, chain: &mut Chain, out: &mut Vec<u8>| {
        chain.event(
            "torn",
            Timestamp::UNIX_EPOCH,
            |line| {
                line.number("octets", octets);
                line.plain("sha256", digest);
            },
            out,
        );
    };
    mark(30, &digest, &mut chain, &mut out);
    let marked = String::from_utf8(out).expect("text");
    let (report, findings) = found(&[&whole[0], torn, marked.trim_end()], None);
    assert_eq!((report.torn, findings), (1, vec![]));
    let (_, findings) = found(&[&whole[0], &torn.replace("schema", "sxhema"), marked.trim_end()], None);
    assert_eq!(findings, ["2 malformed"], "it was changed since");
    let (_, findings) = found(&[&whole[0], torn], None);
    assert_eq!(findings, ["2 malformed"], "nobody marked it");
}
