//! API keys: a random secret for a machine, known here only by its hash. Found by its public id, compared in constant
//! time; an id that nobody has costs what a wrong secret costs (R1).

mod hash;
mod text;

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;

use http::HeaderName;
use jiff::Timestamp;
use serde_json::Value;

use crate::authn::BadCredential;
use crate::authn::Note;
use crate::authn::Verdict;
use crate::authn::failures::Failures;
use crate::authn::failures::client;
use crate::authn::pair::Pair;
use crate::authn::place::TokenPlace;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::key_use::KeyUse;
use crate::model::network::NetworkSet;
use crate::model::reason::Reason;

pub use hash::KeyHash;
pub use hash::KeyHasher;
pub use hash::MIN_PEPPER;
pub use hash::ShortPepper;
pub use text::KeyText;
pub use text::KeyTextError;
pub use text::MAX_ID;
pub use text::PREFIX;
pub use text::generate;
pub use text::is_id;
pub use text::looks_like_key;

/// The most keys of one source: more are refused, and so the series of the last-used gauge are bounded.
pub const MAX_KEYS: usize = 5000;

/// Wrong secrets a client may send within a minute before it is told 429 instead of 401 (R2). Keys are too random to be
/// guessed, so a good key passes whatever happened before, and nobody can lock another one out.
const FAILURES_PER_CLIENT: u16 = 20;
/// Wrong secrets for one key within a minute, from wherever, before the same happens.
const FAILURES_PER_KEY: u16 = 100;

/// What an API-key source is built from.
#[derive(Debug)]
pub struct ApiKeySettings {
    /// The source's name in the configuration.
    pub source: Arc<str>,
    /// Where a key is looked for, in this order. Never empty; no cookies.
    pub places: Vec<TokenPlace>,
    /// How the keys were hashed.
    pub hasher: KeyHasher,
    /// The keys.
    pub keys: Vec<ApiKey>,
}

/// One key.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its public name.
    pub id: String,
    pub hash: KeyHash,
    /// The user it acts for.
    pub owner: String,
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    /// From this moment on it is refused.
    pub expires: Option<Timestamp>,
    /// Where it may be used from; everywhere, if nothing is written.
    pub networks: Option<NetworkSet>,
}

/// Why a source cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    #[error("the list of token places may not be empty")]
    NoPlaces,
    #[error("an API key does not stand in {0}")]
    Place(String),
    #[error("there are {0} keys, more than {MAX_KEYS}")]
    TooMany(usize),
    #[error("`{0}` is not an id of a key")]
    Id(String),
    #[error("two keys have the id `{0}`")]
    Duplicate(String),
    #[error("the owner of the key `{0}` is empty, or holds control characters or white space at an end")]
    Owner(String),
    #[error("the key `{0}` was hashed with a pepper, and this source has none")]
    NeedsPepper(String),
    #[error("the key `{0}` was hashed without a pepper, and this source has one")]
    NoPepper(String),
}

/// The keys of one file.
pub struct ApiKeySource {
    name: Arc<str>,
    places: Vec<TokenPlace>,
    headers: Vec<HeaderName>,
    hasher: KeyHasher,
    keys: HashMap<String, Entry>,
    by_client: Failures,
    by_key: Failures,
}

/// A key and whom it proves.
struct Entry {
    key: ApiKey,
    /// Made in advance; handed out only after the secret has been compared.
    identity: Arc<Identity>,
    /// In seconds since 1970; 0 for never.
    last_used: AtomicI64,
}

/// A claimed key as it was found.
pub(super) enum Found<'w> {
    /// In a place of its own.
    Text(&'w str),
    /// As the password of `Basic`.
    Pair(Pair),
}

