//! What a replay found, for people and for programs.

use serde_json::Value;
use serde_json::json;

use crate::cli::replay::tally::Change;
use crate::cli::replay::tally::Group;
use crate::cli::replay::tally::Key;
use crate::cli::replay::tally::Tally;
use crate::telemetry::log::Plain;

/// For people: the flips, then the sum.
pub(super) fn text(tally: &Tally, broken: &[String]) -> String {
    let mut text = String::new();
    for (key, group) in &tally.groups {
        text.push_str(&flip(key, group));
    }
    let mut parts = Vec::new();
    for change in Change::ALL.into_iter().filter(|change| tally.of(*change) > 0) {
        parts.push(format!("{} flip from {}", tally.of(change), change.name().replace('-', " ")));
    }
    if tally.same > 0 {
        let otherwise = match tally.otherwise {
            0 => String::new(),
            otherwise => format!(" ({otherwise} of them by another route or for another reason)"),
        };
        parts.push(format!("{} stay as they were{otherwise}", tally.same));
    }
    if tally.unknown() > 0 {
        parts.push(format!("{} cannot be told", tally.unknown()));
    }
    text.push_str(&format!("{}: {}\n", count(tally.decisions, "decision"), parts.join(", ")));
    if tally.unknown() > 0 {
        text.push_str("What cannot be told would need what the log does not say:\n");
        for (lacking, number) in &tally.unknown {
            text.push_str(&format!("  {number:>8}  {}\n", Plain(lacking)));
        }
    }
    if tally.not_kept > 0 {
        let what = count(tally.not_kept, "decision");
        text.push_str(&format!("{what} left out: written without `audit: {{replay: true}}`\n"));
    }
    if let Some(first) = &tally.first_malformed {
        text.push_str(&format!("{} left out: no lines of ours; the first is {}\n", tally.malformed, Plain(first)));
    }
    for bound in broken {
        text.push_str(&format!("FAILED: {bound}\n"));
    }
    text
}

fn flip(key: &Key, group: &Group) -> String {
    let Key { change, route, reason, place } = key;
    let by = match group.subjects() {
        (0, _) => "by nobody who is known".to_owned(),
        (subjects, more) => {
            let names: Vec<String> = group.named.iter().map(|name| Plain(name).to_string()).collect();
            let rest = if subjects > names.len() { ", …" } else { "" };
            let more = if more { " or more" } else { "" };
            format!("by {}{more}: {}{rest}", count(subjects as u64, "subject"), names.join(", "))
        }
    };
    let route = match route {
        Some((host, name)) => format!("route `{name}` of `{host}`"),
        None => "no route".to_owned(),
    };
    let place = place.as_ref().map(|place| format!("  [{}:{}]", place.file, place.line)).unwrap_or_default();
    let recorded = &group.sample.recorded;
    let client = recorded.client.as_ref().and_then(|client| client.ip);
    let client = client.map(|ip| format!(" from {ip}")).unwrap_or_default();
    let user = recorded.user.as_ref().map(|user| format!(" as {}", Plain(user))).unwrap_or_default();
    let was = recorded.rule.as_ref().map(|rule| format!("  [{}]", Plain(rule))).unwrap_or_default();
    let old = recorded.reason.as_deref().unwrap_or_default();
    format!(
        "{}  {}  {by}\n  now  {route}: {reason}{place}\n  was  {}{was}\n  e.g. {}{client}{user}\n       {}, {}\n\n",
        change.name(),
        count(group.count, "decision"),
        Plain(old),
        Plain(&recorded.asked()),
        Plain(&group.sample.spot),
        Plain(recorded.id.as_deref().unwrap_or_default()),
    )
}

fn count(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// For programs.
pub(super) fn json(tally: &Tally, broken: &[String]) -> Value {
    let group = |(key, group): (&Key, &Group)| {
        let (subjects, more) = group.subjects();
        let recorded = &group.sample.recorded;
        json!({
            "change": key.change.name(),
            "route": key.route.as_ref().map(|(host, name)| json!({"host": host, "name": name})),
            "reason": key.reason,
            "place": key.place.as_ref().map(|place| json!({"file": &*place.file, "line": place.line})),
            "count": group.count,
            "subjects": subjects,
            "more_subjects": more,
            "named": group.named,
            "sample": {
                "line": group.sample.spot,
                "id": recorded.id,
                "time": recorded.time.to_string(),
                "request": recorded.asked(),
                "client_ip": recorded.client.as_ref().and_then(|client| client.ip),
                "subject": recorded.subject,
                "user": recorded.user,
                "reason": recorded.reason,
                "rule": recorded.rule,
            },
        })
    };
    json!({
        "decisions": tally.decisions,
        "flips": tally.flips(),
        "same": tally.same,
        "otherwise": tally.otherwise,
        "groups": tally.groups.iter().map(group).collect::<Vec<_>>(),
        "unknown": tally.unknown,
        "not_kept": tally.not_kept,
        "malformed": tally.malformed,
        "first_malformed": tally.first_malformed,
        "broken": broken,
    })
}
