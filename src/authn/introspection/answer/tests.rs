use serde_json::json;

use super::*;
use crate::authn::testing::NOW;
use crate::authn::testing::now;
use crate::model::claim_path::ClaimPath;

fn demands() -> Demands {
    Demands {
        source: "legacy".into(),
        vouches: "https://sso.test".into(),
        issuer: Some("https://sso.test".into()),
        audience: vec!["web".into(), "api".into()],
        leeway: 60,
        typed: true,
        mapping: ClaimMapping::default(),
    }
}

/// A sound answer with these members laid over it; `null` removes one.
fn answer(changes: &Value) -> Value {
    let mut answer = json!({
        "active": true, "sub": "u-1", "aud": "web", "iss": "https://sso.test", "exp": NOW + 600, "iat": NOW,
        "token_type": "Bearer", "scope": "read write", "groups": ["staff"],
    });
    for (name, value) in changes.as_object().expect("changes are an object") {
        answer[name] = value.clone();
        if value.is_null() {
            answer.as_object_mut().expect("an object").remove(name);
        }
    }
    answer
}

fn judge(demands: &Demands, changes: &Value) -> Result<Arc<Identity>, Reason> {
    match introspected(answer(changes).to_string().as_bytes()) {
        Ok(Said::Active(active)) => demands.judge(active, now()).map_err(|refused| refused.reason),
        Ok(Said::Inactive) => Err(Reason::TokenInactive),
        Err(_) => Err(Reason::UpstreamUnavailable),
    }
}

#[test]
fn an_active_token_is_its_users() {
    let identity = judge(&demands(), &json!({"email": "a@corp.test", "client_id": "web"})).expect("an identity");
    let expected = Claims {
        source: "legacy".into(),
        issuer: "https://sso.test".into(),
        subject: "u-1".into(),
        user: "u-1".into(),
        groups: vec!["staff".into()],
        email: None,
        email_verified: false,
        name: None,
        scopes: vec!["read".into(), "write".into()],
        raw: identity.unpacked().raw.clone(),
        expires: Some(NOW + 600),
    };
    assert_eq!(identity.unpacked(), expected);
    assert_eq!(identity.unpacked().raw["client_id"], "web");
}

#[test]
fn a_token_without_a_user_is_its_clients() {
    for (changes, want) in [
        (json!({"sub": null, "client_id": "robot"}), Ok(("robot", "robot"))),
        (json!({"client_id": "robot"}), Ok(("u-1", "u-1"))),
        (json!({"sub": null}), Err(Reason::TokenClaims)),
        (json!({"sub": "", "client_id": "robot"}), Err(Reason::TokenClaims)),
        (json!({"sub": 7, "client_id": "robot"}), Err(Reason::TokenClaims)),
        (json!({"sub": null, "client_id": ["robot"]}), Err(Reason::TokenClaims)),
        (json!({"sub": null, "username": "alice"}), Err(Reason::TokenClaims)),
        (json!({"sub": "u-1 "}), Err(Reason::TokenClaims)),
    ] {
        let got = judge(&demands(), &changes);
        let got = got.as_ref().map(|identity| (identity.subject(), identity.user())).map_err(|r| *r);
        assert_eq!(got, want, "{changes}");
    }
    let by_name = Demands {
        mapping: ClaimMapping { user: ClaimPath::member("username"), ..ClaimMapping::default() },
        ..demands()
    };
    let identity = judge(&by_name, &json!({"username": "alice"})).expect("an identity");
    assert_eq!((identity.subject(), identity.user()), ("u-1", "alice"));
    assert_eq!(judge(&by_name, &json!({})), Err(Reason::TokenClaims));
}

