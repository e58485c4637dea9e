//! The rule of overload: whom to turn away when this thread is behind.
//!
//! 2026-11: the rule goes by how long a check has waited for its turn, measured against what its caller grants, and
//! by nothing else. How busy the thread is says little: a proxy with enough to ask keeps it busy all the time and is
//! answered in a millisecond. A rule that refuses whatever comes until the thread has caught up never ends where
//! callers ask faster than they can be refused. With a share that grows with the wait, the wait settles where as much
//! is decided as there is time for, and falls back by itself.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How a check stands when its turn comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It did not wait long.
    InTime,
    /// It waited long, and is answered nevertheless.
    Late,
    /// It is turned away.
    Overdue,
}

/// Decides for one thread. Up to a quarter of a caller's patience nobody is turned away, from half of it on everybody
/// is, because the rest is for deciding and for the way back; in between a share that grows evenly.
#[derive(Default)]
pub(super) struct Patience {
    /// What was not yet turned away of the shares so far, in parts of [`WHOLE`]; it makes chance needless.
    carried: AtomicU64,
}

const WHOLE: u64 = 1024;

impl Patience {
    /// A check that waited so long, whose caller waits for so long in all, has its turn.
    pub(super) fn turn(&self, waited: Duration, patience: Duration) -> Turn {
        let quarter = patience / 4;
        let Some(over) = waited.checked_sub(quarter).filter(|over| !over.is_zero()) else { return Turn::InTime };
        let share = over.as_nanos().saturating_mul(WHOLE.into()).checked_div(quarter.as_nanos());
        let share = share.and_then(|share| u64::try_from(share).ok()).unwrap_or(WHOLE).min(WHOLE);
        let carried = self.carried.fetch_add(share, Ordering::Relaxed) % WHOLE;
        if carried + share >= WHOLE { Turn::Overdue } else { Turn::Late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    fn overdue(waited: u64) -> usize {
        let rule = Patience::default();
        let turn = || rule.turn(Duration::from_millis(waited), PATIENCE);
        (0..1000).filter(|_| turn() == Turn::Overdue).count()
    }

    #[test]
    fn the_share_turned_away_grows_with_the_wait() {
        for (waited, want) in [(0, 0), (20, 0), (50, 0), (60, 199), (75, 500), (90, 799), (100, 1000), (10_000, 1000)] {
            assert_eq!(overdue(waited), want, "{waited} ms");
        }
    }

    #[test]
    fn it_is_the_wait_of_each_that_counts() {
        let rule = Patience::default();
        for _ in 0..10 {
            assert_eq!(rule.turn(PATIENCE, PATIENCE), Turn::Overdue);
            assert_eq!(rule.turn(PATIENCE, PATIENCE * 10), Turn::InTime, "another caller has more patience");
            assert_eq!(rule.turn(PATIENCE / 4, PATIENCE), Turn::InTime);
        }
        assert_eq!(rule.turn(Duration::from_millis(51), PATIENCE), Turn::Late);
    }

    #[test]
    fn no_patience_at_all_is_no_error() {
        let rule = Patience::default();
        assert_eq!(rule.turn(Duration::ZERO, Duration::ZERO), Turn::InTime);
        assert_eq!(rule.turn(Duration::from_nanos(1), Duration::ZERO), Turn::Overdue);
        assert_eq!(rule.turn(Duration::MAX, Duration::MAX), Turn::Overdue);
    }

    /// Callers that send a quarter more than can be decided, through a queue: refusing costs two thirds of deciding.
    #[test]
    fn in_overload_the_wait_stays_below_the_deadline_and_ends_with_it() {
        const DECIDING: u64 = 30;
        const REFUSING: u64 = 20;
        let rule = Patience::default();
        let (mut now, mut decided, mut longest, mut last_refused) = (0_u64, 0, 0, 0);
        // One every 24 µs for two seconds: 1.25 times the capacity. Then one every 60 µs: half of it.
        let busy = (0..83_000_u64).map(|number| number * 24);
        let calm = (0..30_000_u64).map(|number| 83_000 * 24 + number * 60);
        for arrived in busy.chain(calm) {
            now = now.max(arrived);
            let waited = now - arrived;
            longest = longest.max(waited);
            if rule.turn(Duration::from_micros(waited), PATIENCE) == Turn::Overdue {
                now += REFUSING;
                last_refused = arrived;
            } else {
                now += DECIDING;
                decided += 1;
            }
        }
        assert!(longest < 100_000, "{longest} µs");
        assert!(decided > 60_000, "{decided} were decided");
        assert!((1_900_000..2_100_000).contains(&last_refused), "{last_refused} µs");
    }
}