impl ApiKeySource {
    /// Build a source, or say what is wrong with a setting.
    pub fn build(settings: ApiKeySettings) -> Result<ApiKeySource, ApiKeyError> {
        let ApiKeySettings { source, places, hasher, keys } = settings;
        if places.is_empty() {
            return Err(ApiKeyError::NoPlaces);
        }
        let mut headers = Vec::new();
        for place in &places {
            match place {
                TokenPlace::Bearer | TokenPlace::Basic => {}
                TokenPlace::Cookie(_) | TokenPlace::Certificate(_) => {
                    return Err(ApiKeyError::Place(place.to_string()));
                }
                TokenPlace::Header(name) => match HeaderName::from_bytes(name.as_bytes()) {
                    Ok(header) => headers.push(header),
                    Err(_) => return Err(ApiKeyError::Place(place.to_string())),
                },
            }
        }
        if keys.len() > MAX_KEYS {
            return Err(ApiKeyError::TooMany(keys.len()));
        }
        let mut entries = HashMap::with_capacity(keys.len());
        for key in keys {
            let entry = Entry::build(&source, &hasher, key)?;
            if let Some(first) = entries.insert(entry.key.id.clone(), entry) {
                return Err(ApiKeyError::Duplicate(first.key.id));
            }
        }
        let (by_client, by_key) = (Failures::new(FAILURES_PER_CLIENT), Failures::new(FAILURES_PER_KEY));
        Ok(ApiKeySource { name: source, places, headers, hasher, keys: entries, by_client, by_key })
    }

    /// Where a key is looked for, in order.
    pub fn places(&self) -> &[TokenPlace] {
        &self.places
    }

    /// The header fields that hold nothing but a key of this source, and are no business of the application's.
    pub fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// When each key was last used, in the order of their ids; keys that were never used are not among them.
    pub fn uses(&self) -> Vec<KeyUse> {
        let mut uses: Vec<KeyUse> = self
            .keys
            .values()
            .filter_map(|entry| {
                let at = entry.last_used.load(Ordering::Relaxed);
                (at > 0).then(|| KeyUse { source: self.name.clone(), key: entry.key.id.as_str().into(), at })
            })
            .collect();
        uses.sort_by(|a, b| a.key.cmp(&b.key));
        uses
    }

    /// Remember the uses of keys that another source of this name knows, as the one before a reload.
    pub fn remember(&self, uses: &[KeyUse]) {
        for used in uses.iter().filter(|used| used.source == self.name) {
            if let Some(entry) = self.keys.get(&*used.key) {
                entry.last_used.fetch_max(used.at, Ordering::Relaxed);
            }
        }
    }

    /// Is this credential this source's business? In a header of its own everything is; elsewhere what looks like a
    /// key.
    pub(super) fn claims(&self, place: &TokenPlace, text: Option<&str>) -> bool {
        match place {
            TokenPlace::Header(_) => true,
            TokenPlace::Bearer | TokenPlace::Basic | TokenPlace::Cookie(_) => text.is_some_and(looks_like_key),
            TokenPlace::Certificate(_) => false,
        }
    }

