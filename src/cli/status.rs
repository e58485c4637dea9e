//! `postern status`: how a running instance is.

use anyhow::Context;
use anyhow::ensure;

use crate::cli::FAILED;
use crate::cli::admin::Instance;
use crate::cli::print;
use crate::model::status::AuditStatus;
use crate::model::status::IssuerStatus;
use crate::model::status::PolicyStatus;
use crate::model::status::ProviderStatus;
use crate::model::status::SharedLimitsStatus;
use crate::model::status::SinkStatus;
use crate::model::status::Status as Page;

/// Show how a running instance is: its policy, the last reload, keys, connections, the audit log
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 it is ready, 1 it is not or nobody answers, 2 wrong arguments.")]
pub struct Status {
    #[command(flatten)]
    instance: Instance,
    /// Print JSON: the page /status
    #[arg(long)]
    json: bool,
}

impl Status {
    /// Ask, and show it.
    pub fn run(&self) -> anyhow::Result<u8> {
        let (status, body) = self.instance.get("/status")?;
        ensure!(status.is_success(), "the page /status is {status}");
        let page: Page = serde_json::from_slice(&body).context("the page /status is none of Postern")?;
        if self.json {
            let whole: serde_json::Value = serde_json::from_slice(&body)?;
            print::out(&format!("{whole:#}\n"));
        } else {
            print::out(&as_text(&page));
        }
        Ok(if page.status == "ready" { 0 } else { FAILED })
    }
}

fn as_text(page: &Page) -> String {
    let mut lines = Lines::default();
    lines.put("status", &page.status);
    for reason in &page.reasons {
        lines.put("", reason);
    }
    lines.put("version", &format!("{}, up {}", page.version, duration(page.uptime_seconds)));
    policy(&page.policy, &mut lines);
    for (name, listener) in &page.listeners {
        lines.put(name, &format!("{}, {}", listener.address, count(listener.connections, "connection")));
    }
    lines.put("waiting", &count(page.active_requests, "check"));
    for keys in &page.keys {
        lines.put("keys", &issuer(keys));
    }
    for asked in &page.providers {
        lines.put("provider", &provider(asked));
    }
    if let Some(store) = &page.shared_limits {
        lines.put("limits", &shared_limits(store));
    }
    lines.put("audit", &page.audit.as_ref().map_or("off".to_owned(), audit));
    for to in page.audit.iter().flat_map(|audit| &audit.sinks) {
        lines.put("", &sink(to));
    }
    if let Some(level) = &page.log_level {
        lines.put("log level", level);
    }
    for switch in &page.insecure {
        lines.put("insecure", switch);
    }
    lines.0
}

fn policy(policy: &PolicyStatus, lines: &mut Lines) {
    lines.put("policy", &format!("{} ({}), watch: {}", policy.path, count(policy.files, "file"), policy.watch));
    lines.put("digest", &policy.digest);
    lines.put("generation", &format!("{}, since {}", policy.generation, policy.since));
    match &policy.last_reload {
        None => lines.put("last reload", "none yet"),
        Some(last) => {
            lines.put("last reload", &format!("{} at {}", last.result, last.at));
            for problem in &last.problems {
                lines.put("", problem);
            }
        }
    }
}

fn issuer(keys: &IssuerStatus) -> String {
    let mut text = format!("{}: {} of {}", keys.source, count(keys.keys, "key"), keys.issuer);
    if let Some(age) = keys.age_seconds {
        text.push_str(&format!(", fetched {} ago", duration(age)));
    }
    if let Some(tokens) = keys.remembered_tokens {
        text.push_str(&format!(", {} remembered", count(tokens, "token")));
    }
    if let Some(error) = &keys.last_error {
        text.push_str(&format!(", {}: {error}", count(keys.failures, "failed fetch")));
    }
    text
}

fn provider(asked: &ProviderStatus) -> String {
    let left_alone = if asked.left_alone { ", left alone for a while" } else { "" };
    format!(
        "{}: {}, {} of them failed, {} under way{left_alone}",
        asked.source,
        count(asked.calls, "call"),
        asked.failed_calls,
        asked.calls_under_way
    )
}

