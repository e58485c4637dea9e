//! The places that one budget may stand in, and who has to go when all are taken.

use crate::limit::bucket::Bucket;
use crate::model::limit::Rate;
use crate::model::limit::Tick;

/// Places of a set.
pub(super) const WAYS: usize = 16;

/// A place: the fingerprint, the moment at which the bucket is full again, and the debt past which one more is refused.
/// All of it nought: nobody was ever here. Plain numbers, because memory full of noughts costs nothing until it is used.
pub(super) type Slot = [u64; 4];

/// A place where nobody was.
pub(super) const EMPTY: Slot = [0; 4];

/// Who a budget belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [u64; 2]);

impl Fingerprint {
    /// Which of so many locks.
    pub(super) fn shard(self, shards: usize) -> usize {
        usize::try_from(self.0[0] % shards.max(1) as u64).unwrap_or(0)
    }

    /// Which of so many sets behind it.
    pub(super) fn set(self, sets: usize) -> usize {
        usize::try_from(self.0[1] % sets.max(1) as u64).unwrap_or(0)
    }
}

/// A bucket in its place.
pub(super) fn slot(Fingerprint([one, two]): Fingerprint, bucket: Bucket, rate: &Rate) -> Slot {
    // A bucket that was only asked is there, too.
    [one, two, bucket.0.0.max(1), rate.capacity().saturating_sub(rate.interval())]
}

/// Was nobody ever here?
pub(super) fn is_empty(slot: &Slot) -> bool {
    slot[2] == 0
}

/// Does somebody else stand here whose bucket is not full again?
pub(super) fn is_forgotten(slot: &Slot, print: Fingerprint, now: Tick) -> bool {
    !belongs(slot, print) && debt(slot, now) > 0
}

/// The bucket that is here, a full one where there is room for a new one, or how long until there is some.
pub(super) fn find(slots: &[Slot], print: Fingerprint, now: Tick) -> Result<Bucket, u64> {
    if let Some(slot) = slots.iter().find(|slot| belongs(slot, print)) {
        return Ok(Bucket(Tick(slot[2])));
    }
    // INVARIANT: a fingerprint of noughts and an empty place differ by nothing that matters: both are full.
    let until_free = |slot: &Slot| debt(slot, now).saturating_sub(slot[3]);
    match slots.iter().map(until_free).min() {
        Some(0) => Ok(Bucket::default()),
        Some(wait) => Err(wait),
        None => Err(u64::MAX),
    }
}

/// Keep a bucket that is here as it is after a step of the clock.
pub(super) fn settle(slots: &mut [Slot], print: Fingerprint, Bucket(Tick(full)): Bucket) {
    if let Some(slot) = slots.iter_mut().find(|slot| belongs(slot, print)) {
        slot[2] = full.max(1);
    }
}

/// The place of this bucket: its own, else that of whoever has used the smallest part of its budget, but of nobody who
/// has used it up, and of nobody who is spared.
pub(super) fn make_room(
    slots: &mut [Slot],
    print: Fingerprint,
    now: Tick,
    spared: impl Fn(Fingerprint) -> bool,
) -> Option<&mut Slot> {
    if let Some(own) = slots.iter().position(|slot| belongs(slot, print)) {
        return slots.get_mut(own);
    }
    let may_go = |slot: &&mut Slot| {
        let whose = Fingerprint([slot[0], slot[1]]);
        is_empty(slot) || debt(slot, now) == 0 || (debt(slot, now) <= slot[3] && !spared(whose))
    };
    slots.iter_mut().filter(may_go).min_by_key(|slot| used(slot, now))
}

fn belongs(slot: &Slot, Fingerprint([one, two]): Fingerprint) -> bool {
    slot[0] == one && slot[1] == two && !is_empty(slot)
}

/// Nanoseconds until the bucket is full.
fn debt(slot: &Slot, now: Tick) -> u64 {
    slot[2].saturating_sub(now.0)
}

/// The part of the budget that is used, in units of 2^-32; nothing of one that is used up.
fn used(slot: &Slot, now: Tick) -> u128 {
    (u128::from(debt(slot, now)) << 32) / u128::from(slot[3].max(1))
}
