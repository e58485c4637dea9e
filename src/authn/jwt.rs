//! Signed tokens of one issuer: a small, strict reading of RFC 7515 and RFC 7519, in the order of its steps. A token
//! is recognised by its issuer, its header judged, its signature verified, and only then are its claims believed.

mod algorithm;
mod cache;
mod claims;
mod error;
mod header;
mod kind;
mod mapping;
mod preset;
mod token;
mod verify;

use std::sync::Arc;
use std::sync::OnceLock;

use jiff::Timestamp;

use crate::authn::Answer;
use crate::authn::BadCredential;
use crate::authn::Note;
use crate::authn::Question;
use crate::authn::Verdict;
use crate::authn::jwks::FetchOutcome;
use crate::authn::jwks::Fit;
use crate::authn::jwks::Keys;
use crate::authn::place::TokenPlace;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::key_status::TokenCacheStatus;
use cache::Reign;
pub(in crate::authn) use cache::Remembered;
use cache::TokenCache;
use header::Header;
use header::Headers;

pub use algorithm::Algorithm;
pub use cache::CACHED_TOKEN;
pub use cache::DEFAULT_CACHED_TOKENS;
pub(in crate::authn) use claims::judge_audience;
pub(in crate::authn) use claims::seconds;
pub use error::TokenError;
pub use kind::TokenKind;
pub use mapping::ClaimMapping;
pub use mapping::EmailProof;
pub use mapping::GroupClaim;
pub use mapping::Rename;
pub use mapping::Split;
pub use mapping::UserForm;
pub use preset::Preset;
pub(in crate::authn) use token::Unverified;

/// The leeway of a source that does not say, in seconds.
pub const DEFAULT_LEEWAY: i64 = 60;

/// The longest life of a token for a source that does not say, in seconds: a day.
pub const DEFAULT_MAX_LIFETIME: i64 = 24 * 3600;

/// What a JWT source is built from.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// The source's name in the configuration.
    pub source: Arc<str>,
    /// Exactly what `iss` must be.
    pub issuer: String,
    /// One of these must be in `aud`, exactly. Never empty.
    pub audience: Vec<String>,
    /// What `alg` may be. Never empty; see [`Algorithm::DEFAULT`].
    pub algorithms: Vec<Algorithm>,
    /// Where the token is looked for, in this order. Never empty.
    pub places: Vec<TokenPlace>,
    /// Which kind of token is meant.
    pub kind: TokenKind,
    /// The parties (`azp`, else `client_id`) whose tokens are taken; empty: anybody's.
    pub authorized_parties: Vec<String>,
    /// How far the clocks may differ, in seconds.
    pub leeway: i64,
    /// The longest life of a token, in seconds: from `iat` to `exp`, and from now to `exp`.
    pub max_lifetime: i64,
    /// Take tokens that are bound to a key (`cnf`) without the proof of it.
    pub insecure_bound_tokens: bool,
    /// How many verified tokens are remembered; 0: none.
    pub cached_tokens: u32,
    /// Where the issuer writes what.
    pub mapping: ClaimMapping,
    /// The issuer's keys.
    pub keys: Arc<Keys>,
}

/// Why a JWT source cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("the issuer may not be empty")]
    NoIssuer,
    #[error("the audience may not be empty")]
    NoAudience,
    #[error("the list of algorithms may not be empty")]
    NoAlgorithms,
    #[error("the list of token places may not be empty")]
    NoPlaces,
    #[error("the leeway of {0} seconds is not between 0 and 600")]
    Leeway(i64),
    #[error("the longest life of {0} seconds is not between one minute and ten years")]
    MaxLifetime(i64),
    #[error("{0} needs a shared secret, and the keys of this source are public")]
    NeedsSecret(Algorithm),
    #[error("{0} is listed, but no key of this source is for it")]
    NoKeyFor(Algorithm),
    #[error("the keys belong to the issuer `{0}`")]
    KeysOfOtherIssuer(String),
}

impl JwtSettings {
    /// The least that must be said; the rest is as for a configuration that does not say.
    pub fn new(source: &str, issuer: &str, audience: &str, keys: Arc<Keys>) -> JwtSettings {
        JwtSettings {
            source: source.into(),
            issuer: issuer.to_owned(),
            audience: vec![audience.to_owned()],
            algorithms: Algorithm::DEFAULT.to_vec(),
            places: vec![TokenPlace::Bearer],
            kind: TokenKind::Any,
            authorized_parties: vec![],
            leeway: DEFAULT_LEEWAY,
            max_lifetime: DEFAULT_MAX_LIFETIME,
            insecure_bound_tokens: false,
            cached_tokens: DEFAULT_CACHED_TOKENS,
            mapping: ClaimMapping::default(),
            keys,
        }
    }
}

