//! K6: what is revoked is refused, whatever is remembered of it.

use std::sync::Arc;

use postern::config::load::Pretend;
use postern::engine::Engine;
use serde_json::json;

use super::House;
use super::get;

const POLICY: &str = "revocation: {file: revoked.yaml}
hosts: {app.test: {routes: [{path: /**, require: {groups: [staff]}}]}}
";

/// The same house with this in force.
fn with(house: &mut House, revoked: &str) -> Result<(), Vec<String>> {
    let world = Pretend::new().file("keys.json", house.issuer.jwks()).file("revoked.yaml", revoked);
    let snapshot = super::build(POLICY, world)?;
    house.engine = Engine::new(Arc::new(snapshot), Arc::clone(house.engine.telemetry()));
    Ok(())
}

#[test]
fn k6_a_revoked_token_is_refused_from_the_reload_on() {
    let mut house = House::with("");
    let now = super::now();
    let token = house.token(&json!({"jti": "t-1", "sid": "s-1", "sub": "u-1", "iat": now - 60}));
    let ask = get("/x").bearer(&token);
    let clock = |second: i64| jiff::Timestamp::from_second(second).expect("a time").to_string();
    for (line, reason) in [
        ("".to_owned(), "permitted"),
        ("- {token: t-1, comment: stolen}".to_owned(), "revoked"),
        ("- {token: t-1, source: people}".to_owned(), "revoked"),
        ("- {token: T-1}".to_owned(), "permitted"),
        ("- {session: s-1}".to_owned(), "revoked"),
        ("- {subject: u-1}".to_owned(), "revoked"),
        (format!("- {{subject: u-1, issued_before: \"{}\"}}", clock(now)), "revoked"),
        (format!("- {{subject: u-1, issued_before: \"{}\"}}", clock(now - 60)), "permitted"),
        ("- {subject: u-2}\n- {subject: u-3}".to_owned(), "permitted"),
    ] {
        with(&mut house, &format!("{line}\n...\n")).unwrap_or_else(|problems| panic!("{line}: {problems:?}"));
        // The second time it is remembered as verified.
        assert_eq!([house.reason(&ask), house.reason(&ask)], [reason, reason], "{line}");
    }
    with(&mut house, "- {token: t-1}\n...\n").expect("a policy");
    assert_eq!(house.answer(&ask).status, 401);
}

#[test]
fn a_list_of_revocations_that_is_wrong_refuses_the_policy() {
    let mut house = House::with("");
    for (text, want) in [
        ("- {}\n...\n", "this mapping is empty"),
        ("- {comment: x}\n...\n", "this line revokes nothing"),
        ("- {token: a, subject: b}\n...\n", "this line revokes several things"),
        ("- {token: ''}\n...\n", "an empty name revokes nothing"),
        ("- {jti: a}\n...\n", "unknown key `jti`"),
        ("- {subject: a, source: peple}\n...\n", "there is no identity source called `peple`"),
        ("- {subject: a, issued_before: yesterday}\n...\n", "`yesterday` is not a time"),
        ("- {certificate: ab}\n...\n", "it is not the 64 hex digits of a SHA-256"),
        ("token: a\n...\n", "expected a list, found a mapping"),
    ] {
        let problems = with(&mut house, text).expect_err(text);
        assert!(problems.iter().any(|problem| problem.contains(want)), "{text}: {problems:?}");
    }
}
