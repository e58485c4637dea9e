//! People with passwords, through every dialect: what a browser and a program are told.

use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern::authn::basic::PasswordHash;
use postern::config::load::Pretend;
use postern::dialect::ext_authz;
use postern::engine::Engine;
use postern::model::response::Verdict;
use postern::model::secret::Secret;

use super::Ask;
use super::House;
use super::build;
use super::get;
use crate::proxy::asked::Question;
use crate::proxy::asked::WAYS;

pub(super) const PASSWORD: &str = "canary-of-a-password-9c";

/// A line of an htpasswd file.
pub(super) static LINE: LazyLock<String> = LazyLock::new(|| {
    let hash = PasswordHash::new(&Secret::new(PASSWORD.to_owned())).expect("a hash");
    format!("alice:{hash}\n")
});

pub(super) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn house() -> House {
    const POLICY: &str = "identity:
  people: {jwt: {issuer: https://sso.test, audience: app, jwks_file: keys.json, algorithms: [ES256], token: [bearer, {cookie: session}]}}
  staff: {basic: {htpasswd: users, groups: {staff: alice}}}
hosts:
  app.test:
    identity: [staff]
    routes:
      - {path: /both/**, identity: [people, staff], require: {groups: [staff]}}
      - {path: /people/**, identity: people, require: {groups: [staff]}}
      - {path: /open/**, identity: [staff, anonymous], require: {network: [192.0.2.0/24]}}
      - {path: /**, require: {groups: [staff]}}
";
    let mut house = House::with("");
    let world = Pretend::new().file("keys.json", house.issuer.jwks()).file("users", LINE.as_str());
    let snapshot = build(POLICY, world).unwrap_or_else(|problems| panic!("{problems:?}"));
    house.engine = Engine::new(Arc::new(snapshot), Arc::clone(house.engine.telemetry()));
    house
}

/// Ask until the verification, which may outlive the first asker, has ended.
fn settle(house: &House, ask: &Ask) {
    let way = WAYS.iter().find(|way| matches!((way.ask)(&ask.client()), Question::Grpc(_))).expect("Envoy");
    for _ in 0..1000 {
        let Question::Grpc(question) = (way.ask)(&ask.client()) else { panic!("not gRPC") };
        let question = ext_authz::read(question.as_slice()).expect("a question");
        let attributes = ext_authz::decode(&question);
        let answer = house.runtime.block_on(house.engine.authorize(attributes, Some(Duration::from_secs(20))));
        match answer.verdict {
            Verdict::Deny(denial) if denial.status == 503 => {}
            Verdict::Allow(_) | Verdict::Deny(_) => return,
        }
    }
    panic!("never verified");
}

#[test]
fn a_password_opens_what_it_is_for_and_nothing_else() {
    let house = house();
    let (good, bad) = (basic("alice", PASSWORD), basic("alice", "x"));
    for value in [&good, &bad, &basic("carol", PASSWORD)] {
        settle(&house, &get("/x").header("Authorization", value));
    }
    for (ask, want) in [
        (get("/x").header("Authorization", &good), "permitted"),
        (get("/x").header("Authorization", &bad), "password_invalid"),
        (get("/x").header("Authorization", &basic("carol", PASSWORD)), "password_invalid"),
        (get("/x"), "credential_missing"),
        (get("/both/x").header("Authorization", &good), "permitted"),
        (house.as_member(get("/both/x"), &["staff"]), "permitted"),
        (get("/people/x").header("Authorization", &good), "credential_missing"),
        (get("/open/x"), "permitted"),
        (get("/open/x").header("Authorization", &bad), "password_invalid"),
        (get("/x").header("Authorization", &good).header("Authorization", &good), "duplicate_credential"),
    ] {
        assert_eq!(house.reason(&ask), want, "{ask:?}");
    }
    assert_eq!(house.answer(&get("/x").header("Authorization", &good)).header("remote-user"), Some("alice"));
}

#[test]
fn a_route_asks_for_what_it_takes() {
    let house = house();
    for (target, want) in [
        ("/x", "Basic realm=\"postern\", charset=\"UTF-8\""),
        ("/people/x", "Bearer realm=\"postern\""),
        ("/both/x", "Bearer realm=\"postern\", Basic realm=\"postern\", charset=\"UTF-8\""),
    ] {
        for way in &WAYS {
            let question = (way.ask)(&get(target).client());
            let response = house.runtime.block_on(super::authorize(&house.engine, way.dialect, &question));
            let Verdict::Deny(denial) = response.verdict else { panic!("{target} is open") };
            let asked = denial.headers.iter().find(|(name, _)| *name == http::header::WWW_AUTHENTICATE);
            assert_eq!(asked.map(|(_, value)| value.as_str()), Some(want), "{target} {}", way.name);
        }
    }
}

#[test]
fn d6_nobody_waits_for_a_password_longer_than_half_of_the_deadline() {
    let house = house();
    let value = basic("alice", PASSWORD);
    let ask = get("/x").header("Authorization", &value);
    let way = WAYS.iter().find(|way| matches!((way.ask)(&ask.client()), Question::Grpc(_))).expect("Envoy");
    let Question::Grpc(question) = (way.ask)(&ask.client()) else { panic!("not gRPC") };
    let question = ext_authz::read(question.as_slice()).expect("a question");
    let attributes = ext_authz::decode(&question);
    let answer = house.runtime.block_on(house.engine.authorize(attributes, Some(Duration::ZERO)));
    let Verdict::Deny(denial) = answer.verdict else { panic!("allowed without waiting") };
    assert_eq!((denial.status, denial.reason.code()), (503, "upstream_unavailable"));
    let again = denial.headers.iter().find(|(name, _)| *name == http::header::RETRY_AFTER);
    assert_eq!(again.map(|(_, value)| value.as_str()), Some("1"));
    // What was begun goes on: the next try, which does not wait either, soon finds its end.
    let first_right = (0..100_000).find(|_| {
        std::thread::yield_now();
        let attributes = ext_authz::decode(&question);
        let answer = house.runtime.block_on(house.engine.authorize(attributes, Some(Duration::ZERO)));
        matches!(answer.verdict, Verdict::Allow(_))
    });
    assert!(first_right.is_some(), "never remembered");
}