#[test]
fn k9_active_is_true_or_false_and_nothing_else() {
    for active in [json!("true"), json!("false"), json!(1), json!(0), json!(null), json!([true]), json!({})] {
        let body = json!({"active": active, "sub": "u-1"}).to_string();
        assert!(matches!(introspected(body.as_bytes()), Err(AnswerError::NoVerdict)), "{body}");
    }
    for body in [
        "",
        "true",
        "[]",
        "[{\"active\":true}]",
        "\"active\"",
        "{\"active\":true",
        "{\"active\":true}{}",
        "<html>",
        "{\"active\":false,\"active\":true}",
        "{\"active\":true,\"\\u0061ctive\":true}",
        "{\"active\":true,\"sub\":\"a\",\"sub\":\"b\"}",
        "{active:true}",
        "{\"active\":True}",
        "eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.",
    ] {
        assert!(introspected(body.as_bytes()).is_err(), "{body}");
        assert!(user_information(body.as_bytes()).is_err(), "{body}");
    }
    assert!(matches!(introspected(br#"{"ACTIVE":true,"sub":"u"}"#), Err(AnswerError::NoVerdict)));
    assert!(matches!(introspected(br#"{"active":false,"sub":"u"}"#), Ok(Said::Inactive)));
}

#[test]
fn userinfo_without_a_subject_is_no_answer() {
    for body in ["{}", r#"{"sub":""}"#, r#"{"sub":7}"#, r#"{"sub":null}"#, r#"{"active":true}"#] {
        assert!(user_information(body.as_bytes()).is_err(), "{body}");
    }
    assert!(matches!(user_information(br#"{"sub":"u-1"}"#), Ok(Said::Active(_))));
}

#[test]
fn what_an_active_token_says_must_hold() {
    use Reason::{TokenAudience, TokenClaims, TokenExpired, TokenNotYetValid};
    for (changes, want) in [
        (json!({"exp": null}), None),
        (json!({"exp": NOW - 59}), None),
        (json!({"exp": NOW - 60}), Some(TokenExpired)),
        (json!({"exp": NOW + 1}), None),
        (json!({"exp": "soon"}), Some(TokenClaims)),
        (json!({"exp": -1}), Some(TokenClaims)),
        (json!({"nbf": NOW + 60}), None),
        (json!({"nbf": NOW + 61}), Some(TokenNotYetValid)),
        (json!({"iat": NOW + 61}), Some(TokenNotYetValid)),
        (json!({"aud": ["x", "api"]}), None),
        (json!({"aud": "other"}), Some(TokenAudience)),
        (json!({"aud": "WEB"}), Some(TokenAudience)),
        (json!({"aud": []}), Some(TokenAudience)),
        (json!({"aud": null}), Some(TokenAudience)),
        (json!({"aud": {"web": true}}), Some(TokenClaims)),
        (json!({"iss": null}), None),
        (json!({"iss": "https://sso.test/"}), Some(TokenClaims)),
        (json!({"iss": ["https://sso.test"]}), Some(TokenClaims)),
        (json!({"token_type": null}), Some(TokenClaims)),
        (json!({"token_type": null, "token_use": "access_token"}), None),
        (json!({"token_type": null, "typ": "Bearer"}), None),
        (json!({"token_type": "bearer"}), None),
        (json!({"token_type": "DPoP"}), Some(TokenClaims)),
        (json!({"token_type": "refresh_token"}), Some(TokenClaims)),
        (json!({"token_type": ["Bearer"]}), Some(TokenClaims)),
        (json!({"token_use": "access_token"}), None),
        (json!({"token_use": "refresh_token"}), Some(TokenClaims)),
        (json!({"typ": "Bearer"}), None),
        (json!({"typ": "Refresh"}), Some(TokenClaims)),
        (json!({"typ": "ID"}), Some(TokenClaims)),
        (json!({"cnf": {"jkt": "x"}}), Some(TokenClaims)),
        (json!({"cnf": {}}), Some(TokenClaims)),
        (json!({"groups": 7}), Some(TokenClaims)),
    ] {
        assert_eq!(judge(&demands(), &changes).err(), want, "{changes}");
    }
}

#[test]
fn what_is_not_configured_is_not_demanded() {
    let lax = Demands { issuer: None, audience: vec![], vouches: "legacy".into(), typed: false, ..demands() };
    for changes in [
        json!({"token_type": null}),
        json!({"aud": null}),
        json!({"aud": "other"}),
        json!({"iss": "https://other.test"}),
    ] {
        assert_eq!(&**judge(&lax, &changes).expect("an identity").issuer(), "legacy", "{changes}");
    }
}
