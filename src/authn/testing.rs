//! An issuer for tests: it makes keys at run time, publishes them, and signs whatever it is told to, sound or not.

pub(crate) mod cluster;
pub(crate) mod provider;

use std::sync::Arc;
use std::sync::LazyLock;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::encoding::Pkcs8V1Der;
use aws_lc_rs::encoding::PublicKeyX509Der;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING;
use aws_lc_rs::signature::ECDSA_P521_SHA512_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RSA_PKCS1_SHA384;
use aws_lc_rs::signature::RSA_PKCS1_SHA512;
use aws_lc_rs::signature::RSA_PSS_SHA256;
use aws_lc_rs::signature::RSA_PSS_SHA384;
use aws_lc_rs::signature::RSA_PSS_SHA512;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::authn::jwks::KeySet;
use crate::authn::jwks::Keys;
use crate::authn::jwt::Algorithm;
use crate::authn::jwt::JwtSettings;
use crate::authn::jwt::JwtSource;
use crate::authn::place::TokenPlace;
use crate::authn::source::Kind;
use crate::authn::source::Source;
use crate::model::secret::Secret;

/// The moment at which the tests play, in seconds since 1970.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

/// A private key.
pub(crate) enum Signer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

/// One RSA key for all tests: making them is slow.
static RSA: LazyLock<Arc<Signer>> =
    LazyLock::new(|| Arc::new(Signer::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).expect("an RSA key"))));

impl Signer {
    /// A fresh key for an algorithm (RSA: the shared one).
    pub(crate) fn new(algorithm: Algorithm) -> Arc<Signer> {
        let ec = |signing, curve| Signer::Ec(EcdsaKeyPair::generate(signing).expect("an EC key"), curve);
        Arc::new(match algorithm {
            Algorithm::Rs256
            | Algorithm::Rs384
            | Algorithm::Rs512
            | Algorithm::Ps256
            | Algorithm::Ps384
            | Algorithm::Ps512 => return RSA.clone(),
            Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            Algorithm::Es512 => ec(&ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"),
            Algorithm::EdDsa => Signer::Ed(Ed25519KeyPair::generate().expect("an Ed25519 key")),
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => Signer::Secret(vec![7; 64]),
        })
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Signer::Rsa(key) => {
                let encoding: &'static dyn aws_lc_rs::signature::RsaEncoding = match algorithm {
                    Algorithm::Rs384 => &RSA_PKCS1_SHA384,
                    Algorithm::Rs512 => &RSA_PKCS1_SHA512,
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    Algorithm::Ps384 => &RSA_PSS_SHA384,
                    Algorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature).expect("a signature");
                signature
            }
            Signer::Ec(key, _) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Signer::Ed(key) => key.sign(message).as_ref().to_vec(),
            Signer::Secret(secret) => {
                let hash = match algorithm {
                    Algorithm::Hs384 => hmac::HMAC_SHA384,
                    Algorithm::Hs512 => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
        }
    }

    /// The public half as a JWK without `alg` and `use`; a secret as an `oct` key.
    pub(crate) fn jwk(&self, kid: &str) -> Value {
        let text = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        match self {
            Signer::Rsa(key) => {
                // RSAPublicKey of a 2048-bit key: the modulus stands at a fixed place, the exponent is 65537.
                let der = key.public_key().as_ref();
                json!({"kty": "RSA", "kid": kid, "n": text(&der[9..9 + 256]), "e": "AQAB"})
            }
            Signer::Ec(key, curve) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "kid": kid, "crv": curve, "x": text(x), "y": text(y)})
            }
            Signer::Ed(key) => {
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": text(key.public_key().as_ref())})
            }
            Signer::Secret(secret) => json!({"kty": "oct", "kid": kid, "k": text(secret)}),
        }
    }

    /// The public half as a PEM file.
    pub(crate) fn pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Signer::Rsa(key) => key.public_key().as_der(),
            Signer::Ec(key, _) => key.public_key().as_der(),
            Signer::Ed(key) => key.public_key().as_der(),
            Signer::Secret(_) => panic!("a secret has no public half"),
        }
        .expect("DER");
        pem("PUBLIC KEY", der.as_ref())
    }

    /// The private half as jsonwebtoken takes it.
    pub(crate) fn encoding_key(&self) -> jsonwebtoken::EncodingKey {
        match self {
            Signer::Rsa(key) => {
                // It wants the RSAPrivateKey inside the PKCS #8 wrapping, whose length is fixed for this size.
                let pkcs8: Pkcs8V1Der<'_> = key.as_der().expect("DER");
                jsonwebtoken::EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..])
            }
            Signer::Ec(key, _) => jsonwebtoken::EncodingKey::from_ec_der(key.to_pkcs8v1().expect("DER").as_ref()),
            Signer::Ed(key) => jsonwebtoken::EncodingKey::from_ed_der(key.to_pkcs8v1().expect("DER").as_ref()),
            Signer::Secret(secret) => jsonwebtoken::EncodingKey::from_secret(secret),
        }
    }

    /// The set of this one key, as its source would hold it.
    pub(crate) fn set(&self, kid: &str) -> KeySet {
        match self {
            Signer::Secret(secret) => KeySet::from_secret(&Secret::new(secret.clone())).expect("a long secret"),
            _ => set(&[self.jwk(kid)]),
        }
    }
}

