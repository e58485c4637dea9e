//! One bucket: the generic cell rate algorithm (ITU-T I.371, annex A) in its virtual scheduling form.
//!
//! A bucket is the moment at which it will be full again. Taking moves that moment on by so many intervals as are
//! taken; what would move it further away than an empty bucket takes to fill is refused, and moves nothing.

use crate::model::limit::Rate;
use crate::model::limit::Standing;
use crate::model::limit::Tick;

/// When a bucket is full again. One that nobody has taken from is full since ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket(pub Tick);

impl Bucket {
    /// The same where the clock was put back: nothing is ever more than empty, so nobody waits longer than one refill.
    /// What is taken from is settled first, and kept so.
    pub fn settled(self, rate: &Rate, now: Tick) -> Bucket {
        Bucket(self.0.min(Tick(now.0.saturating_add(rate.capacity()))))
    }

    /// Take `cost`, or say how long until that can be done.
    pub fn take(self, rate: &Rate, now: Tick, cost: u64) -> Result<Bucket, Wait> {
        let price = rate.interval().saturating_mul(cost);
        let owed = self.debt(rate, now).saturating_add(price);
        match owed.checked_sub(rate.capacity()) {
            None | Some(0) => Ok(Bucket(Tick(now.0.saturating_add(owed)))),
            Some(nanoseconds) => Err(Wait(nanoseconds)),
        }
    }

    /// How it stands.
    pub fn standing(self, rate: &Rate, now: Tick) -> Standing {
        let debt = self.debt(rate, now);
        let remaining = rate.capacity().saturating_sub(debt) / rate.interval().max(1);
        Standing { remaining, full_in: debt, wait: None }
    }

    /// Nanoseconds until it is full.
    fn debt(self, rate: &Rate, now: Tick) -> u64 {
        self.0.0.saturating_sub(now.0).min(rate.capacity())
    }
}

/// Nanoseconds until a bucket has enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait(pub u64);

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::model::limit::Window;

    fn rate(quota: u64, window: Window, burst: u64) -> Rate {
        Rate::new(quota, window, Some(burst)).expect("a rate")
    }

    #[test]
    fn a_bucket_empties_at_once_and_fills_evenly() {
        let (rate, start) = (rate(60, Window::Minute, 3), Tick(1_000_000_000_000));
        let second = 1_000_000_000;
        let mut bucket = Bucket::default();
        for left in [2, 1, 0] {
            bucket = bucket.take(&rate, start, 1).expect("there is some");
            assert_eq!(bucket.standing(&rate, start).remaining, left);
        }
        assert_eq!(bucket.take(&rate, start, 1), Err(Wait(second)));
        assert_eq!(bucket.take(&rate, start, 3), Err(Wait(3 * second)));
        assert_eq!(bucket.take(&rate, Tick(start.0 + second - 1), 1), Err(Wait(1)));
        assert!(bucket.take(&rate, Tick(start.0 + second), 1).is_ok());
        let want = Standing { remaining: 2, full_in: second / 2, wait: None };
        assert_eq!(bucket.standing(&rate, Tick(start.0 + 5 * second / 2)), want);
        assert!(bucket.take(&rate, start, 0).is_ok(), "nothing can be taken from an empty bucket, too");
    }

    #[test]
    fn a_clock_that_is_put_back_makes_nobody_wait_longer_than_a_refill() {
        let rate = rate(10, Window::Second, 10);
        let bucket = Bucket(Tick(1 << 60));
        assert_eq!(bucket.take(&rate, Tick(5), 10), Err(Wait(rate.capacity())));
        assert_eq!(bucket.standing(&rate, Tick(5)), Standing { remaining: 0, full_in: rate.capacity(), wait: None });
    }

    #[test]
    fn the_ends_of_time_are_no_way_out() {
        let rate = rate(1, Window::Second, 1);
        let full = Bucket::default().take(&rate, Tick(u64::MAX), 1).expect("there is some");
        assert_eq!(full, Bucket(Tick(u64::MAX)));
        assert_eq!(Bucket::default().take(&rate, Tick(0), u64::MAX), Err(Wait(u64::MAX - rate.capacity())));
    }

    prop_compose! {
        fn rates()(quota in 1_u64..2000, window in 0_usize..4, burst in 1_u64..200) -> Rate {
            rate(quota, Window::ALL[window], burst)
        }
    }

    proptest! {
        /// The promise itself, counted by a witness that knows nothing of the algorithm: in no stretch of time is more
        /// admitted than what is refilled in it, and one burst.
        #[test]
        fn no_schedule_gets_more_than_refill_and_burst(
            rate in rates(),
            steps in prop::collection::vec((0_u64..4_000_000_000, 1_u64..4, 0_u8..3), 1..300),
        ) {
            let (mut bucket, mut now) = (Bucket::default(), Tick(1 << 40));
            let mut admitted: VecDeque<(Tick, u64)> = VecDeque::new();
            for (step, cost, pace) in steps {
                // In a rush, at the pace of the rate, or with pauses.
                now.0 += match pace { 0 => step % 1000, 1 => step % (2 * rate.interval()), _ => step };
                if let Ok(after) = bucket.take(&rate, now, cost) {
                    bucket = after;
                    admitted.push_back((now, cost));
                }
                let mut within = 0;
                for (at, cost) in admitted.iter().rev() {
                    within += cost;
                    let refilled = (now.0 - at.0) / rate.interval();
                    prop_assert!(within <= rate.burst() + refilled, "{within} in {} ns of {rate:?}", now.0 - at.0);
                }
            }
        }

        /// A schedule that keeps to the rate is never refused.
        #[test]
        fn who_keeps_to_the_rate_is_never_refused(rate in rates(), takes in 1_u64..200) {
            let mut bucket = Bucket::default();
            for number in 0..takes {
                let now = Tick((1 << 40) + number * rate.interval());
                bucket = match bucket.take(&rate, now, 1) {
                    Ok(after) => after,
                    Err(wait) => return Err(TestCaseError::fail(format!("{number}: {wait:?}"))),
                };
            }
        }

        /// Whatever the clock does: a refused request is admitted after the wait it was told, a bucket is never fuller
        /// than full nor emptier than empty, and a step of the clock is worth at most one burst.
        #[test]
        fn a_clock_that_jumps_is_harmless(
            rate in rates(),
            steps in prop::collection::vec((-40_000_000_000_i64..40_000_000_000, 1_u64..5), 1..200),
        ) {
            let (mut bucket, mut now) = (Bucket::default(), Tick(1 << 45));
            let (mut taken, mut forwards) = (0_u64, 0_u64);
            for (step, cost) in steps {
                now.0 = now.0.saturating_add_signed(step);
                bucket = bucket.settled(&rate, now);
                forwards += step.max(0).unsigned_abs();
                match bucket.take(&rate, now, cost) {
                    Ok(after) => {
                        taken += cost;
                        bucket = after;
                    }
                    Err(Wait(nanoseconds)) if cost <= rate.burst() => {
                        prop_assert!(nanoseconds <= rate.capacity());
                        prop_assert!(bucket.take(&rate, Tick(now.0 + nanoseconds), cost).is_ok());
                        prop_assert!(bucket.take(&rate, Tick(now.0 + nanoseconds - 1), cost).is_err());
                    }
                    Err(_) => {}
                }
                let standing = bucket.standing(&rate, now);
                prop_assert!(standing.remaining <= rate.burst() && standing.full_in <= rate.capacity());
            }
            prop_assert!(taken <= rate.burst() + forwards / rate.interval() + 1, "{taken} in {forwards} ns");
        }
    }
}