fn shared_limits(store: &SharedLimitsStatus) -> String {
    let SharedLimitsStatus { address, up, last_error, connections: _, spared } = store;
    match (up, last_error) {
        (true, _) => format!("shared at {address}, {} refused without asking it", count(*spared, "request")),
        (false, None) => format!("NOT SHARED, nobody has asked {address} yet"),
        (false, Some(error)) => format!("NOT SHARED, {address}: {error}"),
    }
}

fn audit(audit: &AuditStatus) -> String {
    let failing = if audit.failing { "NOT WRITABLE, " } else { "" };
    let AuditStatus { queued, written, dropped, errors, room: _, failing: _, sinks: _ } = audit;
    format!("{failing}{written} written, {queued} queued, {dropped} dropped, {errors} errors")
}

fn sink(sink: &SinkStatus) -> String {
    let failing = if sink.failing { "NOT TAKEN, " } else { "" };
    let SinkStatus { name, queued, sent, dropped, errors, failing: _ } = sink;
    format!("{name}: {failing}{sent} sent, {queued} queued, {dropped} dropped, {errors} errors")
}

/// Names and what they stand for, in two columns.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, name: &str, text: &str) {
        // What a server says is shown on a terminal: no codes of it get there.
        let text: String = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect();
        self.0.push_str(&format!("{name:<12}{text}\n"));
    }
}

fn count(number: impl TryInto<u64>, what: &str) -> String {
    let number: u64 = number.try_into().unwrap_or_default();
    let plural = if number == 1 {
        ""
    } else if what.ends_with("ch") {
        "es"
    } else {
        "s"
    };
    format!("{number} {what}{plural}")
}

/// `3d 4h`, `2h 5m`, `7m 3s` or `12s`.
fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {seconds}s"),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_reads_as_lines() {
        let page: Page = serde_json::from_value(json!({
            "status": "not ready",
            "reasons": ["identity source `people` has no keys"],
            "version": "1.2.3",
            "uptime_seconds": 3725.5,
            "policy": {"path": "/etc/postern/postern.yaml", "digest": "ab12", "generation": 3, "since": "2027-01-02T03:04:05Z",
                "files": 2, "watch": "events",
                "last_reload": {"at": "2027-01-02T04:04:05Z", "result": "refused", "problems": ["p.yaml:3:1: bad\u{1b}[31m"]}},
            "listeners": {"grpc": {"address": "unix:/run/g.sock", "connections": 1}},
            "active_requests": 0,
            "keys": [{"source": "people", "issuer": "https://sso.test", "keys": 0, "failures": 2, "last_error": "refused"},
                {"source": "more", "issuer": "https://b.test", "keys": 1, "age_seconds": 42.0, "remembered_tokens": 7}],
            "providers": [{"source": "opaque", "calls": 1, "left_alone": true}],
            "shared_limits": {"address": "tcp://r.test:6379", "up": false, "last_error": "no connection: refused"},
            "audit": {"queued": 1, "written": 2, "dropped": 3, "errors": 4, "failing": true,
                "sinks": [{"name": "syslog", "queued": 5, "sent": 6, "dropped": 7, "errors": 8, "failing": true}]},
            "insecure": ["insecure_any_caller"],
            "log_level": "info",
            "of_a_later_version": true
        }))
        .expect("a page");
        let want = "\
status      not ready
            identity source `people` has no keys
version     1.2.3, up 1h 2m
policy      /etc/postern/postern.yaml (2 files), watch: events
digest      ab12
generation  3, since 2027-01-02T03:04:05Z
last reload refused at 2027-01-02T04:04:05Z
            p.yaml:3:1: bad\u{fffd}[31m
grpc        unix:/run/g.sock, 1 connection
waiting     0 checks
keys        people: 0 keys of https://sso.test, 2 failed fetches: refused
keys        more: 1 key of https://b.test, fetched 42s ago, 7 tokens remembered
provider    opaque: 1 call, 0 of them failed, 0 under way, left alone for a while
limits      NOT SHARED, tcp://r.test:6379: no connection: refused
audit       NOT WRITABLE, 2 written, 1 queued, 3 dropped, 4 errors
            syslog: NOT TAKEN, 6 sent, 5 queued, 7 dropped, 8 errors
log level   info
insecure    insecure_any_caller
";
        assert_eq!(as_text(&page), want);
    }
}
