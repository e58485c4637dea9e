//! How often did this client, or this name, fail within the minute (R2)? A table of fixed size without locks: who
//! fails much is remembered, and nobody can make it grow.

use std::fmt;
use std::hash::BuildHasher;
use std::hash::Hash;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use jiff::Timestamp;

/// Entries of a table: 32 KiB.
const SLOTS: usize = 4096;

/// Failures in the current minute. An entry holds a fingerprint of who failed, the minute and the count; somebody else
/// with the same place in the table takes it over, so that nobody is ever taken for another.
pub(super) struct Failures {
    slots: Box<[AtomicU64]>,
    /// Keyed at random, so that nobody can choose a neighbour.
    hasher: RandomState,
    limit: u16,
}

impl Failures {
    /// So many failures a minute, then no more.
    pub(super) fn new(limit: u16) -> Failures {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Failures { slots, hasher: RandomState::new(), limit }
    }

    /// Has this one used up its failures?
    pub(super) fn exhausted(&self, who: impl Hash, now: Timestamp) -> bool {
        let (slot, stamp) = self.find(who, now);
        slot.is_some_and(|slot| {
            let (held, count) = apart(slot.load(Ordering::Relaxed));
            held == stamp && count >= self.limit
        })
    }

    /// One more.
    pub(super) fn add(&self, who: impl Hash, now: Timestamp) {
        let (Some(slot), stamp) = self.find(who, now) else { return };
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |entry| {
            let (held, count) = apart(entry);
            let count = if held == stamp { count.saturating_add(1) } else { 1 };
            Some(stamp << 16 | u64::from(count))
        });
    }

    /// The entry, and the fingerprint and minute it has to hold: 48 bits.
    fn find(&self, who: impl Hash, now: Timestamp) -> (Option<&AtomicU64>, u64) {
        let hash = self.hasher.hash_one(who);
        let minute = (now.as_second().max(0).cast_unsigned() / 60) & 0xFFFF;
        let index = usize::try_from(hash % SLOTS as u64).unwrap_or(0);
        (self.slots.get(index), (hash >> 32) << 16 | minute)
    }
}

fn apart(entry: u64) -> (u64, u16) {
    (entry >> 16, (entry & 0xFFFF) as u16)
}

/// Who a client is when failures are counted: an IPv4 address, or the /64 of an IPv6 address, which one client has
/// whole.
pub(super) fn client(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(address) => u64::from(u32::from(address)) | 1 << 63,
        IpAddr::V6(address) => (u128::from(address) >> 64) as u64,
    }
}

impl fmt::Debug for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failures").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::testing::NOW;
    use crate::authn::testing::at;

    #[test]
    fn r2_the_limit_is_reached_by_one_and_ends_with_the_minute() {
        let failures = Failures::new(3);
        let start = at(NOW / 60 * 60);
        for _ in 0..2 {
            failures.add("a", start);
        }
        assert!(!failures.exhausted("a", start));
        failures.add("a", start);
        assert!(failures.exhausted("a", start));
        assert!(!failures.exhausted("b", start), "somebody else");
        assert!(!failures.exhausted("a", at(NOW / 60 * 60 + 60)), "the next minute");
        for _ in 0..70_000 {
            failures.add("a", start);
        }
        assert!(failures.exhausted("a", start), "the count does not wrap");
    }

    #[test]
    fn r2_an_ipv6_client_is_its_whole_network() {
        let of = |text: &str| client(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
