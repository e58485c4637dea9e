//! R1 and R2: keys for machines, from the policy and the key file to what the application is told.

use std::sync::Arc;

use postern::authn::api_key::KeyHasher;
use postern::authn::api_key::KeyText;
use postern::authn::api_key::generate;
use postern::config::load::Pretend;
use postern::engine::Engine;
use postern::model::secret::Secret;

use super::House;
use super::build;
use super::get;

pub(super) const PEPPER: &str = "canary-of-a-pepper-8a-8a-8a-8a-8a-8a-8a-8a";

const POLICY: &str = "networks: {office: [192.0.2.0/24]}
identity:
  people: {jwt: {issuer: https://sso.test, audience: app, jwks_file: keys.json, algorithms: [ES256], token: [bearer, {cookie: session}]}}
  machines: {api_key: {keys: keys.yaml, pepper: {env: PEPPER}, token: [{header: X-Api-Key}, bearer, basic]}}
defaults: {identity: [people, machines]}
hosts:
  app.test:
    routes:
      - {path: /public, public: true}
      - {path: /people/**, identity: people, require: {groups: [staff]}}
      - {path: /write/**, require: {scopes: [write]}}
      - {path: /**, require: {any: [{groups: [staff]}, {identity: machines}]}}
";

/// A line of a key file, and the text of the key.
pub(super) fn key(id: &str, more: &str) -> (String, String) {
    let hasher = KeyHasher::peppered(&Secret::new(PEPPER.into())).expect("a pepper");
    let text = generate(id).expect("a key").expose().clone();
    let hash = hasher.hash(&KeyText::parse(&text).expect("a sound key"));
    (format!("- {{id: {id}, hash: '{hash}', owner: deploy, groups: [robots]{more}}}\n"), text)
}

/// A house that knows these lines.
fn house(lines: &str) -> House {
    let mut house = House::with("");
    let world = Pretend::new()
        .file("keys.json", house.issuer.jwks())
        .file("keys.yaml", format!("{lines}...\n"))
        .variable("PEPPER", PEPPER);
    let snapshot = build(POLICY, world).unwrap_or_else(|problems| panic!("{problems:?}"));
    house.engine = Engine::new(Arc::new(snapshot), Arc::clone(house.engine.telemetry()));
    house
}

fn text_of(octets: &str) -> String {
    use base64::Engine as _;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(octets))
}

#[test]
fn r1_a_key_opens_what_it_is_for_and_nothing_else() {
    let ((ci, ci_key), (office, office_key), (old, old_key)) =
        (key("ci", ", scopes: [write]"), key("office", ", networks: [office]"), key("old", ", expires: 2020-01-01"));
    let house = house(&format!("{ci}{office}{old}"));
    let stranger = key("ci", "").1;
    let asks = [
        (get("/x").header("X-Api-Key", &ci_key), "permitted"),
        (get("/x").bearer(&ci_key), "permitted"),
        (get("/x").header("Authorization", &text_of(&format!("ci:{ci_key}"))), "permitted"),
        (get("/write/x").bearer(&ci_key), "permitted"),
        (get("/write/x").bearer(&office_key), "requirement_failed"),
        (get("/people/x").bearer(&ci_key), "token_unclaimed"),
        (get("/people/x").header("X-Api-Key", &ci_key), "credential_missing"),
        (get("/x").bearer(&office_key), "permitted"),
        (get("/x").bearer(&office_key).from("198.51.100.1"), "api_key_network"),
        (get("/x").bearer(&old_key), "api_key_expired"),
        (get("/x").bearer(&stranger), "api_key_invalid"),
        (get("/x").header("X-Api-Key", "hunter2"), "api_key_invalid"),
        (get("/x").header("X-Api-Key", &ci_key).header("X-Api-Key", &ci_key), "duplicate_credential"),
        (get("/x").bearer(&ci_key).header("X-Api-Key", &stranger), "api_key_invalid"),
        (get("/public").header("X-Api-Key", "hunter2"), "public"),
        (house.as_member(get("/x"), &["staff"]), "permitted"),
        (house.as_member(get("/x").header("X-Api-Key", &stranger), &["staff"]), "permitted"),
    ];
    for (number, (ask, want)) in asks.into_iter().enumerate() {
        // Each from a client of its own: failures of one are counted.
        let ask = if ask.from == "192.0.2.7" { ask.from(&format!("192.0.2.{}", 50 + number)) } else { ask };
        assert_eq!(house.reason(&ask), want, "{} {:?}", ask.target, ask.headers);
    }
}

#[test]
fn r1_the_application_is_told_the_owner_and_not_the_key() {
    let (line, key) = key("ci", "");
    let house = house(&line);
    let answer = house.answer(&get("/x").header("X-Api-Key", &key));
    assert_eq!(answer.header("remote-user"), Some("deploy"));
    assert_eq!(answer.header("remote-groups"), Some("robots"));
    assert!(answer.removed.contains(&"x-api-key".to_owned()), "{answer:?}");
    // Where no source looks for keys in it, the header is the application's.
    let people = house.answer(&house.as_member(get("/people/x"), &["staff"]));
    assert!(!people.removed.contains(&"x-api-key".to_owned()), "{people:?}");
}

#[test]
fn r1_a_removed_line_is_a_refused_key() {
    let ((a, a_key), (b, b_key)) = (key("a", ""), key("b", ""));
    let both = house(&format!("{a}{b}"));
    let one = house(&b);
    for (house, first) in [(&both, "permitted"), (&one, "api_key_invalid")] {
        assert_eq!(house.reason(&get("/x").bearer(&a_key)), first);
        assert_eq!(house.reason(&get("/x").bearer(&b_key)), "permitted");
    }
}

#[test]
fn r2_who_fails_often_is_told_to_wait() {
    let (line, key) = key("ci", "");
    let house = house(&line);
    let guess = get("/x").header("X-Api-Key", "hunter2");
    let mut reasons = std::collections::BTreeSet::new();
    for _ in 0..30 {
        for (_, answer) in house.answers(&guess) {
            reasons.insert((answer.status, answer.reason));
        }
    }
    assert_eq!(reasons.into_iter().collect::<Vec<_>>(), [(401, "api_key_invalid"), (429, "too_many_failures")]);
    assert_eq!(house.reason(&get("/x").bearer(&key)), "permitted", "a good key from the same client");
}
