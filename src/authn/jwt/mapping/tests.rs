use serde_json::json;

use super::*;
use crate::authn::jwt::Preset;
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
        groups: ["groups", "realm_access.roles", "https://corp.test/groups", "team"]
            .map(|text| GroupClaim::plain(path(text)))
            .to_vec(),
        email: path("contact.email"),
        name: path("display"),
        ..ClaimMapping::default()
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
fn j8_a_claim_of_the_wrong_shape_refuses_the_token() {
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

#[test]
fn an_address_that_nobody_vouches_for_is_left_out() {
    let by = |claim: &str| ClaimMapping { email_proof: EmailProof::Claim(path(claim)), ..ClaimMapping::default() };
    let by_issuer = ClaimMapping { email_proof: EmailProof::Issuer, ..ClaimMapping::default() };
    for (mapping, claims, sent) in [
        (ClaimMapping::default(), json!({"email_verified": true}), true),
        (ClaimMapping::default(), json!({"email_verified": false}), false),
        (ClaimMapping::default(), json!({"email_verified": "true"}), false),
        (ClaimMapping::default(), json!({"email_verified": 1}), false),
        (ClaimMapping::default(), json!({"email_verified": [true]}), false),
        (ClaimMapping::default(), json!({}), false),
        (by("xms_edov"), json!({"xms_edov": true}), true),
        (by("xms_edov"), json!({"email_verified": true}), false),
        (by("proof.mail"), json!({"proof": {"mail": true}}), true),
        (by_issuer.clone(), json!({}), true),
        (by_issuer, json!({"email_verified": false}), true),
        (Preset::Entra.mapping(), json!({"email_verified": true}), false),
        (Preset::Entra.mapping(), json!({"xms_edov": true}), true),
    ] {
        let mut claims = claims;
        for (name, value) in [("sub", "1"), ("preferred_username", "1"), ("email", "a@corp.test")] {
            claims[name] = json!(value);
        }
        let mapped = read(&mapping, claims.clone()).expect("a mapping");
        assert_eq!((mapped.email.is_some(), mapped.email_verified), (sent, sent), "{claims}");
    }
}

#[test]
fn j13_a_prefix_keeps_users_of_issuers_apart() {
    let form = UserForm { lower_case: true, prefix: "Partners:".into() };
    let mapping = ClaimMapping { user_form: form, ..ClaimMapping::default() };
    for (sub, want) in [("alice", "Partners:alice"), ("ALICE", "Partners:alice"), ("\u{212a}im", "Partners:\u{212a}im")]
    {
        assert_eq!(read(&mapping, json!({"sub": sub})).map(|mapped| mapped.user), Ok(want.to_owned()));
    }
    assert_eq!(read(&mapping, json!({"sub": ""})), Err(Reason::TokenClaims), "a prefix alone is nobody");
}

#[test]
fn groups_that_are_kept_elsewhere_are_not_no_groups() {
    let mapping = ClaimMapping::default();
    let elsewhere = |names: Value| json!({"sub": "1", "_claim_names": names, "_claim_sources": {"src1": {"endpoint": "https://graph.test"}}});
    for (claims, good) in [
        (elsewhere(json!({"groups": "src1"})), false),
        (elsewhere(json!({"roles": "src1"})), false),
        (elsewhere(json!({"sub": "src1"})), false),
        (elsewhere(json!({"email": "src1"})), false),
        (elsewhere(json!({"address": "src1", "scp": "src1"})), false),
        (elsewhere(json!({"address": "src1"})), true),
        (elsewhere(json!({})), true),
        (elsewhere(json!(null)), true),
        (elsewhere(json!(["groups"])), false),
        (elsewhere(json!("groups")), false),
        (json!({"sub": "1", "hasgroups": true}), false),
        (json!({"sub": "1", "hasgroups": "true"}), false),
        (json!({"sub": "1", "hasgroups": false}), true),
        (json!({"sub": "1", "hasgroups": true, "groups": ["a"]}), true),
    ] {
        assert_eq!(read(&mapping, claims.clone()).is_ok(), good, "{claims}");
    }
    let error = mapping.read(elsewhere(json!({"groups": "s"})).as_object().expect("an object")).expect_err("refused");
    assert!(error.to_string().starts_with("the claim `groups` is not in the token but elsewhere"), "{error}");
    let deep = ClaimMapping { groups: vec![GroupClaim::plain(path("corp.teams"))], ..mapping };
    assert!(read(&deep, elsewhere(json!({"corp": "src1"}))).is_err());
}

#[test]
fn keycloak_roles_of_realm_and_clients_are_groups() {
    let claims = json!({
        "sub": "1", "preferred_username": "alice", "groups": ["/staff"], "realm_access": {"roles": ["admin"]},
        "resource_access": {"wiki": {"roles": ["editor"]}, "account": {"roles": ["view-profile"]}},
    });
    let mapped = read(&Preset::Keycloak.mapping(), claims).expect("a mapping");
    assert_eq!(mapped.groups, ["/staff", "admin", "account:view-profile", "wiki:editor"]);
}

#[test]
fn a_service_account_has_the_groups_that_its_api_server_gives_it() {
    let mapping = Preset::Kubernetes.mapping();
    let stated = json!({"namespace": "prod", "serviceaccount": {"name": "ci", "uid": "1"}, "pod": {"name": "ci-0"}});
    let claims = |sub: &str| json!({"sub": sub, "kubernetes.io": stated, "groups": ["system:masters"]});
    let mapped = read(&mapping, claims("system:serviceaccount:prod:ci")).expect("a mapping");
    assert_eq!(mapped.user, "system:serviceaccount:prod:ci");
    assert_eq!(mapped.groups, ["system:serviceaccounts", "system:serviceaccounts:prod"]);
    assert_eq!(read(&mapping, claims("system:serviceaccount:dev:ci")), Err(Reason::TokenClaims));
    let merged = ClaimMapping { groups: vec![GroupClaim::plain(path("groups"))], ..mapping };
    let mapped = read(&merged, claims("system:serviceaccount:prod:ci")).expect("a mapping");
    assert_eq!(mapped.groups.last().map(String::as_str), Some("system:masters"));
}
