//! One decision as one line of JSON. `docs/audit.md` documents every member; a test holds it to that.
//!
//! What is made here is the body of a line: from its `kind` to its closing brace. Who writes the lines puts the schema
//! and the chain before it.

use crate::audit::form::Client;
use crate::audit::form::Shown;
use crate::audit::json::Members;
use crate::audit::replay;
use crate::model::record::Counts;
use crate::model::record::Record;

/// The version of what a line says. A member may be added to a version, but not removed or given another meaning.
pub(super) const SCHEMA: u32 = 1;

/// What is common in one line, so that its text grows once.
const USUAL_LENGTH: usize = 768;

/// The body of the line of one decision. Facts that are not known are left out.
pub(super) fn decision(shown: &Shown<'_>) -> String {
    let record = shown.record;
    let mut body = String::with_capacity(USUAL_LENGTH);
    let decision = record.decision;
    let mut line = Members::new(&mut body);
    line.word("kind", "decision");
    line.time("time", record.at);
    line.plain("id", record.decision_id);
    line.word("dialect", record.dialect.name());
    for (name, value) in
        [("method", record.method), ("host", record.host), ("path", shown.path), ("query", shown.query)]
    {
        if let Some(value) = value {
            line.text(name, value);
        }
    }
    if let (Some(client), Some(from)) = (shown.client, record.client.map(|client| client.from)) {
        line.object("client", |line| {
            match client {
                Client::Ip(ip) => line.plain("ip", ip),
                Client::Network(ip, length) => line.plain("network", format_args!("{ip}/{length}")),
                Client::Unknown(why) => line.text("unknown", why),
            }
            line.text("from", from);
        });
    }
    if let Some(identity) = decision.principal.identity() {
        if let Some(subject) = &shown.subject {
            line.text("subject", subject);
        }
        line.text("issuer", identity.issuer());
        if let Some(user) = &shown.user {
            line.text("user", user);
        }
        line.text("source", identity.source());
        if let Some(groups) = &shown.groups {
            line.texts("groups", groups.iter().copied());
        }
    }
    route(&mut line, record);
    line.word("effect", decision.effect().name());
    line.word("reason", decision.reason.code());
    if let Some(limit) = record.refused_by() {
        line.text("limit", limit);
    }
    line.number("status", u64::from(record.status));
    line.text("policy", record.policy);
    line.number("generation", record.generation);
    measured(&mut line, record);
    if let Some(trace) = record.trace {
        line.object("trace", |line| {
            line.hex("id", &trace.trace_id);
            line.hex("parent", &trace.parent);
            line.truth("sampled", trace.sampled);
        });
    }
    if let Some(replay) = &record.replay {
        line.object("replay", |line| replay::write(line, record, replay, shown.query.is_some()));
    }
    body.push('}');
    body
}

/// What of the policy decided.
pub(super) fn route(line: &mut Members<'_>, record: &Record<'_>) {
    if let Some(route) = &record.decision.route {
        line.object("route", |line| {
            line.text("host", &route.host);
            line.text("name", &route.name);
        });
    }
    if let Some(place) = &record.decision.place {
        line.place("rule", &place.file, place.line);
    }
}

