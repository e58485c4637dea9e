//! Everything that can be wrong with a token, for the operator's log, and the public reason each one becomes.
//! Texts may quote short names the token carries (`alg`, `kid`, `iss`), escaped and cut; never the token itself.

use crate::authn::json::JsonError;
use crate::authn::jwt::algorithm::Algorithm;
use crate::authn::jwt::token::MAX_TOKEN;
use crate::authn::quoted::Quoted;
use crate::model::reason::Reason;

/// Why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    // ── its outer form (RFC 7515 §7.1) ─────────────────────────────────────────────────────────
    #[error("the token is longer than {MAX_TOKEN} octets")]
    TooLong,
    #[error("the token has not exactly three parts")]
    NotThreeParts,
    #[error("the token's {0} is not base64url without padding")]
    NotBase64(&'static str),
    #[error("the token's {part} {error}")]
    Json { part: &'static str, error: JsonError },
    #[error("the token has no signature")]
    NoSignature,

    // ── its header (RFC 7515 §4) ───────────────────────────────────────────────────────────────
    #[error("the header's `{0}` has the wrong type or is missing")]
    HeaderType(&'static str),
    #[error("the header's `kid` is too long")]
    LongKeyId,
    #[error("the header's `{0}` is not supported")]
    Extension(&'static str),
    #[error("the header's `typ` {} is not that of an access or identity token", Quoted(.0))]
    OtherKind(String),
    #[error("the token carries another token (`cty`)")]
    Nested,
    #[error("the token is not signed (`alg` is none)")]
    Unsigned,
    #[error("the algorithm {} is unknown", Quoted(.0))]
    UnknownAlgorithm(String),
    #[error("the algorithm {0} is not one the source allows")]
    AlgorithmNotAllowed(Algorithm),

    // ── its signature ──────────────────────────────────────────────────────────────────────────
    #[error("the key the token names is not for {0}")]
    KeyNotForAlgorithm(Algorithm),
    #[error("{}", KeyName(.0))]
    UnknownKey(Option<String>),
    #[error("the issuer's keys could not be fetched")]
    NoKeys,
    #[error("the signature does not verify")]
    BadSignature,

    // ── its claims (RFC 7519 §4.1) ─────────────────────────────────────────────────────────────
    #[error("`{0}` is missing")]
    ClaimMissing(String),
    #[error("`{0}` has the wrong type")]
    ClaimType(String),
    #[error("`{0}` is not a point in time")]
    NotATime(&'static str),
    #[error("the token expired at {0} (seconds since 1970)")]
    Expired(i64),
    #[error("`{claim}` lies in the future: {at} (seconds since 1970)")]
    NotYetValid { claim: &'static str, at: i64 },
    #[error("the token lives for {lifetime} seconds, longer than `max_lifetime` of {longest}")]
    TooLongLived { lifetime: i64, longest: i64 },
    #[error("the token is of another kind: {0}")]
    WrongKind(&'static str),
    #[error("the token is bound to a key (`cnf`), and nobody here sees the proof of it")]
    Bound,
    #[error("`aud` is missing")]
    NoAudience,
    #[error("`aud` names none of ours")]
    OtherAudience,
    #[error("the token was made for another party than those authorized (`azp`, `client_id`)")]
    OtherParty,
    #[error("the token has several audiences and does not say for which of them it was made (`azp`)")]
    NoParty,
    #[error(
        "the claim `{0}` is not in the token but elsewhere: the provider had too much of it (see the preset `entra` in \
         the documentation)"
    )]
    ClaimElsewhere(String),
    #[error("the user is taken from the mail address, which nothing in the token vouches for")]
    UnverifiedEmail,
    #[error("the user is taken from the mail address, which has not exactly one `@`")]
    OddEmail,
    #[error("`sub` names another ServiceAccount than `kubernetes.io`")]
    OtherServiceAccount,
    #[error("`sub` or the user name is empty, has space at an end, or holds control characters")]
    UnsoundName,
}

impl TokenError {
    /// The word for client and audit log.
    pub fn reason(&self) -> Reason {
        match self {
            TokenError::TooLong
            | TokenError::NotThreeParts
            | TokenError::NotBase64(_)
            | TokenError::Json { .. }
            | TokenError::NoSignature
            | TokenError::HeaderType(_)
            | TokenError::LongKeyId
            | TokenError::Extension(_)
            | TokenError::OtherKind(_)
            | TokenError::Nested => Reason::TokenMalformed,
            TokenError::Unsigned
            | TokenError::UnknownAlgorithm(_)
            | TokenError::AlgorithmNotAllowed(_)
            | TokenError::KeyNotForAlgorithm(_) => Reason::TokenAlgorithm,
            TokenError::UnknownKey(_) => Reason::TokenKeyUnknown,
            TokenError::NoKeys => Reason::KeysUnavailable,
            TokenError::BadSignature => Reason::TokenSignature,
            TokenError::Expired(_) => Reason::TokenExpired,
            TokenError::NotYetValid { .. } => Reason::TokenNotYetValid,
            TokenError::NoAudience | TokenError::OtherAudience | TokenError::OtherParty | TokenError::NoParty => {
                Reason::TokenAudience
            }
            TokenError::ClaimMissing(_)
            | TokenError::ClaimType(_)
            | TokenError::NotATime(_)
            | TokenError::TooLongLived { .. }
            | TokenError::WrongKind(_)
            | TokenError::Bound
            | TokenError::ClaimElsewhere(_)
            | TokenError::UnverifiedEmail
            | TokenError::OddEmail
            | TokenError::OtherServiceAccount
            | TokenError::UnsoundName => Reason::TokenClaims,
        }
    }
}

/// Says which key is unknown.
struct KeyName<'k>(&'k Option<String>);

impl std::fmt::Display for KeyName<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(kid) => write!(f, "the issuer has no key {}", Quoted(kid)),
            None => f.write_str("the token names no key and the issuer has none that fits"),
        }
    }
}
