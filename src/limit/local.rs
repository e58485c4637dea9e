//! The budgets of one process, in memory of a fixed size that all threads share.
//!
//! A budget is found by a fingerprint of 128 bits, keyed at random when the process starts: nobody can choose a
//! neighbour, and two budgets are taken for one with a chance of one in 2^88 among a million. Each has 16 places it may
//! stand in. When all are taken, what is full again goes first, then whoever has used the smallest part of its budget. A
//! budget that is used up is never given away (R4): where all 16 are, a newcomer is refused until the first of them has
//! something again.
//!
//! What is kept belongs to a definition, not to a policy: a reload that leaves a limit as it was leaves its budgets as
//! they were.

mod set;

use std::fmt;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Instant;

use crate::limit::bucket::Bucket;
use crate::limit::bucket::Wait;
use crate::limit::local::set::Fingerprint;
use crate::limit::local::set::Slot;
use crate::limit::local::set::WAYS;
use crate::limit::purse::Taken;
use crate::model::limit::Standing;
use crate::model::limit::StoreStatus;
use crate::model::limit::Take;
use crate::model::limit::Tick;

/// The smallest memory a store works with, in octets: two sets of places for each lock.
pub const MIN_MEMORY: u64 = (SHARDS * 2 * WAYS * size_of::<Slot>()) as u64;

/// Locks. Threads that take from different budgets seldom meet.
const SHARDS: usize = 64;

/// A store of budgets.
pub struct Local {
    seeds: [RandomState; 2],
    shards: Vec<Mutex<Shard>>,
    /// The octets of all places.
    memory: u64,
    /// Ticks are counted from the first moment that is asked about.
    epoch: OnceLock<Instant>,
    forgotten: AtomicU64,
    turned_away: AtomicU64,
}

/// The places behind one lock: sets of [`WAYS`], one after the other. Memory that was never written is never used.
struct Shard {
    slots: Vec<Slot>,
    held: u64,
}

/// Where a budget is to be looked for.
#[derive(Clone, Copy)]
struct Place {
    print: Fingerprint,
    shard: usize,
}

impl Local {
    /// A store of at most so many octets; fewer than [`MIN_MEMORY`] count as those.
    pub fn new(memory: u64) -> Local {
        let memory = memory.max(MIN_MEMORY);
        let of_shard = usize::try_from(memory).unwrap_or(usize::MAX) / SHARDS / size_of::<Slot>();
        let places = of_shard / WAYS * WAYS;
        let shards = (0..SHARDS).map(|_| Mutex::new(Shard { slots: vec![set::EMPTY; places], held: 0 })).collect();
        Local {
            seeds: [RandomState::new(), RandomState::new()],
            shards,
            memory,
            epoch: OnceLock::new(),
            forgotten: AtomicU64::new(0),
            turned_away: AtomicU64::new(0),
        }
    }

    /// What it was made with.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// A moment as buckets count.
    pub fn tick(&self, at: Instant) -> Tick {
        let since = at.saturating_duration_since(*self.epoch.get_or_init(|| at));
        // Nought is when nothing has happened yet.
        Tick(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).saturating_add(1))
    }

    /// Take from all of these buckets, or from none of those that bind. What only counts takes by itself, and only when
    /// the request passes. With `commit` unset nothing is taken, and said what would be.
    pub fn take(&self, takes: &[Take<'_>], now: Tick, commit: bool) -> Taken {
        let places: Vec<Place> = takes.iter().map(|take| self.place(take)).collect();
        let mut locked = Locked::of(&self.shards, &places);
        let mut outcomes: Vec<Outcome> =
            takes.iter().zip(&places).map(|(take, place)| locked.look(take, *place, now)).collect();
        let binding = takes.iter().zip(&outcomes).filter(|(take, _)| !take.shadow);
        let admitted = binding.clone().all(|(_, outcome)| outcome.after.is_ok());
        if binding.clone().any(|(_, outcome)| outcome.crowded) {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        let mut taken = Taken { admitted, standings: Vec::with_capacity(takes.len()) };
        for number in 0..takes.len() {
            let (Some(take), Some(place)) = (takes.get(number), places.get(number)) else { continue };
            // A limit that only counts takes from all of its buckets or from none, and from none of a request that is
            // refused anyway.
            let of_limit = takes.iter().zip(&outcomes).filter(|(other, _)| other.limit == take.limit);
            let whole = !take.shadow || of_limit.clone().all(|(_, outcome)| outcome.after.is_ok());
            let Some(outcome) = outcomes.get_mut(number) else { continue };
            let after = outcome.after.ok().filter(|_| admitted && whole);
            if let Some(bucket) = after
                && commit
            {
                match locked.put(take, *place, bucket, now, &places) {
                    Put::Fits => {}
                    Put::Forgot => drop(self.forgotten.fetch_add(1, Ordering::Relaxed)),
                    // Two budgets of one request met in one full set: nobody passes uncounted.
                    Put::Crowded => {
                        outcome.after = Err(Wait(take.rate.interval()));
                        taken.admitted &= take.shadow;
                    }
                }
            }
            let wait = outcome.after.err().map(|Wait(nanoseconds)| nanoseconds);
            let standing = after.unwrap_or(outcome.before).standing(&take.rate, now);
            let remaining = if outcome.crowded { 0 } else { standing.remaining };
            taken.standings.push(Standing { remaining, wait, ..standing });
        }
        taken
    }

    /// How it stands.
    pub fn status(&self) -> StoreStatus {
        let (mut places, mut held) = (0, 0);
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            places += shard.slots.len() as u64;
            held += shard.held;
        }
        StoreStatus {
            places,
            held,
            forgotten: self.forgotten.load(Ordering::Relaxed),
            turned_away: self.turned_away.load(Ordering::Relaxed),
        }
    }

    fn place(&self, take: &Take<'_>) -> Place {
        let [one, two] = &self.seeds;
        // Of one limit, rates that differ in anything that is counted by are different budgets.
        let name = (take.definition, take.rate.interval(), take.rate.burst(), take.who);
        let print = Fingerprint([one.hash_one(name), two.hash_one(name)]);
        Place { print, shard: print.shard(SHARDS) }
    }
}

