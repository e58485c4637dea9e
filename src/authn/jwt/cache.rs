//! Tokens that were verified before. A client sends the same token with every request; its signature need not be
//! computed anew as long as the very keys are in force with which it was verified (K6).
//!
//! The key is the whole text of the token, compared octet by octet (K7, J20), in a cache of one source. Nothing but
//! success is remembered, and a remembered token is judged by the clock every time. The next policy goes on with the
//! cache where its source verifies by the very same terms; of a token it is asked about it makes an identity of its own.

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
pub const CACHED_TOKEN: u32 = 8 * 1024;

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
    /// Under which policy.
    pub(super) reign: Reign,
}

/// Tells one source under one policy from every other.
#[derive(Clone, Debug, Default)]
pub(super) struct Reign(Arc<()>);

impl Reign {
    fn is(&self, other: &Reign) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl TokenCache {
    /// A cache of so many tokens; `None` for none.
    pub(super) fn new(tokens: u32) -> Option<TokenCache> {
        let capacity = u64::from(tokens) * u64::from(CACHED_TOKEN);
        let expected = usize::try_from(tokens).unwrap_or(usize::MAX);
        (tokens > 0).then(|| TokenCache {
            tokens: quick_cache::sync::Cache::with_weighter(expected, capacity, Weight),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        })
    }

    /// What was made of this very token with these very keys. Whether it is valid now is for the caller to judge.
    pub(super) fn find(&self, token: &[u8], keys: &Arc<KeySet>, reign: &Reign) -> Option<Arc<Remembered>> {
        let found = self.tokens.get(token)?;
        let same = Arc::ptr_eq(&found.keys, keys);
        if same && found.reign.is(reign) {
            return Some(found);
        }
        // The same keys, read again from the same document.
        if !same && !found.keys.is_of_same_document(keys) {
            return None;
        }
        let Remembered { identity, lifetime, kid, algorithm, .. } = &*found;
        let renewed = Arc::new(Remembered {
            // What was prepared of it belongs to another policy.
            identity: Arc::new(identity.unprepared()),
            lifetime: *lifetime,
            kid: kid.clone(),
            algorithm: *algorithm,
            keys: Arc::clone(keys),
            reign: reign.clone(),
        });
        self.tokens.insert(token.into(), Arc::clone(&renewed));
        Some(renewed)
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
        (1024 + 4 * token.len() as u64).max(u64::from(CACHED_TOKEN))
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
            reign: Reign::default(),
        }
    }

    #[test]
    fn k7_only_the_very_token_with_the_very_keys_is_found() {
        let cache = TokenCache::new(8).expect("a cache");
        let signer = Signer::new(Algorithm::EdDsa);
        let keys = Arc::new(signer.set("one"));
        let first = remembered(&keys);
        let reign = first.reign.clone();
        let identity = Arc::clone(&first.identity);
        cache.remember("aaa.bbb.ccc", first);
        let find = |token: &[u8], keys: &Arc<KeySet>, reign: &Reign| {
            cache.find(token, keys, reign).map(|found| Arc::clone(&found.identity))
        };
        assert!(find(b"aaa.bbb.ccc", &keys, &reign).is_some_and(|found| Arc::ptr_eq(&found, &identity)));
        for other in ["aaa.bbb.ccd", "aaa.bbb.cc", "aaa.bbb.cccc", "AAA.bbb.ccc", ""] {
            assert!(find(other.as_bytes(), &keys, &reign).is_none(), "{other}");
        }
        for other in [Signer::new(Algorithm::EdDsa).set("one"), signer.set("two")] {
            assert!(find(b"aaa.bbb.ccc", &Arc::new(other), &reign).is_none(), "other keys, or the same by other names");
        }
        // The next policy has an identity of its own, once.
        let next = Reign::default();
        let own = find(b"aaa.bbb.ccc", &keys, &next).expect("the same keys");
        assert!(!Arc::ptr_eq(&own, &identity) && own == identity);
        assert!(find(b"aaa.bbb.ccc", &keys, &next).is_some_and(|found| Arc::ptr_eq(&found, &own)));
        // And so has one that read the same document again.
        let again = Arc::new(signer.set("one"));
        assert!(find(b"aaa.bbb.ccc", &again, &next).is_some_and(|found| !Arc::ptr_eq(&found, &own) && found == own));
        cache.forget(b"aaa.bbb.ccc");
        assert!(find(b"aaa.bbb.ccc", &again, &next).is_none());
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
