//! Key set documents and PEM files: read or refused, and no key of a document verifies what it did not sign. Whether a
//! document is JSON that we take, a second reader judges, too: tokens and answers of providers go through the same one.

use postern::authn::jwks::{KeySet, KeySetError, Keys};
use postern::authn::jwt::{Algorithm, JwtSettings, JwtSource};

use super::{strict, world};

pub fn run(input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input)
        && let Ok(set) = KeySet::from_pem(text)
    {
        assert!(!set.keys().is_empty());
    }
    let read = KeySet::parse(input);
    assert_eq!(!matches!(read, Err(KeySetError::Json(_))), strict::is_object(input));
    let Ok(set) = read else { return };
    for key in set.keys() {
        assert!(key.algorithms().all(|algorithm| !algorithm.is_symmetric()), "a public document with a secret");
        assert!(key.kid().is_none_or(|kid| kid.len() <= 256));
    }
    let usable = set.serves(Algorithm::EdDsa);
    let keys = std::sync::Arc::new(Keys::fixed("people", world::ISSUER, set));
    let source = JwtSource::build(JwtSettings {
        algorithms: vec![Algorithm::EdDsa],
        ..JwtSettings::new("people", world::ISSUER, "web", keys)
    });
    assert_eq!(source.is_ok(), usable);
}
