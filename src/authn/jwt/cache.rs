//! Tokens that were verified before. A client sends the same token with every request; its signature need not be
//! computed anew as long as the very keys are in force with which it was verified (K6).
//!
//! The key is the whole text of the token, compared octet by octet (K7, J20), in a cache of one source under one policy.
//! Nothing but success is remembered, and a remembered token is judged by the clock every time.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::authn::jwks::KeySet;
use crate::authn::jwt::algorithm::Algorithm;
use crate::authn::jwt::claims::Lifetime;
use crate::model::identity::Identity;
use crate::model::key_status::TokenCacheStatus;

/// Tokens remembered by a source that does not say.
pub const DEFAULT_CACHED_TOKENS: u32 = 4096;

/// What one token may take, in octets: with `n` tokens allowed, all of them together take no more than `n` times this,
/// and there are fewer than `n` if some are larger.
const OCTETS_EACH: u32 = 8 * 1024;

/// The verified tokens of one source.
pub(super) struct TokenCache {
    tokens: quick_cache::sync::Cache<Box<[u8]>, Arc<Remembered>, Weight>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// What was made of a token.
pub(in crate::authn) struct Remembered {
    pub(super) identity: Arc<Identity>,
    pub(super) lifetime: Lifetime,
    pub(super) kid: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    /// The set in force when it was verified.
    pub(super) keys: Arc<KeySet>,
}

impl TokenCache {
    /// A cache of so many tokens; `None` for none.
    pub(super) fn new(tokens: u32) -> Option<TokenCache> {
        let capacity = u64::from(tokens) * u64::from(OCTETS_EACH);
        let expected = usize::try_from(tokens).unwrap_or(usize::MAX);
        (tokens > 0).then(|| TokenCache {
            tokens: quick_cache::sync::Cache::with_weighter(expected, capacity, Weight),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// What was made of this very token with these very keys. Whether it is valid now is for the caller to judge.
    pub(super) fn find(&self, token: &[u8], keys: &Arc<KeySet>) -> Option<Arc<Remembered>> {
        self.tokens.get(token).filter(|remembered| Arc::ptr_eq(&remembered.keys, keys))
    }

    /// What was found could be used.
    pub(super) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// A token of this source had to be verified.
    pub(super) fn missed(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    /// Remember a token that was verified.
    pub(super) fn remember(&self, token: &str, remembered: Remembered) {
        self.tokens.insert(token.as_bytes().into(), Arc::new(remembered));
    }

    /// Forget a token whose time is over.
    pub(super) fn forget(&self, token: &[u8]) {
        self.tokens.remove(token);
    }

    pub(super) fn status(&self) -> TokenCacheStatus {
        TokenCacheStatus {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
            tokens: self.tokens.len() as u64,
        }
    }
}

#[derive(Clone)]
struct Weight;

impl quick_cache::Weighter<Box<[u8]>, Arc<Remembered>> for Weight {
    /// About what a token and its identity take: the text, the claims, the headers made of them, and change.
    fn weight(&self, token: &Box<[u8]>, _: &Arc<Remembered>) -> u64 {
        (1024 + 4 * token.len() as u64).max(u64::from(OCTETS_EACH))
    }
}

impl std::fmt::Debug for TokenCache {
    /// Never the tokens (F6).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenCache").field("status", &self.status()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::testing::Signer;
    use crate::model::identity::Claims;

    fn remembered(keys: &Arc<KeySet>) -> Remembered {
        let claims = Claims {
            source: "people".into(),
            issuer: "https://sso.test".into(),
            subject: "u".into(),
            user: "u".into(),
            groups: vec![],
            email: None,
            email_verified: false,
            name: None,
            scopes: vec![],
            raw: serde_json::Map::new(),
            expires: None,
        };
        Remembered {
            identity: Arc::new(Identity::verified(claims).expect("sound")),
            lifetime: Lifetime::until(1),
            kid: None,
            algorithm: Algorithm::EdDsa,
            keys: Arc::clone(keys),
        }
    }

    #[test]
    fn k7_only_the_very_token_with_the_very_keys_is_found() {
        let cache = TokenCache::new(8).expect("a cache");
        let keys = Arc::new(Signer::new(Algorithm::EdDsa).set("one"));
        let same_keys = Arc::new(Signer::new(Algorithm::EdDsa).set("one"));
        cache.remember("aaa.bbb.ccc", remembered(&keys));
        assert!(cache.find(b"aaa.bbb.ccc", &keys).is_some());
        assert!(cache.find(b"aaa.bbb.ccc", &same_keys).is_none(), "another set, whatever it holds");
        for other in ["aaa.bbb.ccd", "aaa.bbb.cc", "aaa.bbb.cccc", "AAA.bbb.ccc", ""] {
            assert!(cache.find(other.as_bytes(), &keys).is_none(), "{other}");
        }
        cache.forget(b"aaa.bbb.ccc");
        assert!(cache.find(b"aaa.bbb.ccc", &keys).is_none());
        assert!(TokenCache::new(0).is_none());
    }

    #[test]
    fn the_cache_is_bounded_by_count_and_by_size() {
        for (length, most) in [(10, 16), (8000, 3)] {
            let cache = TokenCache::new(16).expect("a cache");
            let keys = Arc::new(Signer::new(Algorithm::EdDsa).set("one"));
            for number in 0..200 {
                cache.remember(&format!("{number:0>length$}"), remembered(&keys));
            }
            let held = cache.status().tokens;
            assert!((1..=most).contains(&held), "{held} tokens of {length} octets");
        }
    }
}
