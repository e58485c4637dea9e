//! One decision in ArcSight's Common Event Format, version 0. Such lines are not chained: the format has no place of its
//! own for it that receivers keep as it is.

use std::fmt::Display;
use std::fmt::Write;
use std::net::IpAddr;

use crate::audit::form::Client;
use crate::audit::form::Shown;
use crate::model::decision::Effect;

/// What every line begins with.
pub(super) const BEGIN: &str = "CEF:0|Postern|postern|";

/// The whole line of a decision.
pub(super) fn decision(shown: &Shown<'_>) -> String {
    let record = shown.record;
    let decision = record.decision;
    let allowed = decision.effect() == Effect::Allow;
    let (name, severity) = match (allowed, record.status) {
        (true, _) => ("request allowed", 1),
        (false, 500..) => ("request denied for a failure", 7),
        (false, _) => ("request denied", 5),
    };
    let mut line = Line::begin(decision.reason.code(), name, severity);
    line.put("rt", record.at.as_millisecond());
    line.put("externalId", record.decision_id);
    line.put("act", decision.effect().name());
    line.put("reason", decision.reason.code());
    line.put("app", record.dialect.name());
    match shown.client {
        Some(Client::Ip(ip @ IpAddr::V4(_))) => line.put("src", ip),
        Some(Client::Ip(ip @ IpAddr::V6(_))) => line.labelled("c6a2", "Source IPv6 Address", ip),
        Some(Client::Network(ip, length)) => line.labelled("cs1", "client network", format_args!("{ip}/{length}")),
        Some(Client::Unknown(_)) | None => {}
    }
    for (name, value) in [("requestMethod", record.method), ("dhost", record.host), ("request", shown.path)] {
        if let Some(value) = value {
            line.put(name, value);
        }
    }
    if let Some(query) = shown.query {
        line.labelled("cs2", "query", query);
    }
    if let Some(subject) = &shown.subject {
        line.put("suid", subject);
    }
    if let Some(user) = &shown.user {
        line.put("suser", user);
    }
    if let Some(identity) = decision.principal.identity() {
        line.labelled("cs3", "issuer", identity.issuer());
    }
    if let Some(groups) = shown.groups.as_ref().filter(|groups| !groups.is_empty()) {
        line.put("spriv", groups.join(","));
    }
    if let Some(route) = &decision.route {
        line.labelled("cs4", "route", format_args!("{} {}", route.host, route.name));
    }
    if let Some(place) = &decision.place {
        line.labelled("cs5", "rule", format_args!("{}:{}", place.file, place.line));
    }
    line.labelled("cs6", "policy", record.policy);
    line.labelled("cn1", "status", record.status);
    if let Some(took) = record.took {
        line.labelled("cn2", "microseconds", took.as_micros());
    }
    line.labelled("cn3", "generation", record.generation);
    line.0
}

/// The whole line of an event of the log itself. `members` are those of the other formats, without braces.
pub(super) fn event(kind: &str, now: jiff::Timestamp, members: &str) -> String {
    let severity = if matches!(kind, "dropped" | "torn") { 7 } else { 1 };
    let mut line = Line::begin(kind, "audit log", severity);
    line.put("rt", now.as_millisecond());
    line.put("msg", format_args!("{{{members}}}"));
    line.0
}

/// A line in the making, and whether its extension has begun: what stands at its end may be anybody's.
struct Line(String, bool);

impl Line {
    fn begin(id: &str, name: &str, severity: u8) -> Line {
        let mut line = String::with_capacity(768);
        // Nothing in the header comes from outside. Writing to a string cannot fail.
        let _ = write!(line, "{BEGIN}{}|{id}|{name}|{severity}|", env!("CARGO_PKG_VERSION"));
        Line(line, false)
    }

    fn put(&mut self, key: &str, value: impl Display) {
        if std::mem::replace(&mut self.1, true) {
            self.0.push(' ');
        }
        self.0.push_str(key);
        self.0.push('=');
        let _ = write!(Escaped(&mut self.0), "{value}");
    }

    fn labelled(&mut self, key: &str, label: &str, value: impl Display) {
        self.put(key, value);
        self.put(&format!("{key}Label"), label);
    }
}

/// A value of the extension: `\` and `=` are escaped, and so are line ends. What does not show as it is becomes
/// `\\uXXXX`, so that a line is one line, and what it shows is what it holds (F7).
struct Escaped<'o>(&'o mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for character in text.chars() {
            match character {
                '\\' => self.0.push_str("\\\\"),
                '=' => self.0.push_str("\\="),
                '\n' => self.0.push_str("\\n"),
                '\r' => self.0.push_str("\\r"),
                ' '..='~' => self.0.push(character),
                _ if !character.is_ascii() && character.escape_debug().len() == 1 => self.0.push(character),
                _ => write!(self.0, "\\\\u{:04x}", u32::from(character))?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_a_value_that_ends_as_the_header_does_does_not_swallow_the_next_key() {
        let mut line = Line::begin("id", "name", 1);
        line.put("request", "/a|");
        line.put("suser", "|");
        line.labelled("cs1", "x", "|");
        let (_, extension) = line.0.split_once("|1|").expect("a header");
        assert_eq!(extension, "request=/a| suser=| cs1=| cs1Label=x");
    }

    #[test]
    fn f7_a_value_is_escaped_as_the_format_wants_it() {
        for (text, want) in [
            ("plain text", "plain text"),
            ("a=b|c\\d", "a\\=b|c\\\\d"),
            ("x\r\ncs1=y", "x\\r\\ncs1\\=y"),
            ("\u{1b}[31m\u{202e}", "\\\\u001b[31m\\\\u202e"),
            ("j\u{f6}rg", "j\u{f6}rg"),
        ] {
            let mut line = Line::begin("id", "name", 1);
            line.put("k", text);
            let (header, extension) = line.0.rsplit_once("|1|").expect("a header");
            assert_eq!((header.matches('|').count(), extension), (5, format!("k={want}").as_str()), "{text:?}");
        }
    }
}
