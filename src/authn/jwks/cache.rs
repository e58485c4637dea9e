//! The life of a fetched key set, without any IO: told the time and what happened, it says whether to fetch, to wait
//! or to serve. Rules K1 (a stranger's key ids cannot force fetches), K4 (staleness) and K5 (an empty set never
//! replaces a good one) live here and nowhere else.

use std::sync::Arc;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::authn::jwks::set::KeySet;
use crate::authn::jwks::thrift::Thrift;
use crate::authn::jwt::Algorithm;

/// The intervals of the life-cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// From one good fetch to the next; varied by a tenth either way, so that replicas spread out.
    pub refresh: SignedDuration,
    /// After the first failure; doubled with each further one.
    pub backoff_first: SignedDuration,
    /// The longest wait after a failure.
    pub backoff_last: SignedDuration,
    /// From the start of any fetch to the next one a request may cause.
    pub cooldown: SignedDuration,
    /// How long a set is used after it was fetched.
    pub max_stale: SignedDuration,
}

impl Default for Times {
    fn default() -> Times {
        Times {
            refresh: SignedDuration::from_secs(600),
            backoff_first: SignedDuration::from_secs(5),
            backoff_last: SignedDuration::from_secs(300),
            cooldown: SignedDuration::from_secs(30),
            max_stale: SignedDuration::from_hours(24),
        }
    }
}

/// A set and when it was fetched.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) set: Arc<KeySet>,
    pub(super) fetched: Timestamp,
    max_stale: SignedDuration,
}

impl Held {
    /// The set, unless it is too old.
    pub(super) fn serve(&self, now: Timestamp) -> Option<&Arc<KeySet>> {
        (now.duration_since(self.fetched) < self.max_stale).then_some(&self.set)
    }
}

/// What the background task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Fetch now, then tell [`Cache::finished`].
    Fetch,
    /// Nothing is due for so long.
    Wait(SignedDuration),
}

/// What a request that lacks a key may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// A fetch was ordered for it.
    Ordered,
    /// A fetch is running or ordered already; wait for that one.
    Join,
    /// The last fetch is too recent.
    Cooldown,
}

/// The state of one issuer's keys.
#[derive(Debug)]
pub(super) struct Cache {
    times: Times,
    /// A set without a key for one of these is of no use; empty: any key is.
    wanted: Vec<Algorithm>,
    held: Option<Arc<Held>>,
    /// When the last good fetch ended.
    fresh_since: Option<Timestamp>,
    thrift: Thrift,
    activity: Activity,
    last_start: Option<Timestamp>,
    /// The last end of a fetch, and the wait from there to the next.
    due: Option<(Timestamp, SignedDuration)>,
    failures: u32,
    last_error: Option<String>,
    counts: Counts,
}

/// What was fetched so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) good: u64,
    pub(super) failed: u64,
    pub(super) changes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Activity {
    Idle,
    Ordered,
    Fetching,
}

impl Cache {
    pub(super) fn new(times: Times, wanted: Vec<Algorithm>) -> Cache {
        Cache {
            times,
            wanted,
            held: None,
            fresh_since: None,
            thrift: Thrift::default(),
            activity: Activity::Idle,
            last_start: None,
            due: None,
            failures: 0,
            last_error: None,
            counts: Counts::default(),
        }
    }

    /// What is next? A `Fetch` counts as started.
    pub(super) fn step(&mut self, now: Timestamp) -> Step {
        let wait = self.due.map_or(SignedDuration::ZERO, |(since, delay)| remaining(since, delay, now));
        if self.activity == Activity::Ordered || wait <= SignedDuration::ZERO {
            self.activity = Activity::Fetching;
            self.last_start = Some(now);
            return Step::Fetch;
        }
        Step::Wait(wait)
    }

    /// A request needs a key that is not here: that of this id, if it says.
    pub(super) fn ask(&mut self, kid: Option<&str>, now: Timestamp) -> Ask {
        let answer = match self.activity {
            // What lacks the key is as good as new: the next fetch would bring the same.
            _ if self.is_fresh(now) || kid.is_some_and(|kid| self.thrift.knows_absent(kid, now)) => Ask::Cooldown,
            Activity::Ordered | Activity::Fetching => Ask::Join,
            Activity::Idle if self.cools(now) || !self.thrift.order(now) => Ask::Cooldown,
            Activity::Idle => {
                self.activity = Activity::Ordered;
                self.last_start = Some(now);
                Ask::Ordered
            }
        };
        if let (Some(kid), Ask::Ordered | Ask::Join) = (kid, answer) {
            self.thrift.await_kid(kid);
        }
        answer
    }

