//! A signed statement of who the caller is, for applications that need not believe plain headers: a short-lived ES256
//! JWT (RFC 7519) in one header, and the keys to verify it with.

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderName;
use jiff::Timestamp;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde::Serialize;

use crate::model::header::HeaderText;
use crate::model::identity::Identity;
use crate::model::secret::Secret;

/// The longest assertion, in octets: what servers commonly take for one header.
const LONGEST: usize = 8 * 1024;

/// What assertions are made from.
#[derive(Debug)]
pub struct AssertionSettings {
    pub header: HeaderName,
    /// `iss`.
    pub issuer: String,
    /// `aud`; without it the host of the request.
    pub audience: Option<String>,
    /// How long one holds, in seconds.
    pub lifetime: i64,
    /// The signing key: PKCS#8 in PEM, on the curve P-256.
    pub key: Secret<Vec<u8>>,
    /// Keys that are published and do not sign: the one before, or the one to come.
    pub others: Vec<Secret<Vec<u8>>>,
}

/// The key does not sign ES256.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a private key on the curve P-256 as PKCS#8 in PEM")]
pub struct BadKey {
    /// Which of the others it is; `None`: the signing key.
    pub other: Option<usize>,
}

/// Signs assertions.
pub struct Assertions {
    header: HeaderName,
    issuer: String,
    audience: Option<String>,
    lifetime: i64,
    key: EcdsaKeyPair,
    /// The JOSE header, encoded: it is the same for all.
    jose: String,
    jwks: String,
    random: SystemRandom,
}

/// What an assertion says.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    iat: i64,
    exp: i64,
    user: &'a str,
    groups: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email_verified: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    scope: &'a str,
    /// Our source's name, and who vouches there: `sub` is unique only together with them.
    source: &'a str,
    idp: &'a str,
}

impl Assertions {
    /// Read the keys.
    pub fn build(settings: AssertionSettings) -> Result<Assertions, BadKey> {
        let key = read(&settings.key).ok_or(BadKey { other: None })?;
        let mut published = vec![Jwk::of(&key)];
        for (place, other) in settings.others.iter().enumerate() {
            let other = Jwk::of(&read(other).ok_or(BadKey { other: Some(place) })?);
            if !published.iter().any(|known| known.kid == other.kid) {
                published.push(other);
            }
        }
        let kid = published.first().map(|jwk| jwk.kid.as_str()).unwrap_or_default();
        let jose = serde_json::json!({"alg": "ES256", "typ": "JWT", "kid": kid}).to_string();
        let jwks = serde_json::json!({"keys": published}).to_string();
        Ok(Assertions {
            header: settings.header,
            issuer: settings.issuer,
            audience: settings.audience,
            lifetime: settings.lifetime,
            key,
            jose: URL_SAFE_NO_PAD.encode(jose),
            jwks,
            random: SystemRandom::new(),
        })
    }

    /// The header that carries it.
    pub fn header(&self) -> &HeaderName {
        &self.header
    }

    /// The public keys as a JWK set (RFC 7517 §5).
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    /// Sign for one caller of one host. Never longer than a header may be, and never past the end of the caller's own
    /// credential; `None` when that cannot be.
    pub fn sign(&self, identity: &Identity, host: &str, now: Timestamp) -> Option<HeaderText> {
        let iat = now.as_second();
        let end = iat.checked_add(self.lifetime)?;
        // A scope with a space in it would be read as two others.
        let parted = identity.scopes().iter().any(|scope| scope.contains(' '));
        let scope = if parted { String::new() } else { identity.scopes().join(" ") };
        let claims = Claims {
            iss: &self.issuer,
            aud: self.audience.as_deref().unwrap_or(host),
            sub: identity.subject(),
            iat,
            exp: identity.expires().map_or(end, |expires| end.min(expires.max(iat.saturating_add(1)))),
            user: identity.user(),
            groups: identity.groups().iter().collect(),
            email: identity.email(),
            email_verified: identity.email().map(|_| identity.email_verified()),
            name: identity.name(),
            scope: &scope,
            source: identity.source(),
            idp: identity.issuer(),
        };
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).ok()?);
        let mut token = format!("{}.{payload}", self.jose);
        let signature = self.key.sign(&self.random, token.as_bytes()).ok()?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature.as_ref()));
        (token.len() <= LONGEST).then(|| HeaderText::new(token)).flatten()
    }
}

impl std::fmt::Debug for Assertions {
    /// Without the key (F6).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertions").field("header", &self.header).field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// A public key as it is published.
#[derive(Serialize)]
struct Jwk {
    kty: &'static str,
    crv: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
    x: String,
    y: String,
}

impl Jwk {
    fn of(key: &EcdsaKeyPair) -> Jwk {
        // An uncompressed point (SEC 1 §2.3.3): 4, x, y.
        let point = key.public_key().as_ref();
        let half = |at: usize| URL_SAFE_NO_PAD.encode(point.get(at..at + 32).unwrap_or_default());
        let (x, y) = (half(1), half(33));
        // RFC 7638 §3: these members, in this order, without spaces.
        let thumb = digest(&SHA256, format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).as_bytes());
        let kid = URL_SAFE_NO_PAD.encode(thumb.as_ref());
        Jwk { kty: "EC", crv: "P-256", usage: "sig", alg: "ES256", kid, x, y }
    }
}

