//! When a credential of ours was last used.

use std::sync::Arc;

/// The last use of one API key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    pub source: Arc<str>,
    /// The public id of the key.
    pub key: Arc<str>,
    /// In seconds since 1970.
    pub at: i64,
}
