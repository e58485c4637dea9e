//! An issuer in memory: one key, its JWKS, and the tokens it signs. Only for `postern demo`.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

/// The `iss` of its tokens.
pub(super) const ISSUER: &str = "https://sso.demo.test";
/// The `aud` of its tokens.
pub(super) const AUDIENCE: &str = "demo";
const KEY_ID: &str = "demo";

/// A fresh key and what can be done with it.
#[derive(Debug)]
pub(super) struct Issuer {
    key: EcdsaKeyPair,
    random: SystemRandom,
}

/// A person the demo knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    pub(super) user: &'static str,
    pub(super) name: &'static str,
    pub(super) groups: &'static [&'static str],
}

/// Everybody the demo knows.
pub(super) const PEOPLE: [Person; 2] = [
    Person { user: "alice", name: "Alice Example", groups: &["staff", "it-admins"] },
    Person { user: "bob", name: "Bob Example", groups: &["staff"] },
];

impl Issuer {
    /// Make a key. It is forgotten when the process ends.
    pub(super) fn new() -> anyhow::Result<Issuer> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        Ok(Issuer { key, random: SystemRandom::new() })
    }

    /// The public key as a JSON Web Key Set (RFC 7517).
    pub(super) fn jwks(&self) -> Value {
        // An uncompressed point: 0x04, then x and y of 32 octets each (SEC 1 §2.3.3).
        let point = self.key.public_key().as_ref();
        let coordinate = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": KEY_ID,
            "x": coordinate(1..33), "y": coordinate(33..65),
        }]})
    }

    /// A token for someone, good for `seconds` from `now`.
    pub(super) fn token(&self, person: Person, now: Timestamp, seconds: i64) -> anyhow::Result<String> {
        let now = now.as_second();
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": KEY_ID});
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": format!("demo-{}", person.user),
            "iat": now, "exp": now + seconds,
            "preferred_username": person.user, "name": person.name,
            "email": format!("{}@example.test", person.user), "email_verified": true, "groups": person.groups,
        });
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&self.random, signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}
