//! One decision as one line of JSON. `docs/audit.md` documents every member; a test holds it to that.
//!
//! What is made here is the body of a line: from its `kind` to its closing brace. Who writes the lines puts the schema
//! and the chain before it.

use crate::audit::json::Members;
use crate::audit::replay;
use crate::model::client_ip::ClientAddress;
use crate::model::record::Counts;
use crate::model::record::Record;

/// The version of what a line says. A member may be added to a version, but not removed or given another meaning.
pub const SCHEMA: u32 = 1;

/// What is common in one line, so that its text grows once.
const USUAL_LENGTH: usize = 768;

/// The body of the line of one decision. Facts that are not known are left out. Nothing in it is a credential, or a
/// header of the request; the query, which may hold one, is there only `with_query`.
pub fn decision(record: &Record<'_>, with_query: bool) -> String {
    let mut body = String::with_capacity(USUAL_LENGTH);
    let decision = record.decision;
    let mut line = Members::new(&mut body);
    line.text("kind", "decision");
    line.plain("time", format_args!("{:.6}", record.at));
    line.plain("id", record.decision_id);
    line.text("dialect", record.dialect.name());
    let query = record.query.filter(|_| with_query);
    for (name, value) in [("method", record.method), ("host", record.host), ("path", record.path), ("query", query)] {
        if let Some(value) = value {
            line.text(name, value);
        }
    }
    if let Some(client) = record.client {
        line.object("client", |line| {
            match client.address {
                ClientAddress::Known(ip) => line.plain("ip", ip),
                ClientAddress::Missing => line.text("unknown", "missing"),
                ClientAddress::Malformed => line.text("unknown", "malformed"),
                ClientAddress::AllTrusted => line.text("unknown", "all_trusted"),
            }
            line.text("from", client.from);
        });
    }
    if let Some(identity) = decision.principal.identity() {
        line.text("subject", identity.subject());
        line.text("issuer", identity.issuer());
        line.text("user", identity.user());
        line.text("source", identity.source());
        let used = |group: &&str| record.mentioned.is_some_and(|mentioned| mentioned.contains(*group));
        line.texts("groups", identity.groups().iter().filter(used));
    }
    if let Some(route) = &decision.route {
        line.object("route", |line| {
            line.text("host", &route.host);
            line.text("name", &route.name);
        });
    }
    if let Some(place) = &decision.place {
        line.text("rule", &format!("{}:{}", place.file, place.line));
    }
    line.text("effect", decision.effect().name());
    line.text("reason", decision.reason.code());
    line.number("status", u64::from(record.status));
    line.text("policy", record.policy);
    line.number("generation", record.generation);
    if let Some(took) = record.took {
        line.number("duration_us", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
    if let Some(trace) = record.trace {
        line.object("trace", |line| {
            line.hex("id", &trace.trace_id);
            line.hex("parent", &trace.parent);
            line.truth("sampled", trace.sampled);
        });
    }
    if record.counts != Counts::default() {
        let Counts { ignored_forwarding, dropped_groups, dropped_values, spoofed } = record.counts;
        line.object("counts", |line| {
            for (name, count) in [
                ("ignored_forwarding", ignored_forwarding),
                ("dropped_groups", dropped_groups),
                ("dropped_values", dropped_values),
                ("spoofed", spoofed),
            ] {
                if count > 0 {
                    line.number(name, u64::from(count));
                }
            }
        });
    }
    if let Some(replay) = &record.replay {
        line.object("replay", |line| replay::write(line, record, replay, with_query));
    }
    body.push('}');
    body
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::model::decision::Decision;
    use crate::model::decision::DecisionId;
    use crate::model::decision::RouteId;
    use crate::model::dialect::Dialect;
    use crate::model::identity::Claims;
    use crate::model::identity::Identity;
    use crate::model::identity::Principal;
    use crate::model::problem::Place;
    use crate::model::reason::Reason;
    use crate::model::record::Client;
    use crate::model::trace::TraceContext;

    fn read(body: &str) -> Value {
        serde_json::from_str(&format!("{{{body}")).expect("JSON")
    }

    fn alice() -> Principal {
        let raw = json!({"secret": "canary-of-a-claim"});
        let identity = Identity::verified(Claims {
            source: "people".into(),
            issuer: "https://sso.test".into(),
            subject: "u-1".into(),
            user: "alice".into(),
            groups: vec!["staff".into(), "canary-of-a-group".into(), "ops".into()],
            email: Some("canary@of.mail".into()),
            email_verified: true,
            name: Some("canary of a name".into()),
            scopes: vec![],
            raw: raw.as_object().expect("an object").clone(),
            expires: None,
        });
        Principal::Identified(Arc::new(identity.expect("an identity")))
    }

    fn allowed() -> Decision {
        let place = Place { file: "policy.yaml".into(), line: 12, column: 3, span: (0, 0) };
        let route = RouteId { host: "*.corp.test".into(), name: "/a/**".into(), place: place.clone() };
        let reason = Reason::Permitted;
        Decision { reason, route: Some(Arc::new(route)), place: Some(place), principal: alice() }
    }

    fn record<'r>(decision: &'r Decision, mentioned: &'r HashSet<Arc<str>>, policy: &'r Arc<str>) -> Record<'r> {
        Record {
            at: "2027-01-31T12:00:00.123456789Z".parse().expect("a time"),
            decision_id: DecisionId(7),
            dialect: Dialect::Nginx,
            decision,
            status: 200,
            method: Some("GET"),
            host: Some("wiki.corp.test"),
            path: Some("/a/b"),
            query: Some("token=canary"),
            client: Some(Client {
                address: ClientAddress::Known("192.0.2.7".parse().expect("an address")),
                from: "xff",
            }),
            mentioned: Some(mentioned),
            policy,
            generation: 7,
            took: Some(Duration::from_nanos(41_999)),
            trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            replay: None,
            detail: Some("canary of a detail"),
            counts: Counts { spoofed: 2, ..Counts::default() },
        }
    }

    #[test]
    fn a_line_says_everything_about_a_decision_and_no_more() {
        let (decision, policy) = (allowed(), Arc::from("sha256:00"));
        let mentioned = ["ops", "staff", "root"].map(Arc::from).into();
        let want = json!({
            "kind": "decision", "time": "2027-01-31T12:00:00.123456Z", "id": "00000000000000000000000007",
            "dialect": "nginx", "method": "GET", "host": "wiki.corp.test", "path": "/a/b",
            "client": {"ip": "192.0.2.7", "from": "xff"}, "subject": "u-1", "issuer": "https://sso.test",
            "user": "alice", "source": "people", "groups": ["staff", "ops"],
            "route": {"host": "*.corp.test", "name": "/a/**"}, "rule": "policy.yaml:12", "effect": "allow",
            "reason": "permitted", "status": 200, "policy": "sha256:00", "generation": 7, "duration_us": 41,
            "trace": {"id": "0af7651916cd43dd8448eb211c80319c", "parent": "b7ad6b7169203331", "sampled": true},
            "counts": {"spoofed": 2},
        });
        let body = super::decision(&record(&decision, &mentioned, &policy), false);
        assert_eq!(read(&body), want);
        assert!(!body.contains("canary"), "{body}");
        let asked = super::decision(&record(&decision, &mentioned, &policy), true);
        assert_eq!(read(&asked)["query"], "token=canary");
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let (decision, policy, nothing) = (Decision::deny(Reason::MessageMalformed), Arc::from("p"), HashSet::new());
        let unread = Record {
            status: 503,
            method: None,
            host: None,
            path: None,
            query: None,
            client: None,
            mentioned: None,
            took: None,
            trace: None,
            replay: None,
            counts: Counts::default(),
            ..record(&decision, &nothing, &policy)
        };
        let want = json!({
            "kind": "decision", "time": "2027-01-31T12:00:00.123456Z", "id": "00000000000000000000000007",
            "dialect": "nginx", "effect": "deny", "reason": "message_malformed", "status": 503, "policy": "p", "generation": 7,
        });
        assert_eq!(read(&super::decision(&unread, true)), want);
        for (address, word) in [
            (ClientAddress::Missing, "missing"),
            (ClientAddress::Malformed, "malformed"),
            (ClientAddress::AllTrusted, "all_trusted"),
        ] {
            let record = Record { client: Some(Client { address, from: "header" }), ..unread.clone() };
            assert_eq!(read(&super::decision(&record, true))["client"], json!({"unknown": word, "from": "header"}));
        }
    }

    #[test]
    fn f7_one_decision_is_one_line_whatever_is_in_it() {
        let evil = "x\r\n{\"effect\":\"allow\"}\u{1b}[31m\u{85}\u{202e}\u{2028}\"\\";
        let (decision, policy, nothing) = (allowed(), Arc::from("p"), HashSet::new());
        let record = Record {
            method: Some(evil),
            host: Some(evil),
            path: Some(evil),
            query: Some(evil),
            ..record(&decision, &nothing, &policy)
        };
        let body = super::decision(&record, true);
        assert!(!body.chars().any(|character| character.is_control() || "\u{202e}\u{2028}".contains(character)));
        let read = read(&body);
        assert_eq!((&read["path"], &read["query"], &read["effect"]), (&json!(evil), &json!(evil), &json!("allow")));
    }
}
