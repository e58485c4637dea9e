//! How one issuer's keys stand.

use std::sync::Arc;

use jiff::Timestamp;

/// What readiness and metrics show of one issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    pub source: Arc<str>,
    pub issuer: Arc<str>,
    /// Usable keys in force, whatever their age.
    pub keys: usize,
    /// Keys of the set that are left out.
    pub left_out: usize,
    /// When the set in force was fetched; `None` for keys that are not fetched, or not yet.
    pub fetched_at: Option<Timestamp>,
    /// Failed fetches since the last good one.
    pub failures: u32,
    /// What the last failed fetch said, until one succeeds.
    pub last_error: Option<String>,
}
