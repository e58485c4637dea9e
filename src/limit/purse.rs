//! What one request takes, and has taken.
//!
//! A walk that has to wait, for the keys of an issuer or the word of a provider, is walked again from its beginning. The
//! purse remembers what was taken at each of its stations, so that it is taken once. A store that must be asked over the
//! network fits in here: its walk waits like the others, and what came of it is remembered in the same way.

use std::time::Instant;

use crate::limit::local::Local;
use crate::model::limit::Standing;
use crate::model::limit::Take;

/// Where a walk takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Before it is asked who the caller is: what is counted by address.
    Gate,
    /// When the caller is known and may pass: everything else.
    Caller,
}

/// What came of taking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Nothing that binds refused.
    pub admitted: bool,
    /// How every bucket stands, in the order asked.
    pub standings: Vec<Standing>,
}

/// The purse of one request.
#[derive(Clone, Debug)]
pub struct Purse {
    at: Instant,
    commit: bool,
    gate: Option<Taken>,
    caller: Option<Taken>,
}

impl Purse {
    /// Of a request that came now, and takes what it needs.
    pub fn taking(at: Instant) -> Purse {
        Purse { at, commit: true, gate: None, caller: None }
    }

    /// Of one that only looks: nothing is taken from anybody.
    pub fn looking(at: Instant) -> Purse {
        Purse { commit: false, ..Purse::taking(at) }
    }

    /// Take at a stop, once.
    pub fn take(&mut self, stop: Stop, takes: &[Take<'_>], store: &Local) -> &Taken {
        let kept = match stop {
            Stop::Gate => &mut self.gate,
            Stop::Caller => &mut self.caller,
        };
        kept.get_or_insert_with(|| store.take(takes, store.tick(self.at), self.commit))
    }
}
