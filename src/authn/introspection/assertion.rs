//! A client's own short token that proves it is the client (`private_key_jwt`, RFC 7523 §3).

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use serde_json::json;

use crate::model::secret::Secret;

/// How long an assertion may be used, in seconds.
const LIFETIME: i64 = 60;
/// The shortest RSA modulus, in octets.
const SHORTEST_MODULUS: usize = 256;

/// Signs assertions for one audience.
pub struct Assertion {
    key: PrivateKey,
    kid: Option<String>,
    audience: String,
}

enum PrivateKey {
    Es256(EcdsaKeyPair),
    Rs256(RsaKeyPair),
}

/// Why a key cannot sign assertions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPrivateKey {
    #[error("there is no `PRIVATE KEY` block (PKCS #8, PEM) in it")]
    NoPem,
    #[error("its key is neither RSA of at least 2048 bits nor on the curve P-256")]
    OtherKind,
}

/// The signature, or the randomness it needs, is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("our proof of being the client could not be made")]
pub(super) struct Unsigned;

impl Assertion {
    /// Read the key from a PEM file. `audience` is what the provider expects in `aud`: its issuer, or the URL asked.
    pub fn build(pem: &Secret<Vec<u8>>, kid: Option<String>, audience: String) -> Result<Assertion, BadPrivateKey> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.expose()).map_err(|_| BadPrivateKey::NoPem)?;
        let der = der.secret_pkcs8_der();
        let key = match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der) {
            Ok(key) => PrivateKey::Es256(key),
            Err(_) => match RsaKeyPair::from_pkcs8(der) {
                Ok(key) if key.public_modulus_len() >= SHORTEST_MODULUS => PrivateKey::Rs256(key),
                Ok(_) | Err(_) => return Err(BadPrivateKey::OtherKind),
            },
        };
        Ok(Assertion { key, kid, audience })
    }

    /// An assertion of this client that can be used once, for a minute.
    pub(super) fn sign(&self, client: &str, now: Timestamp) -> Result<String, Unsigned> {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).map_err(|_| Unsigned)?;
        let now = now.as_second();
        let mut header = json!({"alg": self.key.algorithm(), "typ": "JWT"});
        if let (Some(kid), Some(members)) = (&self.kid, header.as_object_mut()) {
            members.insert("kid".to_owned(), kid.as_str().into());
        }
        let claims = json!({
            "iss": client, "sub": client, "aud": self.audience, "jti": URL_SAFE_NO_PAD.encode(id),
            "iat": now, "exp": now.saturating_add(LIFETIME),
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl PrivateKey {
    fn algorithm(&self) -> &'static str {
        match self {
            PrivateKey::Es256(_) => "ES256",
            PrivateKey::Rs256(_) => "RS256",
        }
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unsigned> {
        let random = SystemRandom::new();
        match self {
            PrivateKey::Es256(key) => {
                key.sign(&random, message).map(|signature| signature.as_ref().to_vec()).map_err(|_| Unsigned)
            }
            PrivateKey::Rs256(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| Unsigned)?;
                Ok(signature)
            }
        }
    }
}

impl fmt::Debug for Assertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Assertion")
            .field("algorithm", &self.key.algorithm())
            .field("kid", &self.kid)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::encoding::Pkcs8V1Der;
    use jsonwebtoken::DecodingKey;
    use jsonwebtoken::Validation;
    use serde_json::Value;

    use super::*;
    use crate::authn::jwt::Algorithm;
    use crate::authn::testing::NOW;
    use crate::authn::testing::Signer;
    use crate::authn::testing::now;
    use crate::authn::testing::pem;

    fn private_pem(signer: &Signer) -> Secret<Vec<u8>> {
        let der = match signer {
            Signer::Rsa(key) => AsDer::<Pkcs8V1Der<'_>>::as_der(key).expect("DER").as_ref().to_vec(),
            Signer::Ec(key, _) => key.to_pkcs8v1().expect("DER").as_ref().to_vec(),
            Signer::Ed(key) => key.to_pkcs8v1().expect("DER").as_ref().to_vec(),
            Signer::Secret(_) => panic!("no private key"),
        };
        Secret::new(pem("PRIVATE KEY", &der).into_bytes())
    }

    #[test]
    fn an_assertion_is_verified_by_another_library_and_is_never_the_same() {
        for (algorithm, oracle) in
            [(Algorithm::Es256, jsonwebtoken::Algorithm::ES256), (Algorithm::Rs256, jsonwebtoken::Algorithm::RS256)]
        {
            let signer = Signer::new(algorithm);
            let assertion =
                Assertion::build(&private_pem(&signer), Some("k1".into()), "https://sso.test".into()).expect("a key");
            let key: jsonwebtoken::jwk::Jwk = serde_json::from_value(signer.jwk("k1")).expect("a JWK");
            let key = DecodingKey::from_jwk(&key).expect("a key");
            let mut validation = Validation::new(oracle);
            validation.validate_exp = false;
            validation.set_audience(&["https://sso.test"]);
            let mut ids = vec![];
            for _ in 0..2 {
                let token = assertion.sign("postern", now()).expect("a token");
                let token = jsonwebtoken::decode::<Value>(&token, &key, &validation).expect("a good signature");
                assert_eq!((token.header.kid.as_deref(), token.header.typ.as_deref()), (Some("k1"), Some("JWT")));
                let claims = token.claims;
                assert_eq!((&claims["iss"], &claims["sub"]), (&json!("postern"), &json!("postern")));
                assert_eq!((&claims["iat"], &claims["exp"]), (&json!(NOW), &json!(NOW + 60)));
                ids.push(claims["jti"].as_str().expect("an id").to_owned());
            }
            assert_ne!(ids[0], ids[1]);
        }
    }

    #[test]
    fn other_keys_are_refused() {
        let build = |pem: Secret<Vec<u8>>| Assertion::build(&pem, None, "https://sso.test".into()).err();
        for algorithm in [Algorithm::Es384, Algorithm::EdDsa] {
            assert_eq!(build(private_pem(&Signer::new(algorithm))), Some(BadPrivateKey::OtherKind), "{algorithm}");
        }
        let public = Signer::new(Algorithm::Es256).pem().into_bytes();
        for text in [public, b"hunter2".to_vec(), vec![]] {
            assert_eq!(build(Secret::new(text)), Some(BadPrivateKey::NoPem));
        }
    }

    #[test]
    fn f6_a_private_key_is_not_printed() {
        let pem = private_pem(&Signer::new(Algorithm::Es256));
        let assertion = Assertion::build(&pem, None, "https://sso.test".into()).expect("a key");
        let want = r#"Assertion { algorithm: "ES256", kid: None, audience: "https://sso.test", .. }"#;
        assert_eq!(format!("{assertion:?}"), want);
    }
}
