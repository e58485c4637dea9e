//! A set of keys: immutable, parsed once. What is weak or strange is left out key by key (J15), so that one odd key
//! never takes the others down.

use std::fmt;

use aws_lc_rs::digest;
use serde_json::Value;

use crate::authn::json;
use crate::authn::json::JsonError;
use crate::authn::jwks::key::Key;
use crate::authn::jwks::key::MAX_KID;
use crate::authn::jwks::key::Unusable;
use crate::authn::jwt::Algorithm;
use crate::authn::quoted::Quoted;
use crate::model::secret::Secret;

/// The largest JWKS document, in octets (K3).
pub const MAX_SIZE: usize = 1024 * 1024;

/// The most keys in one document.
const MAX_KEYS: usize = 100;

/// The most keys tried for one token.
const MAX_TRIED: usize = 4;

/// The keys of one issuer at one moment.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    left_out: Vec<LeftOut>,
    /// SHA-256 of the document it was read from.
    digest: Option<[u8; 32]>,
}

/// A key of the document that is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its key id, when it has a readable one.
    pub kid: Option<String>,
    /// Why it is not used.
    pub why: Unusable,
}

/// Why a document is not a key set.
#[derive(Debug, thiserror::Error)]
pub enum KeySetError {
    #[error("the key set is larger than {MAX_SIZE} octets")]
    TooLarge,
    #[error("the key set {0}")]
    Json(#[from] JsonError),
    #[error("the key set has no list `keys`")]
    NoList,
    #[error("the key set has {0} keys, more than {MAX_KEYS}")]
    TooMany(usize),
}

/// The keys that may have signed a token.
pub(in crate::authn) enum Fit<'s> {
    /// These, in order; never empty, never more than a few.
    Keys(Vec<&'s Key>),
    /// The key is here, but it is not for this algorithm.
    OtherAlgorithm,
    /// No such key.
    Unknown,
}

impl KeySet {
    /// Read a JWKS document (RFC 7517 §5).
    pub fn parse(document: &[u8]) -> Result<KeySet, KeySetError> {
        if document.len() > MAX_SIZE {
            return Err(KeySetError::TooLarge);
        }
        let members = json::parse_object(document)?;
        let Some(Value::Array(list)) = members.get("keys") else {
            return Err(KeySetError::NoList);
        };
        if list.len() > MAX_KEYS {
            return Err(KeySetError::TooMany(list.len()));
        }
        let digest = digest::digest(&digest::SHA256, document).as_ref().try_into().ok();
        let mut set = KeySet { keys: vec![], left_out: vec![], digest };
        for jwk in list {
            match Key::from_jwk(jwk) {
                Ok(key) => set.keys.push(key),
                Err(why) => set.left_out.push(LeftOut { kid: readable_kid(jwk), why }),
            }
        }
        Ok(set)
    }

    /// The set of one shared secret, at least 32 octets long. It verifies `HS…` and nothing else.
    pub fn from_secret(secret: &Secret<Vec<u8>>) -> Result<KeySet, Unusable> {
        Key::shared(secret.expose()).map(|key| KeySet::of(vec![key]))
    }

    /// A set of keys that were built one by one.
    pub(super) fn of(keys: Vec<Key>) -> KeySet {
        KeySet { keys, left_out: vec![], digest: None }
    }

    /// The usable keys.
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The keys that were left out.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Were both read from the same document?
    pub(in crate::authn) fn is_of_same_document(&self, other: &KeySet) -> bool {
        self.digest.is_some() && self.digest == other.digest
    }

    /// Is there a key for this algorithm?
    pub fn serves(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithms().any(|own| own == algorithm))
    }

    /// The candidates for a token. A key id picks the keys of that id; keys without one (a PEM file, a secret, a
    /// frugal issuer) stand in when no key has it. A token without a key id may be signed by any.
    pub(in crate::authn) fn fit(&self, kid: Option<&str>, algorithm: Algorithm) -> Fit<'_> {
        let named = kid.is_some_and(|kid| self.has(kid));
        // What merely stands in does not make a key id known: the key of that id may still be fetched.
        let known = named || kid.is_none();
        let mut found = false;
        let mut fitting = Vec::new();
        for key in &self.keys {
            let meant = match kid {
                Some(_) if named => key.kid() == kid,
                Some(_) => key.kid().is_none(),
                None => true,
            };
            if meant {
                found = known;
                if fitting.len() < MAX_TRIED && key.algorithms().any(|own| own == algorithm) {
                    fitting.push(key);
                }
            }
        }
        match (fitting.is_empty(), found) {
            (false, _) => Fit::Keys(fitting),
            (true, true) => Fit::OtherAlgorithm,
            (true, false) => Fit::Unknown,
        }
    }

    /// Is there a key with this id?
    pub fn has(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid() == Some(kid))
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key {} is left out: {}", Quoted(kid), self.why),
            None => write!(f, "a key without id is left out: {}", self.why),
        }
    }
}

fn readable_kid(jwk: &Value) -> Option<String> {
    jwk.get("kid").and_then(Value::as_str).filter(|kid| kid.len() <= MAX_KID).map(str::to_owned)
}

#[cfg(test)]
mod tests;
