//! How one issuer's keys stand.

use std::sync::Arc;

use jiff::Timestamp;

/// What readiness and metrics show of one issuer's keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyStatus {
    pub source: Arc<str>,
    pub issuer: Arc<str>,
    /// Are they fetched? Else they are from a file or a secret, and never change.
    pub is_fetched: bool,
    /// Usable keys in force, whatever their age.
    pub keys: usize,
    /// Keys of the set that are left out.
    pub left_out: usize,
    /// When the set in force was fetched; `None` for keys that are not fetched, or not yet.
    pub fetched_at: Option<Timestamp>,
    /// When the next fetch is due.
    pub next_fetch: Option<Timestamp>,
    /// Fetches that brought a usable set, so far.
    pub good_fetches: u64,
    /// Fetches that did not, so far.
    pub failed_fetches: u64,
    /// How often the set in force was exchanged for another.
    pub changes: u64,
    /// How often they could not be kept for the next start.
    pub not_kept: u64,
    /// Failed fetches since the last good one.
    pub failures: u32,
    /// What the last failed fetch said, until one succeeds.
    pub last_error: Option<String>,
    /// The tokens that were verified with these keys and are remembered, if any are.
    pub tokens: Option<TokenCacheStatus>,
}

/// How a source's verified tokens are remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenCacheStatus {
    /// Tokens found, so far.
    pub hits: u64,
    /// Tokens not found, so far.
    pub misses: u64,
    /// Tokens held, about.
    pub tokens: u64,
}
