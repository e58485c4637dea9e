//! What a line of the audit log keeps is enough to judge its request again: the same decision, the same answer and the same
//! explanation, without anything secret in the line. And where it is not enough, that is the answer.

mod served;

use std::borrow::Cow;
use std::sync::LazyLock;

use proptest::prelude::*;

use postern::audit::form::Form;
use postern::audit::replay::Recorded;
use postern::authn::Answers;
use postern::dialect::ext_authz;
use postern::dialect::forward_auth;
use postern::engine::replay::Replayed;
use postern::engine::replay::replay;
use postern::engine::replay::replayable;
use postern::engine::walk::Given;
use postern::engine::walk::Walk;
use postern::engine::walk::Walked;
use postern::engine::walk::walk;
use postern::limit::Purse;
use postern::model::decision::DecisionId;
use postern::model::dialect::Dialect;
use postern::model::record::Client;
use postern::model::record::Counts;
use postern::model::record::Record;
use postern::model::request::Attributes;
use postern::model::request::Refusal;
use postern::model::request::Request;
use postern::model::response::Verdict;
use postern::policy::trace::Notes;
use postern::policy::trace::Station;
use postern::snapshot::Snapshot;
use postern::telemetry::clock;
use serde_json::Value;
use serde_json::json;

use crate::fuzz::asked::Asked;
use crate::fuzz::world;
use crate::property::asked;

/// The fixed policy with everything else that looks at a request or at a caller.
static RICH: LazyLock<Snapshot> = LazyLock::new(|| {
    let policy = world::POLICY
        .replacen(
            "\nidentity:",
            "\nspoof_guard: strip\nclient_ip: {from: {header: X-Client}}\nrevocation: {file: revoked.yaml}\nidentity:",
            1,
        )
        .replacen(
            "  headers: {user: Remote-User, groups: Remote-Groups, email: Remote-Email, name: Remote-Name}\n",
            "  headers:\n    user: Remote-User\n    groups: Remote-Groups\n    email: Remote-Email\n    name: Remote-Name\n    \
             extra: {X-Dept: {claim: 'deep[\"de.pt\"].name'}, X-Mail: {claim: email}}\n  groups: {send: mentioned}\n",
            1,
        )
        .replacen(
            "      - {path: /office/**,",
            "      - {path: /claims/**, require: {any: [{claims: {dept: [eng, 7]}}, {claims: {deep.list: [a]}}]}}\n      \
             - {path: /mail/**, require: {claims: {email: [alice@corp.test]}}}\n      - {path: /office/**,",
            1,
        );
    let world = world::machine(&policy).file("revoked.yaml", "- {subject: id-4}\n...\n");
    let loaded = postern::config::load::load(std::path::Path::new("p.yaml"), &world).unwrap_or_else(|r| panic!("{r}"));
    let (snapshot, _) = postern::snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}"));
    snapshot
});

fn walked(snapshot: &Snapshot, request: &Request<'_>, given: &Given) -> (Box<Walked>, Notes) {
    let mut notes = Notes::default();
    match walk(snapshot, request, given, &mut Purse::looking(clock::instant()), &mut notes) {
        Walk::Done(walked) => (walked, notes),
        other => panic!("{other:?}"),
    }
}

fn given() -> Given {
    let now = jiff::Timestamp::new(world::NOW, 123_456_000).expect("a time");
    Given { decision_id: DecisionId(1 << 80 | 77), now, answers: Answers::none(), assumed: None }
}

/// The line of a request, and how it was decided; `None` where no policy had a say.
fn kept(
    snapshot: &Snapshot,
    attributes: Result<Attributes<'_>, Refusal>,
    with_query: bool,
) -> Option<(String, Box<Walked>, Notes)> {
    let request = attributes.and_then(Request::parse).ok()?;
    let given = given();
    let (walked, notes) = walked(snapshot, &request, &given);
    let path: Cow<'_, str> = request.path.canonical_text();
    let record = Record {
        at: given.now,
        decision_id: given.decision_id,
        dialect: request.dialect,
        decision: &walked.decision,
        status: 200,
        method: Some(request.method),
        host: Some(request.host.name()),
        path: Some(&path),
        query: request.path.query(),
        client: Some(Client { address: walked.address, from: "dialect" }),
        mentioned: Some(&snapshot.policy.headers.group_rule.mentioned),
        policy: &snapshot.digest,
        generation: 1,
        took: None,
        trace: None,
        replay: Some(replayable(snapshot, &request, &walked)),
        detail: walked.detail.as_deref(),
        limits: &[],
        counts: Counts::default(),
    };
    let line = format!("{{\"schema\":1,{}", Form { include_query: with_query, ..Form::default() }.decision(&record));
    Some((line, walked, notes))
}

