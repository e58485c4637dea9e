use serde_json::json;

use super::*;
use crate::model::reason::Reason;

fn path(text: &str) -> ClaimPath {
    ClaimPath::parse(text).expect("a path")
}

fn read(mapping: &ClaimMapping, claims: Value) -> Result<Mapped, Reason> {
    mapping.read(claims.as_object().expect("an object")).map_err(|error| error.reason())
}

#[test]
fn facts_are_found_where_the_mapping_says() {
    let mapping = ClaimMapping {
        user: path("preferred_username"),
        groups: vec![path("groups"), path("realm_access.roles"), path("https://corp.test/groups"), path("team")],
        email: path("contact.email"),
        name: path("display"),
    };
    let claims = json!({
        "sub": "1", "preferred_username": "alice", "groups": ["a", "b", "a", ""], "realm_access": {"roles": ["b", "c"]},
        "https://corp.test/groups": ["d"], "team": "e f", "contact": {"email": "a@x"}, "display": "Alice",
        "email_verified": true, "scope": "read  write", "scp": "write admin",
    });
    let text = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    assert_eq!(
        read(&mapping, claims),
        Ok(Mapped {
            user: "alice".into(),
            groups: text(&["a", "b", "c", "d", "e f"]),
            email: Some("a@x".into()),
            email_verified: true,
            name: Some("Alice".into()),
            scopes: text(&["read", "write", "admin"]),
        })
    );
}

#[test]
fn only_the_user_is_required() {
    let bare =
        || Mapped { user: "1".into(), groups: vec![], email: None, email_verified: false, name: None, scopes: vec![] };
    let mapping = ClaimMapping::default();
    for claims in [
        json!({"sub": "1"}),
        json!({"sub": "1", "groups": null, "email": null, "name": null, "scope": null, "scp": null}),
        json!({"sub": "1", "groups": [], "email": "", "name": "", "scope": "", "scp": []}),
        json!({"sub": "1", "groups": "", "email_verified": "true"}),
    ] {
        assert_eq!(read(&mapping, claims.clone()), Ok(bare()), "{claims}");
    }
    let by_name = ClaimMapping { user: path("preferred_username"), ..mapping };
    for claims in [json!({"sub": "1"}), json!({"sub": "1", "preferred_username": ""})] {
        assert_eq!(read(&by_name, claims.clone()), Err(Reason::TokenClaims), "{claims}");
    }
}

#[test]
fn i7_a_user_from_a_mail_address_has_one_at_sign() {
    let mapping = ClaimMapping { user: path("email"), ..ClaimMapping::default() };
    for (email, good) in
        [("a@corp.test", true), ("a@corp.test@evil.test", false), ("a", false), ("@", true), ("a@@corp.test", false)]
    {
        let read = read(&mapping, json!({"email": email, "email_verified": true}));
        assert_eq!(read.is_ok(), good, "{email}");
    }
}

#[test]
fn j08_a_claim_of_the_wrong_shape_refuses_the_token() {
    let mapping = ClaimMapping::default();
    for claims in [
        json!({"sub": ["1"]}),
        json!({"sub": "1", "groups": {"a": true}}),
        json!({"sub": "1", "groups": 7}),
        json!({"sub": "1", "groups": ["a", 7]}),
        json!({"sub": "1", "groups": [["a"]]}),
        json!({"sub": "1", "groups": [null]}),
        json!({"sub": "1", "email": ["a@x"]}),
        json!({"sub": "1", "name": {"first": "A"}}),
        json!({"sub": "1", "scope": 1}),
        json!({"sub": "1", "scp": [1]}),
    ] {
        assert_eq!(read(&mapping, claims.clone()), Err(Reason::TokenClaims), "{claims}");
    }
}