    /// A fetch ended. `random` spreads the next one. Says whether a new set is in force.
    pub(super) fn finished(&mut self, outcome: Result<KeySet, String>, now: Timestamp, random: u32) -> bool {
        self.activity = Activity::Idle;
        let set = match outcome {
            Ok(set) if set.keys().is_empty() => Err(empty(&set)),
            Ok(set) if !self.is_useful(&set) => {
                Err("the key set has no key for any algorithm of the source".to_owned())
            }
            other => other,
        };
        match set {
            Ok(set) => {
                self.thrift.brought(&set, now, self.times.cooldown, self.times.refresh);
                self.hold(Arc::new(set), now);
                self.fresh_since = Some(now);
                self.counts.good = self.counts.good.saturating_add(1);
                self.due = Some((now, spread(self.times.refresh, random)));
                self.failures = 0;
                self.last_error = None;
                true
            }
            Err(error) => {
                self.thrift.failed();
                self.counts.failed = self.counts.failed.saturating_add(1);
                self.due = Some((now, spread(self.backoff(), random)));
                self.failures = self.failures.saturating_add(1);
                self.last_error = Some(error);
                false
            }
        }
    }

    /// Put a set in force. One of the same document stays the very same set, so that what was verified with it stays
    /// verified.
    fn hold(&mut self, set: Arc<KeySet>, fetched: Timestamp) {
        let same = self.held.as_ref().map(|held| &held.set).filter(|held| held.is_of_same_document(&set)).cloned();
        if same.is_none() {
            self.counts.changes = self.counts.changes.saturating_add(1);
        }
        let set = same.unwrap_or(set);
        self.held = Some(Arc::new(Held { set, fetched, max_stale: self.times.max_stale }));
    }

    /// Keys of an earlier process or policy, unless there are newer ones. They count as fetched when those fetched them.
    pub(super) fn restored(&mut self, set: Arc<KeySet>, fetched: Timestamp) {
        if self.held.is_none() && self.is_useful(&set) {
            self.hold(set, fetched);
        }
    }

    /// The task that fetched is gone without an end; the next step starts anew.
    pub(super) fn abandoned(&mut self) {
        self.activity = Activity::Idle;
    }

    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.held.clone()
    }

    /// Failures since the last good fetch, and what the last one said.
    pub(super) fn failures(&self) -> (u32, Option<&str>) {
        (self.failures, self.last_error.as_deref())
    }

    /// What was fetched so far.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// The longest use of a set.
    pub(super) fn max_stale(&self) -> SignedDuration {
        self.times.max_stale
    }

    fn is_useful(&self, set: &KeySet) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|algorithm| set.serves(*algorithm))
    }

    /// When the next fetch is due, unless it is due already.
    pub(super) fn next_fetch(&self) -> Option<Timestamp> {
        self.due.and_then(|(since, delay)| since.checked_add(delay).ok())
    }

    /// Was the set in force fetched within the cooldown?
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.fresh_since.is_some_and(|since| remaining(since, self.times.cooldown, now) > SignedDuration::ZERO)
    }

    /// A clock that was set back does not prolong the cooldown beyond its length.
    fn cools(&self, now: Timestamp) -> bool {
        self.last_start.is_some_and(|start| remaining(start, self.times.cooldown, now) > SignedDuration::ZERO)
    }

    fn backoff(&self) -> SignedDuration {
        let doubled = 1_i32.checked_shl(self.failures.min(16)).and_then(|by| self.times.backoff_first.checked_mul(by));
        doubled.unwrap_or(self.times.backoff_last).min(self.times.backoff_last)
    }
}

/// What is left of a delay; nothing when the clock went back behind its start.
fn remaining(since: Timestamp, delay: SignedDuration, now: Timestamp) -> SignedDuration {
    let elapsed = now.duration_since(since);
    if elapsed.is_negative() { SignedDuration::ZERO } else { delay.saturating_sub(elapsed) }
}

/// The delay, up to a tenth shorter or longer.
fn spread(delay: SignedDuration, random: u32) -> SignedDuration {
    let share = f64::from(random) / f64::from(u32::MAX) * 0.2 + 0.9;
    SignedDuration::try_from_secs_f64(delay.as_secs_f64() * share).unwrap_or(delay)
}

fn empty(set: &KeySet) -> String {
    match set.left_out().first() {
        None => "the key set is empty".to_owned(),
        Some(first) => format!("the key set has no usable key: {first}"),
    }
}

#[cfg(test)]
mod tests;