/// What was found out about one bucket.
struct Outcome {
    before: Bucket,
    after: Result<Bucket, Wait>,
    /// There is no place for it.
    crowded: bool,
}

/// The shards that one request needs, locked in the order in which everybody locks them.
struct Locked<'s>(Vec<(usize, MutexGuard<'s, Shard>)>);

/// What became of a bucket that was to be kept.
enum Put {
    Fits,
    /// Another one had to go before its time.
    Forgot,
    Crowded,
}

impl<'s> Locked<'s> {
    fn of(shards: &'s [Mutex<Shard>], places: &[Place]) -> Locked<'s> {
        let mut numbers: Vec<usize> = places.iter().map(|place| place.shard).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let lock = |number: usize| {
            let shard = shards.get(number)?;
            Some((number, shard.lock().unwrap_or_else(PoisonError::into_inner)))
        };
        Locked(numbers.into_iter().filter_map(lock).collect())
    }

    fn shard(&mut self, place: Place) -> Option<&mut Shard> {
        self.0.iter_mut().find(|(number, _)| *number == place.shard).map(|(_, shard)| &mut **shard)
    }

    fn look(&mut self, take: &Take<'_>, place: Place, now: Tick) -> Outcome {
        let found = match self.shard(place).and_then(|shard| shard.set(place)) {
            Some(slots) => set::find(slots, place.print, now),
            None => Err(take.rate.capacity()),
        };
        let found = found.map(|bucket| {
            let settled = bucket.settled(&take.rate, now);
            if settled != bucket
                && let Some(slots) = self.shard(place).and_then(|shard| shard.set(place))
            {
                set::settle(slots, place.print, settled);
            }
            settled
        });
        match found {
            Ok(before) => Outcome { before, after: before.take(&take.rate, now, take.cost), crowded: false },
            Err(wait) => Outcome { before: Bucket::default(), after: Err(Wait(wait)), crowded: true },
        }
    }

    fn put(&mut self, take: &Take<'_>, place: Place, bucket: Bucket, now: Tick, mates: &[Place]) -> Put {
        let Some(shard) = self.shard(place) else { return Put::Crowded };
        let Some(slots) = shard.set(place) else { return Put::Crowded };
        let spared = |print: Fingerprint| mates.iter().any(|mate| mate.print == print);
        let Some(found) = set::make_room(slots, place.print, now, spared) else { return Put::Crowded };
        let (new, forgot) = (set::is_empty(found), set::is_forgotten(found, place.print, now));
        *found = set::slot(place.print, bucket, &take.rate);
        shard.held += u64::from(new);
        if forgot { Put::Forgot } else { Put::Fits }
    }
}

impl Shard {
    fn set(&mut self, place: Place) -> Option<&mut [Slot]> {
        let number = place.print.set(self.slots.len() / WAYS);
        self.slots.get_mut(number * WAYS..(number + 1) * WAYS)
    }
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local").field("memory", &self.memory).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
