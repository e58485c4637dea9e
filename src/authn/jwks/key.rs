//! One verification key: parsed once, bound to the algorithms it is for (J2, J15). The key decides what may be
//! verified with it; a token's header can only pick among that.

use std::fmt;

use aws_lc_rs::hmac;
use aws_lc_rs::signature;
use aws_lc_rs::signature::ParsedPublicKey;
use aws_lc_rs::signature::RsaPublicKeyComponents;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::Algorithm;

/// The longest key id, in octets (J4).
pub(in crate::authn) const MAX_KID: usize = 256;

/// RSA moduli, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key with everything needed to verify with it.
pub struct Key {
    kid: Option<String>,
    verifiers: Vec<(Algorithm, Verifier)>,
}

enum Verifier {
    Public(ParsedPublicKey),
    Shared(Box<hmac::Key>),
}

/// Why a key is left out of its set. The others still work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Unusable {
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("a member has the wrong type or is missing")]
    Malformed,
    #[error("its key id is longer than {MAX_KID} octets")]
    LongKeyId,
    #[error("its type or curve is not one we verify with")]
    UnknownType,
    #[error("it is a shared secret in a published set")]
    Symmetric,
    #[error("it carries private members, so its secret is out")]
    Private,
    #[error("it is not meant for verifying signatures")]
    OtherUse,
    #[error("its algorithm is unknown or does not go with its type")]
    OtherAlgorithm,
    #[error("its RSA modulus is not odd, or not of 2048 to 8192 bits")]
    RsaModulus,
    #[error("its RSA exponent is not an odd number from 65537 to 2^32")]
    RsaExponent,
    #[error("its value is not a point on the curve")]
    NoPoint,
    #[error("the shared secret is shorter than 32 octets")]
    ShortSecret,
}