/// All that was said but of the credentials, which nobody sees again. `with_query`: and of the way back to where a login
/// page leads, which holds the query.
fn said(notes: &Notes, with_query: bool) -> Vec<String> {
    let told = notes.0.iter().filter(|note| note.station != Station::Authenticate);
    let told = told.filter(|note| with_query || !note.text.starts_with("location: "));
    told.map(|note| format!("{:?} {} {:?}", note.station, note.text, note.place)).collect()
}

fn answer(verdict: &Verdict, with_query: bool) -> String {
    match verdict {
        Verdict::Allow(allow) => {
            let set: Vec<_> = allow.headers.set().collect();
            format!("{} {set:?} without {:?}", allow.reason, allow.headers.remove())
        }
        Verdict::Deny(denial) => {
            let body = if with_query { denial.body.as_str() } else { "" };
            let headers = denial.headers.iter().filter(|(name, _)| with_query || name != "location");
            format!("{} {} {body} {:?}", denial.reason, denial.status, headers.collect::<Vec<_>>())
        }
    }
}

fn comes_to_the_same(snapshot: &Snapshot, attributes: Result<Attributes<'_>, Refusal>, with_query: bool) {
    let Some((line, walked, notes)) = kept(snapshot, attributes, with_query) else { return };
    for token in world::PEOPLE.iter().map(|person| &person.token).chain(world::USELESS.iter().map(|(_, token)| token)) {
        assert!(!line.contains(token.as_str()), "a token: {line}");
    }
    let recorded = Recorded::read(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    let mut again = Notes::default();
    let replayed = match replay(snapshot, &recorded, &mut again) {
        Replayed::Walked(walked) => walked,
        other => panic!("{other:?}: {line}"),
    };
    // Without the query, what is made of it is not known; everything else is.
    let whole = !recorded.replay.as_ref().is_some_and(|kept| kept.lacks.contains(&"query".to_owned()));
    assert_eq!(said(&again, whole), said(&notes, whole), "{line}");
    assert_eq!(answer(&replayed.verdict, whole), answer(&walked.verdict, whole), "{line}");
    let facts = |walked: &Walked| (walked.decision.reason, walked.address, walked.seen, walked.decision.place.clone());
    assert_eq!(facts(&replayed), facts(&walked), "{line}");
    assert_eq!(replayed.decision.route, walked.decision.route, "{line}");
    // A second replay is the first one, to the octet.
    let mut third = Notes::default();
    replay(snapshot, &recorded, &mut third);
    assert_eq!(third, again);
}

fn every_dialect(snapshot: &Snapshot, asked: &Asked, with_query: bool) {
    for joined in [true, false] {
        let check = asked.check_request(joined);
        comes_to_the_same(snapshot, ext_authz::decode(&ext_authz::Check::from(&check)), with_query);
    }
    for dialect in Dialect::ALL {
        if let Some(parts) = asked.head(dialect) {
            comes_to_the_same(snapshot, forward_auth::decode(dialect, &parts), with_query);
        }
    }
}

/// The line of one request behind nginx.
fn line_of(snapshot: &Snapshot, text: &str, with_query: bool) -> Value {
    let asked = Asked::parse(text.as_bytes()).expect("a request");
    let parts = asked.head(Dialect::Nginx).expect("a request that nginx can ask about");
    let attributes = forward_auth::decode(Dialect::Nginx, &parts);
    let (line, ..) = kept(snapshot, attributes, with_query).expect("a request that can be judged");
    serde_json::from_str(&line).expect("JSON")
}

/// Lines that have every member there is for replays, between them.
pub(crate) fn lines() -> Vec<Value> {
    let mut claims = world::claims("alice", &["staff"]);
    claims["scope"] = json!("read");
    let token = world::sign(&world::header().to_string(), &claims.to_string());
    [
        format!(
            "POST http rules.test:80 /ask//x?a=1&b=2 192.0.2.7\nX-Client: 192.0.2.7\nAuthorization: Bearer {token}"
        ),
        "POST https rules.test /ask 192.0.2.7\nEarly-Data: 1".to_owned(),
        "OPTIONS https rules.test /ask 192.0.2.7\nOrigin: https://a.test\nAccess-Control-Request-Method: PUT"
            .to_owned(),
        "GET https wiki.test /staff 192.0.2.7\nSec-Fetch-Mode: navigate\nCookie: access_token={old}".to_owned(),
        "GET https wiki.test /public 192.0.2.7\nRemote_User: root".to_owned(),
    ]
    .iter()
    .map(|text| line_of(&RICH, text, false))
    .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_line_is_enough_to_decide_again(asked in asked(), with_query in any::<bool>()) {
        every_dialect(&world::SNAPSHOT, &asked, with_query);
        every_dialect(&RICH, &asked, with_query);
    }
}

/// What chance rarely finds.
#[test]
fn a_line_is_enough_for_the_odd_ones_too() {
    let from = "192.0.2.7";
    for text in [
        format!("GET https rules.test /ask/x?a=1&token=canary {from}\nAuthorization: Bearer {{alice}}\nX-Tenant: acme"),
        format!(
            "GET https rules.test /ask/x?token=can;ary&a=1 {from}\nAuthorization: Bearer {{alice}}\nX-Tenant: acme"
        ),
        format!(
            "GET https rules.test /ask/x?a=1&a=2 {from}\nAuthorization: Bearer {{alice}}\nX-Tenant: corp\nX-Tenant: x"
        ),
        format!("GET https rules.test /claims/x {from}\nAuthorization: Bearer {{alice}}"),
        format!("GET https rules.test /mail/x {from}\nAuthorization: Bearer {{alice}}\nX-Client: 192.0.2.9"),
        format!("GET https rules.test /mail/x {from}\nAuthorization: Bearer {{root}}\nX-Client: 192.0.2.9"),
        format!("GET https rules.test /near/x {from}\nX-Client: 192.0.2.9"),
        format!("GET https rules.test /near/x {from}\nX-Client: 192.0.2.9\nX-Client: 192.0.2.8"),
        format!("OPTIONS https rules.test /near/x {from}\nOrigin: https://a.test\nAccess-Control-Request-Method: PUT"),
        format!("OPTIONS https rules.test /near/x {from}\nOrigin: https://a.test"),
        format!("POST https wiki.test /staff/x {from}\nEarly-Data: 1\nAuthorization: Bearer {{alice}}"),
        format!("GET https wiki.test /staff/x?rd=1 {from}\nSec-Fetch-Mode: navigate"),
        format!("GET https wiki.test /staff/x {from}\nSec-Fetch-Mode: navigate\nCookie: access_token={{old}}"),
        format!("GET https wiki.test /staff/x {from}\nSec-Fetch-Mode: cors\nAccept: text/html"),
        format!(
            "GET https wiki.test /staff/x {from}\nRemote_User: root\nConnection: close, Remote-User\nremote-user: x"
        ),
        format!("GET https wiki.test /Staff//x/%2e%2e/./y;v=1 {from}\nAuthorization: Bearer {{alice}}"),
        format!("GET https files.test /files/a%2fb {from}"),
        format!("GET http WIKI.test.:8443 /x {from}\nAuthorization: Bearer {{root}}"),
        format!("GET https x.test /x {from}\nAuthorization: Bearer {{odd}}"),
        format!("GET https x.test /x {from}\nAuthorization: Bearer {{zoe}}"),
        format!("GET https x.test /x {from}\nAuthorization: Bearer {{forged}}"),
        format!("GET https unknown.other /x {from}"),
    ] {
        let asked = Asked::parse(text.as_bytes()).expect("a request");
        for with_query in [true, false] {
            every_dialect(&world::SNAPSHOT, &asked, with_query);
            every_dialect(&RICH, &asked, with_query);
        }
    }
}

#[test]
fn f6_a_line_for_replays_holds_no_credential_and_says_what_it_lacks() {
    let line = line_of(
        &world::SNAPSHOT,
        "GET https rules.test /ask/x?a=1&token=canary-query 192.0.2.7\nAuthorization: Bearer {alice}\nX-Tenant: acme\n\
         X-Api-Key: canary-key\nCookie: sid=canary-cookie\nX-Other: canary-header",
        false,
    );
    assert!(!line.to_string().contains("canary"), "{line}");
    let replay = &line["replay"];
    assert_eq!(replay["query"], "a=1");
    assert_eq!((&replay["lacks"], &replay["parameters"]), (&json!(["query"]), &json!(["a"])));
    assert_eq!(replay["headers"], json!({"x-block": [], "x-slow": [], "x-tenant": ["acme"]}));
    assert_eq!((&replay["caller"], &replay["sources"]), (&json!("proven"), &json!([["people"]])));
}

#[test]
fn what_a_line_does_not_say_is_not_guessed() {
    let line = line_of(&world::SNAPSHOT, "GET https wiki.test /public/x?b=1 192.0.2.7", false);
    let recorded = Recorded::read(&line.to_string()).expect("a line");
    let other = |from: &str, to: &str| world::snapshot(&world::POLICY.replacen(from, to, 1)).expect("a policy");
    let replayed = |snapshot: &Snapshot| match replay(snapshot, &recorded, &mut Notes::default()) {
        Replayed::Walked(walked) => walked.decision.reason.code().to_owned(),
        Replayed::Unknown(lacking) => lacking,
        Replayed::Unread => "unread".to_owned(),
    };
    let public = "/public/**, public: true";
    for (policy, want) in [
        (other("/public/**", "/other/**"), "route_unknown"),
        (other(public, "/public/**, network: [10.0.0.0/8], public: true"), "network_denied"),
        (
            other(public, "/public/**, require: {authenticated: true}"),
            "what the identity sources of the route make of the credentials",
        ),
        (other("{a: \"1\"}", "{b: \"1\"}"), "the parameter `b` of the query"),
        (other("x-tenant:", "x-new:"), "the header `x-new`"),
        (other("x-tenant:", "cookie:"), "the header `cookie`"),
        (other("Remote-User,", "X-User,"), "which of the names of this policy's identity headers the client sent"),
    ] {
        assert_eq!(replayed(&policy), want);
    }
    let proven = line_of(&world::SNAPSHOT, "GET https x.test / 192.0.2.7\nAuthorization: Bearer {alice}", false);
    let recorded = Recorded::read(&proven.to_string()).expect("a line");
    match replay(
        &RICH,
        &Recorded {
            replay: recorded.replay.map(|kept| postern::audit::replay::Kept {
                headers: [("x-client", vec![]), ("x-block", vec![]), ("x-slow", vec![]), ("x-tenant", vec![])]
                    .map(|(name, values)| (name.to_owned(), values))
                    .into(),
                guard: RICH.reads.guard.clone(),
                ..kept
            }),
            ..recorded
        },
        &mut Notes::default(),
    ) {
        Replayed::Unknown(lacking) => assert!(lacking.starts_with("the claim `"), "{lacking}"),
        other => panic!("{other:?}"),
    }
    for (line, want) in [
        (r#"{"schema":1,"kind":"start","time":"2027-01-31T12:00:00Z"}"#, "the line is no decision"),
        (
            r#"{"schema":1,"kind":"decision","time":"2027-01-31T12:00:00Z","host":"a.test"}"#,
            "the line was written without `audit.replay: true`",
        ),
        ("{", "the line is not JSON of ours"),
    ] {
        assert_eq!(Recorded::read(line).map(drop).map_err(|error| error.to_string()), Err(want.to_owned()));
    }
    let unread = r#"{"schema":1,"kind":"decision","time":"2027-01-31T12:00:00Z","reason":"bad_target"}"#;
    let unread = Recorded::read(unread).expect("a line");
    assert!(matches!(replay(&RICH, &unread, &mut Notes::default()), Replayed::Unread));
}