impl JwtSettings {
    /// Would both make the same of every token that the same keys have signed? Whatever is added here counts until
    /// somebody says that it does not.
    fn verifies_as(&self, other: &JwtSettings) -> bool {
        let JwtSettings {
            source,
            issuer,
            audience,
            algorithms,
            // Where a token stands is judged before.
            places: _,
            kind,
            authorized_parties,
            leeway,
            max_lifetime,
            insecure_bound_tokens,
            cached_tokens,
            mapping,
            keys: _,
        } = self;
        *source == other.source
            && *issuer == other.issuer
            && *audience == other.audience
            && *algorithms == other.algorithms
            && *kind == other.kind
            && *authorized_parties == other.authorized_parties
            && *leeway == other.leeway
            && *max_lifetime == other.max_lifetime
            && *insecure_bound_tokens == other.insecure_bound_tokens
            && *cached_tokens == other.cached_tokens
            && *mapping == other.mapping
    }
}

/// One issuer's tokens.
#[derive(Debug)]
pub struct JwtSource {
    settings: Box<JwtSettings>,
    issuer: Arc<str>,
    /// Made when it is first needed, unless an earlier policy's is [taken over](JwtSource::take_over) before.
    cache: OnceLock<Option<Arc<TokenCache>>>,
    reign: Reign,
    headers: Headers,
}

impl JwtSource {
    /// Build a source, or say which setting contradicts another.
    pub fn build(settings: JwtSettings) -> Result<JwtSource, JwtError> {
        let JwtSettings { issuer, audience, algorithms, places, leeway, max_lifetime, keys, .. } = &settings;
        if issuer.is_empty() {
            return Err(JwtError::NoIssuer);
        }
        if audience.is_empty() || audience.iter().any(String::is_empty) {
            return Err(JwtError::NoAudience);
        }
        if algorithms.is_empty() {
            return Err(JwtError::NoAlgorithms);
        }
        if places.is_empty() {
            return Err(JwtError::NoPlaces);
        }
        if !(0..=600).contains(leeway) {
            return Err(JwtError::Leeway(*leeway));
        }
        if !(60..=10 * 366 * 24 * 3600).contains(max_lifetime) {
            return Err(JwtError::MaxLifetime(*max_lifetime));
        }
        if **keys.issuer() != **issuer {
            return Err(JwtError::KeysOfOtherIssuer(keys.issuer().to_string()));
        }
        let fixed = keys.fixed_set();
        for algorithm in algorithms.iter().copied() {
            match fixed {
                None if algorithm.is_symmetric() => return Err(JwtError::NeedsSecret(algorithm)),
                Some(set) if algorithm.is_symmetric() && !set.serves(algorithm) => {
                    return Err(JwtError::NeedsSecret(algorithm));
                }
                Some(_) | None => {}
            }
        }
        if let Some(set) = fixed
            && let Some(first) = algorithms.first()
            && !algorithms.iter().any(|algorithm| set.serves(*algorithm))
        {
            return Err(JwtError::NoKeyFor(*first));
        }
        let issuer = issuer.as_str().into();
        let headers = Headers::new(settings.algorithms.clone());
        let (cache, reign) = (OnceLock::new(), Reign::default());
        Ok(JwtSource { settings: Box::new(settings), issuer, cache, reign, headers })
    }

    fn cache(&self) -> Option<&TokenCache> {
        self.cache.get_or_init(|| TokenCache::new(self.settings.cached_tokens).map(Arc::new)).as_deref()
    }

    /// Remember what an earlier policy's source of this name has verified, if it did so by the very terms that hold here.
    /// With which keys is looked at token by token. Too late once a token was judged.
    pub(super) fn take_over(&self, earlier: &JwtSource) {
        if self.settings.verifies_as(&earlier.settings)
            && let Some(cache) = earlier.cache.get()
        {
            let _ = self.cache.set(cache.clone());
        }
    }

    /// Exactly what `iss` must be.
    pub fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// The source's name in the configuration.
    pub fn source(&self) -> &Arc<str> {
        &self.settings.source
    }

    /// What stands before the name of every user.
    pub fn user_prefix(&self) -> &str {
        &self.settings.mapping.user_form.prefix
    }

    /// Where the token is looked for, in order.
    pub fn places(&self) -> &[TokenPlace] {
        &self.settings.places
    }

