//! Credentials that are no good any more though everything about them is right: a stolen token, a person who has left, a
//! session that was ended. Asked after every proof, remembered ones included.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::identity::Identity;

/// What a revocation goes by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Mark {
    /// The token with this id (`jti`, RFC 7519 §4.1.7).
    Token(String),
    /// Everything of this subject.
    Subject(String),
    /// Every token of this session (`sid`, OpenID Connect Front-Channel Logout 1.0 §3).
    Session(String),
    /// The client certificate with this SHA-256, in lower-case hex.
    Certificate(String),
}

/// One revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    pub mark: Mark,
    /// Only what this source proved; `None`: any.
    pub source: Option<Arc<str>>,
    /// Only what was issued before this moment. What does not say when it was issued is revoked.
    pub issued_before: Option<Timestamp>,
    /// Where it is written, for the operator: `revoked.yaml:3`.
    pub written: Arc<str>,
}

/// Every revocation, by its mark.
#[derive(Debug, Default)]
pub struct Revocations(HashMap<Mark, Vec<Revocation>>);

impl Revocations {
    pub fn new(list: impl IntoIterator<Item = Revocation>) -> Revocations {
        let mut by_mark: HashMap<Mark, Vec<Revocation>> = HashMap::new();
        for revocation in list {
            by_mark.entry(revocation.mark.clone()).or_default().push(revocation);
        }
        Revocations(by_mark)
    }

    /// The revocation that ends this identity, if one does.
    pub fn find(&self, identity: &Identity) -> Option<&Revocation> {
        if self.0.is_empty() {
            return None;
        }
        let claim = |name: &str| identity.member(name).and_then(|claim| claim.text()).map(str::to_owned);
        let marks = [
            Some(Mark::Subject(identity.subject().to_owned())),
            claim("jti").map(Mark::Token),
            claim("sid").map(Mark::Session),
            claim("fingerprint").map(Mark::Certificate),
        ];
        let found = marks.into_iter().flatten().filter_map(|mark| self.0.get(&mark)).flatten();
        found.into_iter().find(|revocation| revocation.covers(identity))
    }
}

impl Revocation {
    fn covers(&self, identity: &Identity) -> bool {
        let ours = self.source.as_ref().is_none_or(|source| source == identity.source());
        let early = self.issued_before.is_none_or(|before| {
            let issued = identity.member("iat").and_then(|claim| claim.number());
            issued.is_none_or(|issued| issued < before.as_duration().as_secs_f64())
        });
        ours && early
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::model::identity::Claims;

    const NOW: i64 = 1_800_000_000;

    fn identity(source: &str, subject: &str, raw: Value) -> Identity {
        let Value::Object(raw) = raw else { panic!("claims are an object") };
        Identity::verified(Claims {
            source: source.into(),
            issuer: "https://sso.test".into(),
            subject: subject.into(),
            user: "alice".into(),
            groups: vec![],
            email: None,
            email_verified: false,
            name: None,
            scopes: vec![],
            raw,
            expires: None,
        })
        .expect("an identity")
    }

    #[test]
    fn k6_what_is_revoked_is_found_by_its_mark() {
        let revoked = |mark: Mark, source: Option<&str>, before: Option<i64>| Revocation {
            mark,
            source: source.map(Into::into),
            issued_before: before.map(|second| Timestamp::from_second(second).expect("a time")),
            written: "revoked.yaml:1".into(),
        };
        let token = || Mark::Token("t-1".into());
        let subject = || Mark::Subject("u-1".into());
        for (revocation, source, who, raw, want) in [
            (revoked(token(), None, None), "people", "u-1", json!({"jti": "t-1"}), true),
            (revoked(token(), None, None), "people", "u-1", json!({"jti": "t-2"}), false),
            (revoked(token(), None, None), "people", "u-1", json!({}), false),
            (revoked(token(), None, None), "people", "u-1", json!({"sid": "t-1"}), false),
            (revoked(token(), None, None), "people", "t-1", json!({}), false),
            (revoked(token(), Some("people"), None), "people", "u-1", json!({"jti": "t-1"}), true),
            (revoked(token(), Some("people"), None), "partners", "u-1", json!({"jti": "t-1"}), false),
            (revoked(subject(), None, None), "people", "u-1", json!({}), true),
            (revoked(subject(), None, None), "people", "u-12", json!({}), false),
            (revoked(subject(), None, Some(NOW)), "people", "u-1", json!({"iat": NOW - 1}), true),
            (revoked(subject(), None, Some(NOW)), "people", "u-1", json!({"iat": NOW as f64 - 0.5}), true),
            (revoked(subject(), None, Some(NOW)), "people", "u-1", json!({"iat": NOW}), false),
            (revoked(subject(), None, Some(NOW)), "people", "u-1", json!({}), true),
            (revoked(subject(), None, Some(NOW)), "people", "u-1", json!({"iat": "soon"}), true),
            (revoked(Mark::Session("s".into()), None, None), "people", "u-1", json!({"sid": "s"}), true),
            (revoked(Mark::Certificate("ab".into()), None, None), "mesh", "x", json!({"fingerprint": "ab"}), true),
        ] {
            let revocations = Revocations::new([revocation.clone()]);
            let found = revocations.find(&identity(source, who, raw.clone())).is_some();
            assert_eq!(found, want, "{revocation:?} {source} {who} {raw}");
        }
    }

    #[test]
    fn one_of_several_for_a_mark_is_enough() {
        let of = |source: &str| Revocation {
            mark: Mark::Subject("u-1".into()),
            source: Some(source.into()),
            issued_before: None,
            written: source.into(),
        };
        let revocations = Revocations::new([of("partners"), of("people")]);
        let found = revocations.find(&identity("people", "u-1", json!({})));
        assert_eq!(found.map(|revocation| &*revocation.written), Some("people"));
        assert_eq!(revocations.find(&identity("machines", "u-1", json!({}))), None);
        assert_eq!(Revocations::default().find(&identity("people", "u-1", json!({}))), None);
    }
}
