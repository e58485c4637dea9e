//! Verifying passwords off the serving threads: a few at a time, a short queue behind them, and a memory of verdicts.
//!
//! A password takes longer than many callers wait. So a verification that was begun is finished though nobody waits any
//! more, and its verdict is kept: the next try finds it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use jiff::SignedDuration;
use jiff::Timestamp;
use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::authn::basic::password::PasswordHash;
use crate::authn::failures::Failures;
use crate::authn::pair::Pair;
use crate::model::secret::Secret;

/// Right passwords remembered.
const RIGHT: u64 = 10_000;
/// Wrong passwords remembered: apart from the right ones, so that guesses do not push those out.
const WRONG: u64 = 1_000;
/// How long a wrong password is remembered.
const WRONG_FOR: SignedDuration = SignedDuration::from_secs(30);
/// Verifications that run or wait at one time.
const QUEUE: usize = 64;

/// Wrong passwords from one client within a minute; past them none is verified (R2).
const FAILURES_PER_CLIENT: u16 = 20;
/// Wrong passwords for one user within a minute, from wherever. A remembered password passes all the same, so that a
/// stranger cannot end the sessions of a user.
const FAILURES_PER_USER: u16 = 100;

/// A name and a password, known by a hash with a key of this process.
pub(super) type Fingerprint = [u8; 32];

/// What verifications share.
pub(super) struct Verifier {
    key: hmac::Key,
    right: Cache<Fingerprint, Timestamp>,
    wrong: Cache<Fingerprint, Timestamp>,
    right_for: SignedDuration,
    running: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    by_client: Failures,
    by_user: Failures,
}

/// One password to verify.
pub struct PasswordCheck {
    pub(super) verifier: Arc<Verifier>,
    pub(super) of: Fingerprint,
    /// For a name that nobody has: the hash of somebody else, so that it takes the same time.
    pub(super) hash: Arc<PasswordHash>,
    pub(super) known: bool,
    pub(super) password: Secret<String>,
    pub(super) user: String,
    pub(super) client: Option<u64>,
}

/// What came of it. It is about one name and one password, and good for no other.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordAnswer {
    pub(super) of: Fingerprint,
    pub(super) outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Right,
    Wrong,
    /// Too many others wait.
    Busy,
}

impl Verifier {
    /// Verify so many at a time, and remember right passwords so long. `None` when the system has no randomness.
    pub(super) fn new(at_once: usize, right_for: SignedDuration) -> Option<Verifier> {
        let cache = |capacity, time: SignedDuration| {
            Cache::builder()
                .max_capacity(capacity)
                .time_to_live(time.unsigned_abs().max(Duration::from_secs(1)))
                .build()
        };
        Some(Verifier {
            key: hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).ok()?,
            right: cache(RIGHT, right_for),
            wrong: cache(WRONG, WRONG_FOR),
            right_for,
            running: Arc::new(Semaphore::new(at_once.max(1))),
            queue: Arc::new(Semaphore::new(QUEUE)),
            by_client: Failures::new(FAILURES_PER_CLIENT),
            by_user: Failures::new(FAILURES_PER_USER),
        })
    }

    pub(super) fn fingerprint(&self, pair: &Pair) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&(pair.user.len() as u64).to_be_bytes());
        context.update(pair.user.as_bytes());
        context.update(pair.password.expose().as_bytes());
        let mut fingerprint = [0; 32];
        for (to, from) in fingerprint.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        fingerprint
    }

    /// What is remembered.
    pub(super) fn remembered(&self, of: &Fingerprint, now: Timestamp) -> Option<Outcome> {
        let holds = |cache: &Cache<Fingerprint, Timestamp>| cache.get(of).is_some_and(|until| now < until);
        if holds(&self.right) {
            return Some(Outcome::Right);
        }
        holds(&self.wrong).then_some(Outcome::Wrong)
    }

    fn remember(&self, of: Fingerprint, right: bool, now: Timestamp) {
        let (cache, time) = if right { (&self.right, self.right_for) } else { (&self.wrong, WRONG_FOR) };
        if let Ok(until) = now.checked_add(time) {
            cache.insert(of, until);
        }
    }

    /// Has this client, or somebody for this user, failed too often within the minute?
    pub(super) fn exhausted(&self, user: &str, client: Option<u64>, now: Timestamp) -> bool {
        self.by_user.exhausted(user, now) || client.is_some_and(|client| self.by_client.exhausted(client, now))
    }
}

#[cfg(test)]
impl Verifier {
    /// Until nothing is being verified.
    pub(super) async fn idle(&self) {
        let _turn = self.running.acquire().await.expect("open");
    }

    /// Every place in the queue.
    pub(super) fn take_all(&self) -> tokio::sync::OwnedSemaphorePermit {
        Arc::clone(&self.queue).try_acquire_many_owned(QUEUE as u32).expect("nobody waits")
    }
}

impl PasswordCheck {
    /// Find out. Dropping the future gives up the place in the queue, but does not stop what has begun.
    pub(in crate::authn) async fn run(self: Arc<Self>, now: Timestamp) -> PasswordAnswer {
        let of = self.of;
        let answer = |outcome| PasswordAnswer { of, outcome };
        let Ok(place) = Arc::clone(&self.verifier.queue).try_acquire_owned() else { return answer(Outcome::Busy) };
        let Ok(turn) = Arc::clone(&self.verifier.running).acquire_owned().await else { return answer(Outcome::Busy) };
        // A browser asks for ten things at once: the first of them finds out for all.
        if let Some(outcome) = self.verifier.remembered(&of, now) {
            return answer(outcome);
        }
        let verification = tokio::task::spawn_blocking(move || {
            let _until_done = (place, turn);
            self.verify(now)
        });
        // The task has no end of its own but its answer; were it to panic, nobody is let in.
        answer(verification.await.unwrap_or(Outcome::Busy))
    }

    fn verify(&self, now: Timestamp) -> Outcome {
        // INVARIANT: the password is computed for unknown users too, and counts for nothing then.
        let matches = self.hash.verify(&self.password);
        let right = matches && self.known;
        self.verifier.remember(self.of, right, now);
        if right {
            return Outcome::Right;
        }
        self.verifier.by_user.add(self.user.as_str(), now);
        if let Some(client) = self.client {
            self.verifier.by_client.add(client, now);
        }
        Outcome::Wrong
    }
}

impl fmt::Debug for PasswordCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordCheck")
    }
}

impl fmt::Debug for PasswordAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordAnswer").field("outcome", &self.outcome).finish_non_exhaustive()
    }
}
