//! The decision counters of one thread, found without formatting, locking or hashing text.
//!
//! A route is known by the address of its `RouteId`, which lives as long as the policy that holds it. Each entry
//! keeps its route alive, so an address is never seen again for another route while it is in the table. A new
//! policy empties the table: the counters themselves live on in the registry.

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::hash::Hasher;
use std::sync::Arc;

use prometheus::IntCounter;

use crate::model::decision::RouteId;
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::record::Record;

thread_local! {
    static TALLY: RefCell<Option<Tally>> = const { RefCell::new(None) };
}

/// Count one decision. `resolve` finds the counter when this thread meets the combination for the first time.
pub(super) fn count(owner: u64, record: &Record<'_>, resolve: impl Fn(&Record<'_>) -> Option<IntCounter>) {
    let counted = TALLY.try_with(|cell| {
        let mut slot = cell.try_borrow_mut().ok()?;
        let tally = Tally::current(&mut slot, owner, record);
        match tally.entries.entry(Of::record(record)) {
            Entry::Occupied(known) => known.get().counter.inc(),
            Entry::Vacant(place) => {
                let counter = resolve(record)?;
                counter.inc();
                place.insert(Child { _alive: record.decision.route.clone(), counter });
            }
        }
        Some(())
    });
    if !matches!(counted, Ok(Some(()))) {
        // The thread is ending, or we are inside ourselves: the slow way round.
        if let Some(counter) = resolve(record) {
            counter.inc();
        }
    }
}

struct Tally {
    /// Which `Metrics` the counters belong to; there is one in a process, but several in a test.
    owner: u64,
    policy: Arc<str>,
    /// Side by side in one table: a policy may have as many routes as no cache holds, and every look elsewhere is a wait.
    entries: HashMap<Of, Child, BuildHasherDefault<AddressHasher>>,
}

/// What a counter counts.
#[derive(PartialEq, Eq, Hash)]
struct Of {
    /// The address of the route, 0 for none.
    route: usize,
    dialect: Dialect,
    reason: Reason,
}

impl Of {
    fn record(record: &Record<'_>) -> Of {
        let Record { dialect, decision, .. } = *record;
        let route = decision.route.as_ref().map_or(0, |route| Arc::as_ptr(route).addr());
        Of { route, dialect, reason: decision.reason }
    }
}

struct Child {
    _alive: Option<Arc<RouteId>>,
    counter: IntCounter,
}

impl Tally {
    fn current<'a>(slot: &'a mut Option<Tally>, owner: u64, record: &Record<'_>) -> &'a mut Tally {
        let stale = slot.as_ref().is_none_or(|tally| {
            tally.owner != owner || !(Arc::ptr_eq(&tally.policy, record.policy) || tally.policy == *record.policy)
        });
        if stale {
            *slot = None;
        }
        slot.get_or_insert_with(|| Tally { owner, policy: Arc::clone(record.policy), entries: HashMap::default() })
    }
}

/// Spreads addresses by one multiplication. They are ours, so nobody can choose colliding ones.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte));
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    }
}