    /// The issuer's keys.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.settings.keys
    }

    /// How the verified tokens of this source are remembered, if they are.
    pub fn tokens(&self) -> Option<TokenCacheStatus> {
        self.cache().map(TokenCache::status)
    }

    /// Is a token of this issuer this source's business?
    pub(super) fn claims(&self, issuer: Option<&str>) -> bool {
        issuer == Some(&*self.issuer)
    }

    /// A token that this source verified with the set in force, and that is still valid.
    pub(super) fn recall(&self, token: &[u8], now: Timestamp) -> Option<Arc<Remembered>> {
        let cache = self.cache()?;
        let remembered = cache.find(token, &self.settings.keys.current(now)?, &self.reign)?;
        if remembered.lifetime.judge(self.settings.leeway, self.settings.max_lifetime, now).is_err() {
            cache.forget(token);
            return None;
        }
        cache.hit();
        Some(remembered)
    }

    /// Take what was [recalled](JwtSource::recall) in this very moment.
    pub(super) fn accept(&self, remembered: &Remembered, notes: &mut dyn FnMut(Note<'_>)) -> Verdict {
        let (kid, algorithm) = (remembered.kid.as_deref(), remembered.algorithm);
        notes(Note::Key { source: &self.settings.source, kid, algorithm });
        Verdict::Verified(Arc::clone(&remembered.identity))
    }

    /// Judge a claimed token. `answer` is what came of an earlier [`Verdict::Needs`].
    pub(super) fn verify(
        &self,
        token: Unverified<'_>,
        now: Timestamp,
        answer: Option<&Answer>,
        notes: &mut dyn FnMut(Note<'_>),
    ) -> Verdict {
        match self.try_verify(token, now, answer, notes) {
            Ok(verdict) => verdict,
            Err(error) => Verdict::Refused(BadCredential { reason: error.reason(), detail: error.to_string() }),
        }
    }

    fn try_verify(
        &self,
        token: Unverified<'_>,
        now: Timestamp,
        answer: Option<&Answer>,
        notes: &mut dyn FnMut(Note<'_>),
    ) -> Result<Verdict, TokenError> {
        let settings = &self.settings;
        let set = settings.keys.current(now);
        if let Some(cache) = self.cache() {
            cache.missed();
        }
        let header = self.headers.read(token.header)?;
        let Header { algorithm, kid, typed } = &header.says;
        let (algorithm, typed) = (*algorithm, *typed);
        let Some(set) = set else {
            return self.without_key(kid.clone(), false, answer);
        };
        let keys = match set.fit(kid.as_deref(), algorithm) {
            Fit::Keys(keys) => keys,
            Fit::OtherAlgorithm => return Err(TokenError::KeyNotForAlgorithm(algorithm)),
            Fit::Unknown => return self.without_key(kid.clone(), true, answer),
        };
        let text = token.text;
        let (verified, key) = verify::verify(token, algorithm, &keys)?;
        self.headers.keep(&header);
        notes(Note::Key { source: &settings.source, kid: key.kid(), algorithm });
        let registered = claims::judge(&verified, typed, settings, now)?;
        let mapped = settings.mapping.read(verified.members())?;
        let identity = Identity::verified(Claims {
            source: settings.source.clone(),
            issuer: self.issuer.clone(),
            subject: registered.subject,
            user: mapped.user,
            groups: mapped.groups,
            email: mapped.email,
            email_verified: mapped.email_verified,
            name: mapped.name,
            scopes: mapped.scopes,
            raw: verified.into_members(),
            expires: Some(registered.lifetime.expires),
        });
        // The one thing `Identity::verified` still judges is the soundness of subject and user.
        let identity = Arc::new(identity.map_err(|_| TokenError::UnsoundName)?);
        if let Some(cache) = self.cache() {
            let (identity, lifetime) = (Arc::clone(&identity), registered.lifetime);
            let kid = key.kid().map(Into::into);
            let (keys, reign) = (Arc::clone(&set), self.reign.clone());
            cache.remember(text, Remembered { identity, lifetime, kid, algorithm, keys, reign });
        }
        Ok(Verdict::Verified(identity))
    }

    /// The key is not here. Before a wait it may still come; after one this is the answer. `have_set`: the issuer has
    /// keys, only not this one.
    fn without_key(&self, kid: Option<String>, have_set: bool, answer: Option<&Answer>) -> Result<Verdict, TokenError> {
        match answer {
            None if self.settings.keys.is_remote() => {
                Ok(Verdict::Needs(Question::Keys { keys: self.settings.keys.clone(), kid }))
            }
            None | Some(Answer::Keys(FetchOutcome::Fresh | FetchOutcome::Cooldown)) if have_set => {
                Err(TokenError::UnknownKey(kid))
            }
            None | Some(_) => Err(TokenError::NoKeys),
        }
    }
}

#[cfg(test)]
mod tests;
