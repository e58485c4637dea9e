//! When to leave a provider alone, without any IO: told the time and how calls ended, it says whether one may start.
//! A provider that failed several times in a row is not asked for a while, then by one call alone.

use jiff::SignedDuration;
use jiff::Timestamp;

/// Failures in a row that open the breaker.
const FAILURES: u32 = 5;
/// The first wait; doubled with each further failure of the call that tries again.
const BACKOFF_FIRST: SignedDuration = SignedDuration::from_secs(1);
/// The longest wait.
const BACKOFF_LAST: SignedDuration = SignedDuration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    state: State,
    /// How often it opened since the last good call.
    openings: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Calls start freely; so many have failed in a row.
    Closed { failures: u32 },
    /// No call starts before the wait is over.
    Open { since: Timestamp, wait: SignedDuration },
    /// One call tries again.
    Trying,
}

impl Default for State {
    fn default() -> State {
        State::Closed { failures: 0 }
    }
}

impl Breaker {
    /// May a call start now? Whoever is told so must say how it ended.
    pub(super) fn admit(&mut self, now: Timestamp) -> bool {
        match self.state {
            State::Closed { .. } => true,
            State::Trying => false,
            State::Open { since, wait } => {
                let elapsed = now.duration_since(since);
                // A clock that was set back does not prolong the wait.
                let over = elapsed.is_negative() || elapsed >= wait;
                if over {
                    self.state = State::Trying;
                }
                over
            }
        }
    }

    /// A call got an answer.
    pub(super) fn succeeded(&mut self) {
        *self = Breaker::default();
    }

    /// A call got none. `random` spreads the waits of replicas.
    pub(super) fn failed(&mut self, now: Timestamp, random: u32) {
        match self.state {
            State::Closed { failures } if failures.saturating_add(1) < FAILURES => {
                self.state = State::Closed { failures: failures.saturating_add(1) };
            }
            State::Closed { .. } | State::Trying => {
                let doubled = 1_i32.checked_shl(self.openings.min(16)).and_then(|by| BACKOFF_FIRST.checked_mul(by));
                let wait = spread(doubled.unwrap_or(BACKOFF_LAST).min(BACKOFF_LAST), random);
                self.state = State::Open { since: now, wait };
                self.openings = self.openings.saturating_add(1);
            }
            // The end of a call that started before it opened.
            State::Open { .. } => {}
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }
}

/// The wait, up to a quarter longer: never shorter, so that a provider has the rest it was promised.
fn spread(wait: SignedDuration, random: u32) -> SignedDuration {
    let share = f64::from(random) / f64::from(u32::MAX) * 0.25 + 1.0;
    SignedDuration::try_from_secs_f64(wait.as_secs_f64() * share).unwrap_or(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::testing::NOW;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(NOW * 1000 + millisecond).expect("a time")
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        for _ in 0..FAILURES {
            assert!(breaker.admit(at(0)));
            breaker.failed(at(0), 0);
        }
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it() {
        let mut breaker = Breaker::default();
        for _ in 0..3 {
            for _ in 0..FAILURES - 1 {
                breaker.failed(at(0), 0);
                assert!(breaker.admit(at(0)));
            }
            breaker.succeeded();
        }
        assert!(!opened().admit(at(0)));
        assert!(!opened().is_closed());
    }

    #[test]
    fn one_call_tries_again_after_the_wait() {
        let mut breaker = opened();
        assert!(!breaker.admit(at(999)));
        assert!(breaker.admit(at(1000)));
        assert!(!breaker.admit(at(1000)), "one alone");
        assert!(!breaker.admit(at(60_000)), "until it has ended");
        breaker.succeeded();
        assert!(breaker.admit(at(1000)) && breaker.is_closed());
    }

    #[test]
    fn waits_double_to_half_a_minute_and_start_anew_after_a_good_call() {
        let mut breaker = opened();
        let mut now = 0;
        for wait in [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000] {
            assert!(!breaker.admit(at(now + wait - 1)), "{wait}");
            now += wait;
            assert!(breaker.admit(at(now)), "{wait}");
            breaker.failed(at(now), 0);
        }
        let mut again = breaker;
        assert!(again.admit(at(now + 30_000)));
        again.succeeded();
        for _ in 0..FAILURES {
            again.failed(at(now), 0);
        }
        assert!(!again.admit(at(now + 999)) && again.admit(at(now + 1000)));
    }

    #[test]
    fn a_wait_is_up_to_a_quarter_longer() {
        let mut breaker = opened();
        assert!(breaker.admit(at(1000)));
        breaker.failed(at(1000), u32::MAX);
        assert!(!breaker.admit(at(1000 + 2499)));
        assert!(breaker.admit(at(1000 + 2500)));
    }

    #[test]
    fn late_ends_and_a_clock_set_back_do_not_prolong_a_wait() {
        let mut breaker = opened();
        breaker.failed(at(900), 0);
        assert!(breaker.admit(at(1000)));
        assert!(opened().admit(at(-1)));
    }
}
