//! How asking one provider about its tokens stands.

use std::sync::Arc;

/// What metrics show of one source that asks its provider about tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntrospectionStatus {
    pub source: Arc<str>,
    /// Calls that found the token good.
    pub active: u64,
    /// Calls that found the token bad, in whatever way.
    pub refused: u64,
    /// Calls that got no usable answer.
    pub failed: u64,
    /// Requests for which no call could be made: the provider is left alone for a while, or too many calls are under way.
    pub held_back: u64,
    /// Requests answered by what was heard before.
    pub recalled: u64,
    /// Calls under way.
    pub in_flight: usize,
    /// The provider failed several times in a row and is left alone for a while.
    pub breaker_open: bool,
}