fn read(pem: &Secret<Vec<u8>>) -> Option<EcdsaKeyPair> {
    let key = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).ok()?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der()).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use jsonwebtoken::Algorithm;
    use jsonwebtoken::DecodingKey;
    use jsonwebtoken::Validation;
    use jsonwebtoken::jwk::JwkSet;
    use serde_json::Value;
    use serde_json::json;

    use super::*;
    use crate::model::identity;

    const NOW: i64 = 1_800_000_000;

    fn pem() -> Secret<Vec<u8>> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
        let der = key.to_pkcs8v1().expect("PKCS#8");
        let text = STANDARD.encode(der.as_ref());
        Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n").into_bytes())
    }

    fn assertions(audience: Option<&str>, others: Vec<Secret<Vec<u8>>>) -> Assertions {
        Assertions::build(AssertionSettings {
            header: HeaderName::from_static("x-identity-assertion"),
            issuer: "https://postern.corp.test".into(),
            audience: audience.map(str::to_owned),
            lifetime: 60,
            key: pem(),
            others,
        })
        .expect("a key")
    }

    fn alice(groups: Vec<String>, expires: Option<i64>) -> Identity {
        Identity::verified(identity::Claims {
            source: "people".into(),
            issuer: "https://sso.test".into(),
            subject: "u-1".into(),
            user: "alice".into(),
            groups,
            email: Some("alice@corp.test".into()),
            email_verified: true,
            name: None,
            scopes: vec!["read".into()],
            raw: serde_json::Map::new(),
            expires,
        })
        .expect("an identity")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("a time")
    }

    /// What another library makes of it, with the published keys.
    fn verified(assertions: &Assertions, token: &str) -> Value {
        let set: JwkSet = serde_json::from_str(assertions.jwks()).expect("a key set");
        let header = jsonwebtoken::decode_header(token).expect("a header");
        let key = set.find(&header.kid.expect("a kid")).expect("the key is published");
        let mut validation = Validation::new(Algorithm::ES256);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        jsonwebtoken::decode(token, &DecodingKey::from_jwk(key).expect("a key"), &validation)
            .expect("it verifies")
            .claims
    }

    #[test]
    fn another_library_verifies_it_with_the_published_keys() {
        let assertions = assertions(None, vec![pem()]);
        let token = assertions.sign(&alice(vec!["ops".into()], Some(NOW + 3600)), "wiki.corp.test", at(NOW));
        let claims = verified(&assertions, token.expect("an assertion").as_str());
        let want = json!({
            "iss": "https://postern.corp.test", "aud": "wiki.corp.test", "sub": "u-1", "iat": NOW, "exp": NOW + 60,
            "user": "alice", "groups": ["ops"], "email": "alice@corp.test", "email_verified": true, "scope": "read",
            "source": "people", "idp": "https://sso.test",
        });
        assert_eq!(claims, want);
        let set: Value = serde_json::from_str(assertions.jwks()).expect("JSON");
        assert_eq!(set["keys"].as_array().map(Vec::len), Some(2), "the key to come is published, too");
        assert!(!assertions.jwks().contains("\"d\""), "a private key is never published");
    }

    #[test]
    fn a_scope_with_a_space_does_not_become_two() {
        let alice = alice(vec![], None);
        let claims = identity::Claims { scopes: vec!["read".into(), "x admin".into()], ..alice.unpacked() };
        let identity = Identity::verified(claims).expect("an identity");
        let assertions = assertions(None, vec![]);
        let token = assertions.sign(&identity, "wiki.corp.test", at(NOW)).expect("an assertion");
        assert_eq!(verified(&assertions, token.as_str()).get("scope"), None);
    }

    #[test]
    fn it_never_outlives_the_credential() {
        let assertions = assertions(Some("apps"), vec![]);
        for (expires, exp) in [(None, NOW + 60), (Some(NOW + 10), NOW + 10), (Some(NOW - 5), NOW + 1)] {
            let token = assertions.sign(&alice(vec![], expires), "wiki.corp.test", at(NOW)).expect("an assertion");
            let claims = verified(&assertions, token.as_str());
            assert_eq!((&claims["exp"], &claims["aud"]), (&json!(exp), &json!("apps")), "{expires:?}");
        }
    }

    #[test]
    fn one_that_fits_no_header_is_none() {
        let groups = (0..2000).map(|number| format!("group-{number}")).collect();
        assert_eq!(assertions(None, vec![]).sign(&alice(groups, None), "h.test", at(NOW)), None);
    }

    #[test]
    fn only_a_private_key_on_p_256_signs() {
        for (text, others) in
            [("nonsense", false), ("-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n", true)]
        {
            let bad = || Secret::new(text.as_bytes().to_vec());
            let built = Assertions::build(AssertionSettings {
                header: HeaderName::from_static("x-a"),
                issuer: "i".into(),
                audience: None,
                lifetime: 60,
                key: if others { pem() } else { bad() },
                others: vec![bad()],
            });
            assert_eq!(built.err(), Some(BadKey { other: others.then_some(0) }));
        }
    }
}
