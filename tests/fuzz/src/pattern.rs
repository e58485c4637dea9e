//! A path pattern against a path: no spelling is allowed by a rule that does not cover what servers make of it.
//! Input: the pattern, the target, and on a third line perhaps `keep`.

use postern::model::path::Path;
use postern::policy::pattern::PathPattern;

use super::asked::Asked;
use super::backend;
use super::world;

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let (Some(pattern), Some(target)) = (lines.next(), lines.next()) else { return };
    let keep = lines.next() == Some("keep");
    let parsed = PathPattern::parse(pattern);
    if parsed.is_err() || Path::parse(target).is_err() {
        return;
    }
    // JSON is YAML.
    let quoted = serde_json::Value::from(pattern).to_string();
    let slash = if keep { "keep" } else { "refuse" };
    let policy = format!(
        "version: 1\nhosts:\n  h.test:\n    routes:\n      - {{path: {quoted}, encoded_slash: {slash}, public: true}}\n...\n"
    );
    let Ok(snapshot) = world::snapshot(&policy) else { return };
    let asked = Asked::parse(format!("GET https h.test {target}").as_bytes()).expect("a request");
    if asked.target != target {
        return;
    }
    let allowed = allows(&snapshot, &asked);
    if allowed {
        for view in backend::views(target) {
            assert!(
                covers(pattern, &view.segments, view.folded),
                "{pattern} lets {target} pass, and a server ({}) reads {:?}",
                view.server,
                view.segments
            );
        }
    }
    let plain = target.bytes().all(|octet| octet.is_ascii_lowercase() || b"0123456789-_~/".contains(&octet))
        && !target.contains("//");
    if plain && !pattern.bytes().any(|octet| octet.is_ascii_uppercase() || octet == b'%') {
        let view = &backend::views(target)[0];
        assert_eq!(allowed, covers(pattern, &view.segments, false), "{pattern} and {target}");
    }
}

fn allows(snapshot: &postern::snapshot::Snapshot, asked: &Asked) -> bool {
    use postern::dialect::ext_authz;
    use postern::engine::walk::{Given, Walk, walk};
    let check = asked.check_request(false);
    let request = postern::model::request::Request::parse(
        ext_authz::decode(&ext_authz::Check::from(&check)).expect("attributes"),
    );
    let given = Given {
        decision_id: postern::model::decision::DecisionId(0),
        now: jiff::Timestamp::from_second(world::NOW).expect("a time"),
        answers: postern::authn::Answers::none(),
        assumed: None,
    };
    let Ok(request) = request else { return false };
    let mut purse = postern::limit::Purse::looking(postern::telemetry::clock::instant());
    match walk(snapshot, &request, &given, &mut purse, &mut postern::policy::trace::Silent) {
        Walk::Done(walked) => walked.decision.reason.allows(),
        Walk::Needs(_) | Walk::Takes(_) | Walk::Unknown => panic!("a public route asks for something"),
    }
}

/// What the language says of patterns, read from their text.
fn covers(pattern: &str, segments: &[Vec<u8>], folded: bool) -> bool {
    let pattern = pattern.strip_prefix('/').unwrap_or(pattern);
    let pattern = pattern.strip_suffix('/').unwrap_or(pattern);
    let mut written: Vec<&str> = if pattern.is_empty() { Vec::new() } else { pattern.split('/').collect() };
    let open = written.last() == Some(&"**");
    if open {
        written.pop();
    }
    if segments.len() < written.len() || !open && segments.len() > written.len() {
        return false;
    }
    written.iter().zip(segments).all(|(want, segment)| {
        if *want == "*" || want.starts_with('{') {
            return !segment.is_empty();
        }
        let mut want = unescape(want);
        if folded {
            want.make_ascii_lowercase();
        }
        want == *segment
    })
}

fn unescape(text: &str) -> Vec<u8> {
    let mut pieces = text.split('%');
    let mut octets = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at(2);
        octets.push(u8::from_str_radix(digits, 16).expect("a pattern's escape"));
        octets.extend_from_slice(rest.as_bytes());
    }
    octets
}