/// How long it took, and what was left out on the way.
pub(super) fn measured(line: &mut Members<'_>, record: &Record<'_>) {
    if let Some(took) = record.took {
        line.number("duration_us", u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
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
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::audit::form::Form;
    use crate::audit::form::Format;
    use crate::audit::form::Redact;
    use crate::audit::pseudonym::Pseudonyms;
    use crate::model::client_ip::ClientAddress;
    use crate::model::decision::Decision;
    use crate::model::decision::DecisionId;
    use crate::model::decision::RouteId;
    use crate::model::dialect::Dialect;
    use crate::model::identity::Claims;
    use crate::model::identity::Identity;
    use crate::model::identity::Principal;
    use crate::model::problem::Place;
    use crate::model::reason::Reason;
    use crate::model::record;
    use crate::model::secret::Secret;
    use crate::model::trace::TraceContext;

    fn written(record: &Record<'_>, include_query: bool) -> String {
        Form { include_query, ..Form::default() }.decision(record)
    }

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
            client: Some(record::Client {
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
            limits: &[],
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
        let body = written(&record(&decision, &mentioned, &policy), false);
        assert_eq!(read(&body), want);
        assert!(!body.contains("canary"), "{body}");
        let asked = written(&record(&decision, &mentioned, &policy), true);
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
        assert_eq!(read(&written(&unread, true)), want);
        for (address, word) in [
            (ClientAddress::Missing, "missing"),
            (ClientAddress::Malformed, "malformed"),
            (ClientAddress::AllTrusted, "all_trusted"),
        ] {
            let record = Record { client: Some(record::Client { address, from: "header" }), ..unread.clone() };
            assert_eq!(read(&written(&record, true))["client"], json!({"unknown": word, "from": "header"}));
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
        let body = written(&record, true);
        assert!(!body.chars().any(|character| character.is_control() || "\u{202e}\u{2028}".contains(character)));
        let read = read(&body);
        assert_eq!((&read["path"], &read["query"], &read["effect"]), (&json!(evil), &json!(evil), &json!("allow")));
    }

    #[test]
    fn what_is_redacted_is_not_said_in_any_format() {
        let (decision, policy) = (allowed(), Arc::from("p"));
        let mentioned = ["ops"].map(Arc::from).into();
        let record = record(&decision, &mentioned, &policy);
        let all = vec![Redact::Subject, Redact::User, Redact::Groups, Redact::ClientIp, Redact::Path];
        for format in [Format::Json, Format::Ocsf, Format::Cef] {
            let open = Form { format, include_query: true, ..Form::default() };
            let hidden = Form { redact: all.clone(), ..open.clone() };
            for secret in ["u-1", "alice", "ops", "192.0.2.7", "/a/b", "token"] {
                assert!(open.decision(&record).contains(secret), "{format:?} {secret}");
                assert!(!hidden.decision(&record).contains(secret), "{format:?} {secret}");
            }
            assert!(hidden.decision(&record).contains("192.0.2.0/24"), "{format:?}");
            let pseudonyms = Pseudonyms::new(&Secret::new(vec![7; 32]));
            let named = Form { pseudonyms, ..open }.decision(&record);
            assert!(!named.contains("u-1") && !named.contains("alice"), "{named}");
            assert_eq!(named.matches("pseudonym:").count(), 2, "{named}");
        }
        let hidden = Form { redact: all, ..Form::default() };
        assert_eq!(read(&hidden.decision(&record))["client"], json!({"network": "192.0.2.0/24", "from": "xff"}));
    }

    #[test]
    fn an_ocsf_event_has_what_its_class_requires() {
        let (decision, policy) = (allowed(), Arc::from("p"));
        let mentioned = ["ops"].map(Arc::from).into();
        let body = Form { format: Format::Ocsf, ..Form::default() }.decision(&record(&decision, &mentioned, &policy));
        let version = env!("CARGO_PKG_VERSION");
        let want = json!({
            "category_uid": 4, "class_uid": 4002, "activity_id": 3, "type_uid": 400_203, "severity_id": 1,
            "status_id": 1, "status_code": "permitted", "action_id": 1, "disposition_id": 1,
            "time": 1_801_396_800_123_i64,
            "metadata": {
                "version": "1.3.0", "product": {"name": "Postern", "vendor_name": "Postern", "version": version},
                "log_name": "audit", "profiles": ["host", "security_control"], "uid": "00000000000000000000000007",
                "correlation_uid": "0af7651916cd43dd8448eb211c80319c",
            },
            "src_endpoint": {"ip": "192.0.2.7"}, "dst_endpoint": {"hostname": "wiki.corp.test"},
            "http_request": {"http_method": "GET", "url": {"hostname": "wiki.corp.test", "path": "/a/b"}},
            "actor": {
                "user": {"name": "alice", "uid": "u-1", "groups": [{"name": "ops"}]},
                "idp": {"name": "people", "uid": "https://sso.test"},
            },
            "policy": {"name": "policy.yaml:12", "uid": "p"},
            "unmapped": {
                "kind": "decision", "dialect": "nginx", "client_from": "xff",
                "route": {"host": "*.corp.test", "name": "/a/**"}, "rule": "policy.yaml:12", "generation": 7,
                "duration_us": 41, "counts": {"spoofed": 2}, "parent": "b7ad6b7169203331", "sampled": true,
            },
        });
        assert_eq!(read(&body), want);
        let denied = Decision::deny(Reason::MessageMalformed);
        let unread = Record {
            decision: &denied,
            status: 503,
            method: None,
            host: None,
            path: None,
            query: None,
            client: None,
            ..record(&denied, &mentioned, &policy)
        };
        let event = read(&Form { format: Format::Ocsf, ..Form::default() }.decision(&unread));
        let said = ["activity_id", "type_uid", "severity_id", "status_id", "action_id", "disposition_id"]
            .map(|name| event[name].as_u64());
        assert_eq!(said, [Some(0), Some(400_200), Some(3), Some(2), Some(2), Some(2)]);
        assert_eq!(
            (&event["http_response"], &event["src_endpoint"]),
            (&json!({"code": 503}), &json!({"name": "unknown"}))
        );
    }

    #[test]
    fn a_cef_line_says_what_receivers_look_for() {
        let (decision, policy) = (allowed(), Arc::from("p"));
        let mentioned = ["ops"].map(Arc::from).into();
        let form = Form { format: Format::Cef, ..Form::default() };
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            form.decision(&record(&decision, &mentioned, &policy)),
            format!(
                "CEF:0|Postern|postern|{version}|permitted|request allowed|1|rt=1801396800123 \
                 externalId=00000000000000000000000007 act=allow reason=permitted app=nginx src=192.0.2.7 requestMethod=GET \
                 dhost=wiki.corp.test request=/a/b suid=u-1 suser=alice cs3=https://sso.test cs3Label=issuer spriv=ops \
                 cs4=*.corp.test /a/** cs4Label=route cs5=policy.yaml:12 cs5Label=rule cs6=p cs6Label=policy cn1=200 \
                 cn1Label=status cn2=41 cn2Label=microseconds cn3=7 cn3Label=generation"
            )
        );
    }
}