/// An elliptic curve of RFC 7518 §6.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Key {
    /// Read one JWK (RFC 7517 §4).
    pub(super) fn from_jwk(jwk: &Value) -> Result<Key, Unusable> {
        let jwk = jwk.as_object().ok_or(Unusable::NotAnObject)?;
        let kid = match jwk.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID => Some(kid.clone()),
            Some(Value::String(_)) => return Err(Unusable::LongKeyId),
            Some(_) => return Err(Unusable::Malformed),
        };
        let kty = text(jwk, "kty")?;
        if kty == "oct" {
            return Err(Unusable::Symmetric);
        }
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|member| jwk.contains_key(*member)) {
            return Err(Unusable::Private);
        }
        if !is_for_verifying(jwk)? {
            return Err(Unusable::OtherUse);
        }
        let only = match jwk.get("alg") {
            None => None,
            Some(Value::String(name)) => Some(Algorithm::parse(name).ok_or(Unusable::OtherAlgorithm)?),
            Some(_) => return Err(Unusable::Malformed),
        };
        match kty {
            "RSA" => Key::rsa(kid, &octets(jwk, "n")?, &octets(jwk, "e")?, only),
            "EC" => {
                let curve = Curve::parse(text(jwk, "crv")?).ok_or(Unusable::UnknownType)?;
                let (x, y) = (octets(jwk, "x")?, octets(jwk, "y")?);
                if x.len() != curve.width() || y.len() != curve.width() {
                    return Err(Unusable::NoPoint);
                }
                Key::ec(kid, curve, &[&[4], x.as_slice(), y.as_slice()].concat(), only)
            }
            "OKP" if text(jwk, "crv")? == "Ed25519" => Key::ed25519(kid, &octets(jwk, "x")?, only),
            _ => Err(Unusable::UnknownType),
        }
    }

    /// An RSA key from its modulus and exponent, big-endian. Leading zeros are tolerated.
    pub(super) fn rsa(kid: Option<String>, n: &[u8], e: &[u8], only: Option<Algorithm>) -> Result<Key, Unusable> {
        let (n, e) = (without_leading_zeros(n), without_leading_zeros(e));
        let bits = n.first().map_or(0, |top| n.len() * 8 - top.leading_zeros() as usize);
        if !RSA_BITS.contains(&bits) || n.last().is_none_or(|low| low % 2 == 0) {
            return Err(Unusable::RsaModulus);
        }
        let exponent = e.iter().fold(0_u64, |sum, octet| (sum << 8) | u64::from(*octet));
        if e.len() > 4 || exponent < 65537 || exponent % 2 == 0 {
            return Err(Unusable::RsaExponent);
        }
        let rsa = [
            (Algorithm::Rs256, &signature::RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::Rs384, &signature::RSA_PKCS1_2048_8192_SHA384),
            (Algorithm::Rs512, &signature::RSA_PKCS1_2048_8192_SHA512),
            (Algorithm::Ps256, &signature::RSA_PSS_2048_8192_SHA256),
            (Algorithm::Ps384, &signature::RSA_PSS_2048_8192_SHA384),
            (Algorithm::Ps512, &signature::RSA_PSS_2048_8192_SHA512),
        ];
        let components = RsaPublicKeyComponents { n, e };
        Key::public(kid, only, rsa, |parameters| {
            components.to_parsed_public_key(parameters).map_err(|_| Unusable::RsaModulus)
        })
    }

    /// An elliptic curve key from its uncompressed point (SEC 1 §2.3.3). The point must lie on the curve.
    pub(super) fn ec(
        kid: Option<String>,
        curve: Curve,
        point: &[u8],
        only: Option<Algorithm>,
    ) -> Result<Key, Unusable> {
        if point.len() != 1 + 2 * curve.width() || point.first() != Some(&4) {
            return Err(Unusable::NoPoint);
        }
        let ecdsa = match curve {
            Curve::P256 => (Algorithm::Es256, &signature::ECDSA_P256_SHA256_FIXED),
            Curve::P384 => (Algorithm::Es384, &signature::ECDSA_P384_SHA384_FIXED),
            Curve::P521 => (Algorithm::Es512, &signature::ECDSA_P521_SHA512_FIXED),
        };
        Key::public(kid, only, [ecdsa], |parameters| {
            ParsedPublicKey::new(parameters, point).map_err(|_| Unusable::NoPoint)
        })
    }

    /// An Ed25519 key from its 32 octets (RFC 8032 §5.1.5).
    pub(super) fn ed25519(kid: Option<String>, x: &[u8], only: Option<Algorithm>) -> Result<Key, Unusable> {
        if x.len() != signature::ED25519_PUBLIC_KEY_LEN {
            return Err(Unusable::NoPoint);
        }
        Key::public(kid, only, [(Algorithm::EdDsa, &signature::ED25519)], |parameters| {
            ParsedPublicKey::new(parameters, x).map_err(|_| Unusable::NoPoint)
        })
    }

    /// A shared secret. It serves the algorithms whose hash is no longer than the secret (RFC 7518 §3.2).
    pub(super) fn shared(secret: &[u8]) -> Result<Key, Unusable> {
        let verifiers: Vec<_> = [
            (Algorithm::Hs256, hmac::HMAC_SHA256, 32),
            (Algorithm::Hs384, hmac::HMAC_SHA384, 48),
            (Algorithm::Hs512, hmac::HMAC_SHA512, 64),
        ]
        .into_iter()
        .filter(|(_, _, least)| secret.len() >= *least)
        .map(|(algorithm, hash, _)| (algorithm, Verifier::Shared(Box::new(hmac::Key::new(hash, secret)))))
        .collect();
        if verifiers.is_empty() { Err(Unusable::ShortSecret) } else { Ok(Key { kid: None, verifiers }) }
    }

    /// The key id, when the key has one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// The algorithms this key verifies.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.verifiers.iter().map(|(algorithm, _)| *algorithm)
    }

    /// Does the signature verify? Always false for an algorithm that is not the key's.
    pub(in crate::authn) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        self.verifiers.iter().any(|(own, verifier)| {
            *own == algorithm
                && match verifier {
                    Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
                    Verifier::Shared(key) => hmac::verify(key, message, signature).is_ok(),
                }
        })
    }

    /// Parse the key once for each algorithm it is for.
    fn public<P>(
        kid: Option<String>,
        only: Option<Algorithm>,
        all: impl IntoIterator<Item = (Algorithm, P)>,
        parse: impl Fn(P) -> Result<ParsedPublicKey, Unusable>,
    ) -> Result<Key, Unusable> {
        let mut verifiers = Vec::new();
        for (algorithm, parameters) in all {
            if only.is_none_or(|only| only == algorithm) {
                verifiers.push((algorithm, Verifier::Public(parse(parameters)?)));
            }
        }
        if verifiers.is_empty() { Err(Unusable::OtherAlgorithm) } else { Ok(Key { kid, verifiers }) }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<Algorithm> = self.algorithms().collect();
        f.debug_struct("Key").field("kid", &self.kid).field("algorithms", &algorithms).finish()
    }
}

impl Curve {
    fn parse(name: &str) -> Option<Curve> {
        match name {
            "P-256" => Some(Curve::P256),
            "P-384" => Some(Curve::P384),
            "P-521" => Some(Curve::P521),
            _ => None,
        }
    }

    /// The length of one coordinate, in octets.
    fn width(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }
}

/// RFC 7517 §4.2 and §4.3: `use` is `sig`, `key_ops` holds `verify`, or they are absent.
fn is_for_verifying(jwk: &Map<String, Value>) -> Result<bool, Unusable> {
    let by_use = match jwk.get("use") {
        None => true,
        Some(Value::String(purpose)) => purpose == "sig",
        Some(_) => return Err(Unusable::Malformed),
    };
    let by_operation = match jwk.get("key_ops") {
        None => true,
        Some(Value::Array(operations)) => operations.iter().any(|operation| operation == "verify"),
        Some(_) => return Err(Unusable::Malformed),
    };
    Ok(by_use && by_operation)
}

fn text<'j>(jwk: &'j Map<String, Value>, member: &str) -> Result<&'j str, Unusable> {
    jwk.get(member).and_then(Value::as_str).ok_or(Unusable::Malformed)
}

fn octets(jwk: &Map<String, Value>, member: &str) -> Result<Vec<u8>, Unusable> {
    URL_SAFE_NO_PAD.decode(text(jwk, member)?).map_err(|_| Unusable::Malformed)
}

fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|octet| **octet == 0).count();
    number.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