pub(crate) fn set(keys: &[Value]) -> KeySet {
    KeySet::parse(json!({"keys": keys}).to_string().as_bytes()).expect("a key set")
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<String> =
        STANDARD.encode(der).as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Sign these very texts.
pub(crate) fn compact(header: &str, payload: &str, signer: &Signer, algorithm: Algorithm) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(algorithm, signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// An issuer with one key.
pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) signer: Arc<Signer>,
}

impl Issuer {
    pub(crate) fn new(name: &str, algorithm: Algorithm) -> Issuer {
        Issuer { name: name.to_owned(), algorithm, signer: Signer::new(algorithm) }
    }

    /// Sound claims, valid from a minute ago for an hour.
    pub(crate) fn claims(&self) -> Value {
        json!({
            "iss": self.name, "aud": "web", "sub": "u-1", "iat": NOW - 60, "nbf": NOW - 60, "exp": NOW + 3600,
            "groups": ["staff", "sre"], "email": "alice@corp.test", "email_verified": true, "name": "Alice",
        })
    }

    /// A token with these claims laid over the sound ones; `null` removes a claim.
    pub(crate) fn token(&self, changes: Value) -> String {
        let mut claims = self.claims();
        let members = claims.as_object_mut().expect("an object");
        for (name, value) in changes.as_object().expect("changes are an object") {
            if value.is_null() {
                members.remove(name);
            } else {
                members.insert(name.clone(), value.clone());
            }
        }
        self.raw_token(&json!({"alg": self.algorithm.name(), "kid": "k1"}).to_string(), &claims.to_string())
    }

    /// A token of these very texts.
    pub(crate) fn raw_token(&self, header: &str, payload: &str) -> String {
        compact(header, payload, &self.signer, self.algorithm)
    }

    /// What a source of this issuer is built from.
    pub(crate) fn settings(&self, source: &str, places: &[TokenPlace]) -> JwtSettings {
        let keys = Arc::new(Keys::fixed(source, &self.name, self.signer.set("k1")));
        JwtSettings {
            audience: vec!["web".into(), "api".into()],
            algorithms: vec![self.algorithm],
            places: places.to_vec(),
            ..JwtSettings::new(source, &self.name, "web", keys)
        }
    }

    pub(crate) fn source(&self, source: &str, places: &[TokenPlace]) -> Arc<Source> {
        build(self.settings(source, places))
    }
}

pub(crate) fn build(settings: JwtSettings) -> Arc<Source> {
    let name = settings.source.clone();
    Arc::new(Source { name, kind: Kind::Jwt(Box::new(JwtSource::build(settings).expect("a source"))) })
}

/// The value of an `Authorization` field.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}
