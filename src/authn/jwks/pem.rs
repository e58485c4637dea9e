//! A public key from a PEM file: `PUBLIC KEY` (RFC 5280 SubjectPublicKeyInfo) or `RSA PUBLIC KEY` (RFC 8017 A.1.1).
//! The few DER forms these take are read here, so that a file's key meets the very checks a JWK meets.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::authn::jwks::key::Curve;
use crate::authn::jwks::key::Key;
use crate::authn::jwks::key::Unusable;
use crate::authn::jwks::set::KeySet;

/// Why a text gives no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    #[error("there is no PEM block in it")]
    Empty,
    #[error("a PEM block has no end, or an end of another kind")]
    Unclosed,
    #[error("a PEM block is not base64")]
    NotBase64,
    #[error("it holds a certificate; write its public key instead (`openssl x509 -pubkey -noout`)")]
    Certificate,
    #[error("it holds a private key; verifying needs only the public one (`openssl pkey -pubout`)")]
    PrivateKey,
    #[error("it holds a `{0}`, not a `PUBLIC KEY`")]
    OtherKind(String),
    #[error("the public key is not sound DER, or its kind is not one we verify with")]
    NotAKey,
    #[error("the public key cannot be used: {0}")]
    Unusable(#[from] Unusable),
}

impl KeySet {
    /// Read every block of a PEM file. The algorithms follow from the kind of key; there are no key ids.
    pub fn from_pem(text: &str) -> Result<KeySet, PemError> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some((_, after)) = rest.split_once("-----BEGIN ") {
            let (label, after) = after.split_once("-----").ok_or(PemError::Unclosed)?;
            let (body, after) = after.split_once(&format!("-----END {label}-----")).ok_or(PemError::Unclosed)?;
            keys.push(key(label, body)?);
            rest = after;
        }
        if keys.is_empty() { Err(PemError::Empty) } else { Ok(KeySet::of(keys)) }
    }
}

fn key(label: &str, body: &str) -> Result<Key, PemError> {
    match label {
        "PUBLIC KEY" => public_key(&decode(body)?),
        "RSA PUBLIC KEY" => rsa(&decode(body)?),
        "CERTIFICATE" => Err(PemError::Certificate),
        other if other.ends_with("PRIVATE KEY") => Err(PemError::PrivateKey),
        other => Err(PemError::OtherKind(other.chars().take(40).collect())),
    }
}

fn decode(body: &str) -> Result<Vec<u8>, PemError> {
    let packed: String = body.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(packed).map_err(|_| PemError::NotBase64)
}

// DER tags.
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;

// The contents of the object identifiers we know.
const RSA_ENCRYPTION: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];
const PRIME256V1: &[u8] = &[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07];
const SECP384R1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x22];
const SECP521R1: &[u8] = &[0x2B, 0x81, 0x04, 0x00, 0x23];
const ED25519: &[u8] = &[0x2B, 0x65, 0x70];

fn public_key(der: &[u8]) -> Result<Key, PemError> {
    let info = whole(der, SEQUENCE)?;
    let (algorithm, info) = element(info, SEQUENCE)?;
    let (kind, parameters) = element(algorithm, OBJECT)?;
    // The first octet of a bit string counts the unused bits of the last one: none here.
    let bits = whole(info, BIT_STRING)?.strip_prefix(&[0]).ok_or(PemError::NotAKey)?;
    match kind {
        RSA_ENCRYPTION => rsa(bits),
        EC_PUBLIC_KEY => {
            let curve = match whole(parameters, OBJECT)? {
                PRIME256V1 => Curve::P256,
                SECP384R1 => Curve::P384,
                SECP521R1 => Curve::P521,
                _ => return Err(PemError::NotAKey),
            };
            Ok(Key::ec(None, curve, bits, None)?)
        }
        ED25519 => Ok(Key::ed25519(None, bits, None)?),
        _ => Err(PemError::NotAKey),
    }
}

fn rsa(der: &[u8]) -> Result<Key, PemError> {
    let (modulus, rest) = element(whole(der, SEQUENCE)?, INTEGER)?;
    let exponent = whole(rest, INTEGER)?;
    Ok(Key::rsa(None, modulus, exponent, None)?)
}

/// The content of an element that fills the input.
fn whole(der: &[u8], tag: u8) -> Result<&[u8], PemError> {
    match element(der, tag)? {
        (content, []) => Ok(content),
        _ => Err(PemError::NotAKey),
    }
}

/// The content of the first element, which must have this tag, and what follows it (X.690 §8.1, definite lengths).
fn element(der: &[u8], tag: u8) -> Result<(&[u8], &[u8]), PemError> {
    let (length, rest) = match der {
        [first, short @ 0..=0x7F, rest @ ..] if *first == tag => (usize::from(*short), rest),
        [first, 0x81, length, rest @ ..] if *first == tag => (usize::from(*length), rest),
        [first, 0x82, high, low, rest @ ..] if *first == tag => (usize::from(*high) << 8 | usize::from(*low), rest),
        _ => return Err(PemError::NotAKey),
    };
    rest.split_at_checked(length).ok_or(PemError::NotAKey)
}

#[cfg(test)]
mod tests;
