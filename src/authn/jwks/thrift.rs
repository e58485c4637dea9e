//! Which fetches requests may cause (K1). Anybody can write a key id into a token, so what they can make us fetch is
//! bounded three times: by a pause after every fetch, by a bucket of orders, and by remembering which key ids a fetch
//! did not bring.

use std::collections::VecDeque;

use jiff::SignedDuration;
use jiff::Timestamp;

use crate::authn::jwks::set::KeySet;

/// Orders may follow one another as closely as the cooldown allows until the bucket is empty,
const BUCKET: SignedDuration = SignedDuration::from_secs(5 * 60);

/// from then on one in so long.
const REFILL: SignedDuration = SignedDuration::from_secs(60);

/// Key ids remembered as absent, and those awaited of one fetch.
const MOST_REMEMBERED: usize = 128;

/// Orders so far, and what came of them.
#[derive(Debug, Default)]
pub(super) struct Thrift {
    /// When the bucket will be full again.
    full_at: Option<Timestamp>,
    /// Key ids that the next fetch may bring.
    awaited: Vec<Box<str>>,
    /// Key ids that a fetch made for them did not bring; the oldest first.
    absent: VecDeque<Absent>,
}

#[derive(Debug)]
struct Absent {
    kid: Box<str>,
    since: Timestamp,
    /// For how long it is not fetched for again.
    pause: SignedDuration,
}

impl Thrift {
    /// Take one order out of the bucket, if there is one.
    pub(super) fn order(&mut self, now: Timestamp) -> bool {
        // A clock set back leaves a moment far ahead: the bucket begins anew.
        let full_at = self.full_at.filter(|at| *at > now && at.duration_since(now) <= BUCKET).unwrap_or(now);
        if full_at.duration_since(now) > BUCKET.saturating_sub(REFILL) {
            return false;
        }
        self.full_at = full_at.checked_add(REFILL).ok();
        true
    }

    /// A request waits for a fetch because of this key id.
    pub(super) fn await_kid(&mut self, kid: &str) {
        if self.awaited.len() < MOST_REMEMBERED && !self.awaited.iter().any(|awaited| **awaited == *kid) {
            self.awaited.push(kid.into());
        }
    }

    /// A fetch failed: nothing is known of what was awaited of it.
    pub(super) fn failed(&mut self) {
        self.awaited.clear();
    }

    /// A fetch brought this set. A key id that is not in it is fetched for again after `first`, then after twice as
    /// long each time, up to `last`.
    pub(super) fn brought(&mut self, set: &KeySet, now: Timestamp, first: SignedDuration, last: SignedDuration) {
        self.absent.retain(|absent| !set.has(&absent.kid));
        for kid in std::mem::take(&mut self.awaited) {
            if set.has(&kid) {
                continue;
            }
            let before = self.absent.iter().position(|absent| absent.kid == kid);
            let before = before.and_then(|index| self.absent.remove(index));
            let pause = before.map_or(first, |before| doubled(before.pause).min(last));
            if self.absent.len() >= MOST_REMEMBERED {
                self.absent.pop_front();
            }
            self.absent.push_back(Absent { kid, since: now, pause });
        }
    }

    /// Did a fetch made for this key id not bring it, so lately that the next one is not worth its while?
    pub(super) fn knows_absent(&self, kid: &str, now: Timestamp) -> bool {
        self.absent.iter().any(|absent| {
            let elapsed = now.duration_since(absent.since);
            *absent.kid == *kid && !elapsed.is_negative() && elapsed < absent.pause
        })
    }
}

fn doubled(pause: SignedDuration) -> SignedDuration {
    pause.checked_mul(2).unwrap_or(SignedDuration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::jwt::Algorithm;
    use crate::authn::testing::NOW;
    use crate::authn::testing::Signer;
    use crate::authn::testing::at;

    const FIRST: SignedDuration = SignedDuration::from_secs(30);
    const LAST: SignedDuration = SignedDuration::from_secs(600);

    #[test]
    fn k1_orders_come_out_of_a_bucket() {
        let mut thrift = Thrift::default();
        let taken: Vec<i64> = (0..600).filter(|second| thrift.order(at(NOW + second))).collect();
        assert_eq!(taken, [0, 1, 2, 3, 4, 60, 120, 180, 240, 300, 360, 420, 480, 540]);
        assert!(thrift.order(at(NOW - 5000)), "a clock set back stops nothing");
        let mut rested = Thrift::default();
        assert!((0..5).all(|_| rested.order(at(NOW))) && !rested.order(at(NOW)));
        assert!((0..5).all(|_| rested.order(at(NOW + 300))) && !rested.order(at(NOW + 300)));
    }

    #[test]
    fn k1_a_key_id_that_never_comes_is_fetched_for_less_and_less() {
        let set = Signer::new(Algorithm::EdDsa).set("one");
        let mut thrift = Thrift::default();
        let mut second = NOW;
        for pause in [30, 60, 120, 240, 480, 600, 600] {
            assert!(!thrift.knows_absent("ghost", at(second)));
            thrift.await_kid("ghost");
            thrift.brought(&set, at(second), FIRST, LAST);
            assert!(thrift.knows_absent("ghost", at(second)), "{pause}");
            assert!(thrift.knows_absent("ghost", at(second + pause - 1)), "{pause}");
            assert!(!thrift.knows_absent("other", at(second)));
            second += pause;
        }
        // It came after all.
        thrift.brought(&Signer::new(Algorithm::EdDsa).set("ghost"), at(second), FIRST, LAST);
        assert!(!thrift.knows_absent("ghost", at(second)));
        // A failed fetch tells nothing.
        thrift.await_kid("late");
        thrift.failed();
        thrift.brought(&set, at(second), FIRST, LAST);
        assert!(!thrift.knows_absent("late", at(second)));
    }

    #[test]
    fn k1_the_memory_is_bounded() {
        let set = Signer::new(Algorithm::EdDsa).set("one");
        let mut thrift = Thrift::default();
        for round in 0..10 {
            for number in 0..1000 {
                thrift.await_kid(&format!("{round}-{number}"));
            }
            assert_eq!(thrift.awaited.len(), MOST_REMEMBERED);
            thrift.brought(&set, at(NOW), FIRST, LAST);
            assert_eq!(thrift.absent.len(), MOST_REMEMBERED);
        }
    }
}
