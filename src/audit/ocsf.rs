//! One decision as an event of the Open Cybersecurity Schema Framework, version 1.3.0.
//!
//! The class is HTTP Activity (4002) with the profile Security Control, because what happened is a request that a control
//! let pass or stopped. Authentication (3002) is about logging on and off, Authorize Session (3003) about privileges given
//! to a new session, and both need a user, whom many of our answers do not have. What the schema has no place for stands
//! in `unmapped`, under our own names, and so does the chain.

use crate::audit::form::Client;
use crate::audit::form::Shown;
use crate::audit::json::Members;
use crate::audit::line;
use crate::model::decision::Effect;

/// The version of the schema.
const VERSION: &str = "1.3.0";

/// Where the chain is put in: before what else is ours. A text cannot hold it, because its quotes are escaped.
pub(super) const UNMAPPED: &str = "\"unmapped\":{";

const HTTP_ACTIVITY: u64 = 4002;
const APPLICATION_LIFECYCLE: u64 = 6002;

/// The members of a decision, without the first brace.
pub(super) fn decision(shown: &Shown<'_>) -> String {
    let record = shown.record;
    let decision = record.decision;
    let mut body = String::with_capacity(1536);
    let mut line = Members::new(&mut body);
    let activity = record.method.map_or(0, activity);
    let allowed = decision.effect() == Effect::Allow;
    let severity = match (allowed, record.status) {
        (true, _) => 1,
        // We failed.
        (false, 500..) => 3,
        (false, _) => 2,
    };
    classify(&mut line, HTTP_ACTIVITY, activity, severity);
    line.number("status_id", if allowed { 1 } else { 2 });
    line.text("status_code", decision.reason.code());
    line.number("action_id", if allowed { 1 } else { 2 });
    line.number("disposition_id", if allowed { 1 } else { 2 });
    line.integer("time", record.at.as_millisecond());
    line.object("metadata", |line| {
        about(line);
        line.array("profiles", |out| out.push_str("\"host\",\"security_control\""));
        line.plain("uid", record.decision_id);
        if let Some(trace) = record.trace {
            line.hex("correlation_uid", &trace.trace_id);
        }
    });
    line.object("src_endpoint", |line| match shown.client {
        Some(Client::Ip(ip)) => line.plain("ip", ip),
        // The network is no address of anybody.
        Some(Client::Network(ip, length)) => line.plain("name", format_args!("{ip}/{length}")),
        Some(Client::Unknown(_)) | None => line.text("name", "unknown"),
    });
    if let Some(host) = record.host {
        line.object("dst_endpoint", |line| line.text("hostname", host));
    }
    if record.method.is_some() {
        line.object("http_request", |line| {
            if let Some(method) = record.method {
                line.text("http_method", method);
            }
            line.object("url", |line| {
                for (name, value) in [("hostname", record.host), ("path", shown.path), ("query_string", shown.query)] {
                    if let Some(value) = value {
                        line.text(name, value);
                    }
                }
            });
        });
    }
    if !allowed {
        line.object("http_response", |line| line.number("code", u64::from(record.status)));
    }
    if let Some(identity) = decision.principal.identity() {
        line.object("actor", |line| {
            line.object("user", |line| {
                if let Some(user) = &shown.user {
                    line.text("name", user);
                }
                if let Some(subject) = &shown.subject {
                    line.text("uid", subject);
                }
                if let Some(groups) = shown.groups.as_ref().filter(|groups| !groups.is_empty()) {
                    line.array("groups", |out| named(out, groups));
                }
            });
            line.object("idp", |line| {
                line.text("name", identity.source());
                line.text("uid", identity.issuer());
            });
        });
    }
    line.object("policy", |line| {
        if let Some(place) = &decision.place {
            line.text("name", &format!("{}:{}", place.file, place.line));
        }
        line.text("uid", record.policy);
    });
    line.object("unmapped", |line| {
        line.text("kind", "decision");
        line.text("dialect", record.dialect.name());
        if let Some(client) = record.client {
            line.text("client_from", client.from);
        }
        line::route(line, record);
        line.number("generation", record.generation);
        line::measured(line, record);
        if let Some(trace) = record.trace {
            line.hex("parent", &trace.parent);
            line.truth("sampled", trace.sampled);
        }
    });
    body.push('}');
    body
}

/// The members of an event of the log itself, up to what is ours.
pub(super) fn event(kind: &str, now: jiff::Timestamp, out: &mut String) {
    let mut line = Members::new(out);
    let activity = match kind {
        "start" => 3,
        "stop" => 4,
        _ => 99,
    };
    classify(&mut line, APPLICATION_LIFECYCLE, activity, if matches!(kind, "dropped" | "torn") { 3 } else { 1 });
    if activity == 99 {
        line.text("activity_name", kind);
    }
    line.integer("time", now.as_millisecond());
    line.object("metadata", about);
    line.object("app", product);
    out.push(',');
    out.push_str(UNMAPPED);
}

fn classify(line: &mut Members<'_>, class: u64, activity: u64, severity: u64) {
    line.number("category_uid", class / 1000);
    line.number("class_uid", class);
    line.number("activity_id", activity);
    line.number("type_uid", class * 100 + activity);
    line.number("severity_id", severity);
}

fn about(line: &mut Members<'_>) {
    line.text("version", VERSION);
    line.object("product", product);
    line.text("log_name", "audit");
}

fn product(line: &mut Members<'_>) {
    line.text("name", "Postern");
    line.text("vendor_name", "Postern");
    line.text("version", env!("CARGO_PKG_VERSION"));
}

/// The activities of the class: methods.
fn activity(method: &str) -> u64 {
    match method {
        "CONNECT" => 1,
        "DELETE" => 2,
        "GET" => 3,
        "HEAD" => 4,
        "OPTIONS" => 5,
        "POST" => 6,
        "PUT" => 7,
        "TRACE" => 8,
        _ => 99,
    }
}

/// Objects that have a name.
fn named(out: &mut String, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        if number > 0 {
            out.push(',');
        }
        out.push('{');
        Members::new(out).text("name", name);
        out.push('}');
    }
}
