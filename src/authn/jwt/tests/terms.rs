//! What a source demands of a sound token: its kind, its party, its lifetime, that nobody else must prove a key.

use super::*;

fn takes(bench: &Bench, header: Value, changes: Value) -> Option<Reason> {
    let mut claims = bench.issuer.claims();
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        members.insert(name.clone(), value.clone());
    }
    refused(bench.judge(&bench.issuer.raw_token(&header.to_string(), &claims.to_string())))
}

#[test]
fn j17_an_id_token_is_no_access_token_where_that_is_said() {
    let plain = || json!({"alg": "ES256", "kid": "k1", "typ": "JWT"});
    let access = || json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"});
    let wrong = Some(Reason::TokenClaims);
    for (kind, header, claims, want) in [
        (TokenKind::Any, plain(), json!({"nonce": "n"}), None),
        (TokenKind::Access, plain(), json!({"nonce": "n"}), wrong),
        (TokenKind::Access, plain(), json!({"typ": "ID"}), wrong),
        (TokenKind::Access, plain(), json!({}), None),
        (TokenKind::Access, access(), json!({}), None),
        (TokenKind::Id, plain(), json!({"nonce": "n"}), None),
        (TokenKind::Id, access(), json!({"nonce": "n"}), wrong),
        (TokenKind::Any, plain(), json!({"events": {}}), wrong),
        (TokenKind::Any, plain(), json!({"typ": "Refresh"}), wrong),
    ] {
        let bench = Bench::new(Algorithm::Es256).with(|settings| settings.kind = kind);
        assert_eq!(takes(&bench, header, claims.clone()), want, "{kind:?} {claims}");
    }
}

#[test]
fn j17_a_token_bound_to_a_key_needs_its_proof() {
    let header = || json!({"alg": "ES256", "kid": "k1"});
    for confirmation in [json!({"jkt": "x"}), json!({"x5t#S256": "x"}), json!({}), json!(null), json!("x")] {
        let bench = Bench::new(Algorithm::Es256);
        let claims = json!({"cnf": confirmation});
        assert_eq!(takes(&bench, header(), claims.clone()), Some(Reason::TokenClaims), "{claims}");
        let bench = bench.with(|settings| settings.insecure_bound_tokens = true);
        assert_eq!(takes(&bench, header(), claims.clone()), None, "{claims}");
    }
}

#[test]
fn j10_the_authorized_party_is_judged() {
    let other = Some(Reason::TokenAudience);
    let parties = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    for (kind, authorized, claims, want) in [
        (TokenKind::Any, parties(&[]), json!({"azp": "anybody"}), None),
        (TokenKind::Any, parties(&[]), json!({"aud": ["web", "other"]}), None),
        (TokenKind::Any, parties(&[]), json!({"azp": 1}), Some(Reason::TokenClaims)),
        (TokenKind::Any, parties(&[]), json!({"azp": ["web"]}), Some(Reason::TokenClaims)),
        (TokenKind::Any, parties(&["spa"]), json!({"azp": "spa"}), None),
        (TokenKind::Any, parties(&["spa"]), json!({"client_id": "spa"}), None),
        (TokenKind::Any, parties(&["spa"]), json!({"azp": "other", "client_id": "spa"}), other),
        (TokenKind::Any, parties(&["spa"]), json!({"azp": "SPA"}), other),
        (TokenKind::Any, parties(&["spa"]), json!({}), other),
        (TokenKind::Any, parties(&["spa"]), json!({"azp": "web"}), other),
        (TokenKind::Id, parties(&[]), json!({"azp": "web"}), None),
        (TokenKind::Id, parties(&[]), json!({"azp": "other"}), other),
        (TokenKind::Id, parties(&[]), json!({"aud": ["web", "other"]}), other),
        (TokenKind::Id, parties(&[]), json!({"aud": ["web", "other"], "azp": "web"}), None),
        (TokenKind::Id, parties(&[]), json!({"aud": ["web"]}), None),
        (TokenKind::Id, parties(&["spa"]), json!({"aud": ["web", "other"], "azp": "spa"}), None),
    ] {
        let bench = Bench::new(Algorithm::Es256).with(|settings| {
            settings.kind = kind;
            settings.authorized_parties = authorized.clone();
        });
        assert_eq!(refused(bench.claims(claims.clone())), want, "{kind:?} {authorized:?} {claims}");
    }
}

#[test]
fn j9_a_token_lives_no_longer_than_allowed() {
    let day = DEFAULT_MAX_LIFETIME;
    let long = Some(Reason::TokenClaims);
    for (claims, want) in [
        (json!({"iat": NOW, "nbf": NOW, "exp": NOW + day}), None),
        (json!({"iat": NOW, "nbf": NOW, "exp": NOW + day + 1}), long),
        (json!({"iat": NOW - day, "exp": NOW + 1}), long),
        (json!({"iat": NOW + 60, "nbf": NOW, "exp": NOW + 60 + day}), None),
        // Without `iat`, what is left of its life is judged.
        (json!({"iat": null, "nbf": null, "exp": NOW + day + 60}), None),
        (json!({"iat": null, "nbf": null, "exp": NOW + day + 61}), long),
        (json!({"iat": null, "nbf": null, "exp": NOW + 10 * 366 * day}), long),
        (json!({"iat": 0, "exp": NOW + 10}), long),
    ] {
        let bench = Bench::new(Algorithm::Es256);
        assert_eq!(refused(bench.claims(claims.clone())), want, "{claims}");
    }
    let bench = Bench::new(Algorithm::Es256).with(|settings| settings.max_lifetime = 300);
    assert_eq!(refused(bench.claims(json!({"exp": NOW + 240, "iat": NOW - 60}))), None);
    assert_eq!(refused(bench.claims(json!({"exp": NOW + 241, "iat": NOW - 60}))), long);
}