    /// Judge a claimed key.
    pub(super) fn verify(
        &self,
        found: &Found<'_>,
        address: Option<IpAddr>,
        now: Timestamp,
        notes: &mut dyn FnMut(Note<'_>),
    ) -> Verdict {
        match self.judge(found, address, now, notes) {
            Ok(identity) => Verdict::Verified(identity),
            Err(bad) => Verdict::Refused(bad),
        }
    }

    fn judge(
        &self,
        found: &Found<'_>,
        address: Option<IpAddr>,
        now: Timestamp,
        notes: &mut dyn FnMut(Note<'_>),
    ) -> Result<Arc<Identity>, BadCredential> {
        let refuse = |reason, detail: String| Err(BadCredential { reason, detail });
        let (text, user) = match found {
            Found::Text(text) => (*text, None),
            Found::Pair(pair) => (pair.password.expose().as_str(), Some(pair.user.as_str())),
        };
        let key = match KeyText::parse(text) {
            Ok(key) => key,
            Err(error) => return self.failed(None, address, now, error.to_string()),
        };
        if user.is_some_and(|user| !user.is_empty() && user != key.id) {
            let detail = "the user name beside the API key is neither empty nor the key's id".to_owned();
            return self.failed(None, address, now, detail);
        }
        let Some(entry) = self.find(&key) else {
            // The same work for an id that nobody has, to the last word.
            let wrong = if self.keys.contains_key(key.id) { "has another secret" } else { "is not known" };
            return self.failed(Some(key.id), address, now, format!("the API key `{}` {wrong}", key.id));
        };
        let ApiKey { id, expires, networks, .. } = &entry.key;
        if expires.is_some_and(|expires| expires <= now) {
            return refuse(Reason::ApiKeyExpired, format!("the API key `{id}` has expired"));
        }
        if let Some(networks) = networks
            && !address.is_some_and(|address| networks.contains(address))
        {
            let from = address.map_or("an unknown address".to_owned(), |address| address.to_string());
            return refuse(Reason::ApiKeyNetwork, format!("the API key `{id}` may not be used from {from}"));
        }
        entry.last_used.fetch_max(now.as_second(), Ordering::Relaxed);
        notes(Note::ApiKey { source: &self.name, id });
        Ok(entry.identity.clone())
    }

    /// The entry of a key whose secret is right. One hash is computed and compared whether the id is known or not.
    fn find(&self, key: &KeyText<'_>) -> Option<&Entry> {
        let entry = self.keys.get(key.id);
        let hash = self.hasher.hash(key);
        let expected = entry.map_or_else(KeyHash::nobody, |entry| entry.key.hash);
        if bool::from(hash.equals(&expected)) { entry } else { None }
    }

    /// A wrong key: counted, and past the limit said in another way.
    fn failed(
        &self,
        id: Option<&str>,
        address: Option<IpAddr>,
        now: Timestamp,
        detail: String,
    ) -> Result<Arc<Identity>, BadCredential> {
        let mut exhausted = false;
        if let Some(address) = address {
            exhausted |= self.by_client.exhausted(client(address), now);
            self.by_client.add(client(address), now);
        }
        if let Some(id) = id {
            exhausted |= self.by_key.exhausted(id, now);
            self.by_key.add(id, now);
        }
        let reason = if exhausted { Reason::TooManyFailures } else { Reason::ApiKeyInvalid };
        Err(BadCredential { reason, detail })
    }
}

impl Entry {
    fn build(source: &Arc<str>, hasher: &KeyHasher, key: ApiKey) -> Result<Entry, ApiKeyError> {
        if !is_id(&key.id) {
            return Err(ApiKeyError::Id(key.id));
        }
        match (key.hash.is_peppered(), hasher.is_peppered()) {
            (true, false) => return Err(ApiKeyError::NeedsPepper(key.id)),
            (false, true) => return Err(ApiKeyError::NoPepper(key.id)),
            (true, true) | (false, false) => {}
        }
        let raw = [("id", &key.id), ("owner", &key.owner)];
        let identity = Identity::verified(Claims {
            source: source.clone(),
            issuer: source.clone(),
            subject: key.id.clone(),
            user: key.owner.clone(),
            groups: key.groups.clone(),
            email: None,
            email_verified: false,
            name: None,
            scopes: key.scopes.clone(),
            raw: raw.map(|(name, value)| (name.to_owned(), Value::from(value.as_str()))).into_iter().collect(),
            expires: key.expires.map(Timestamp::as_second),
        });
        match identity {
            Ok(identity) => Ok(Entry { key, identity: Arc::new(identity), last_used: AtomicI64::new(0) }),
            Err(_) => Err(ApiKeyError::Owner(key.id)),
        }
    }
}

impl fmt::Debug for ApiKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApiKeySource { name, places, keys, .. } = self;
        f.debug_struct("ApiKeySource")
            .field("name", name)
            .field("places", places)
            .field("keys", &keys.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Found")
    }
}

#[cfg(test)]
mod tests;
