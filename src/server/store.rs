//! What is kept of requests that have begun and are not whole: the connections of a thread share one store of octets.
//!
//! Heads and messages are limited one by one, but a peer may begin thousands of them. Whoever does not fit is given
//! up; what arrives whole, as nearly every check does, needs no place at all.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

/// A number of octets for all.
pub(super) struct Store {
    capacity: usize,
    held: AtomicUsize,
}

impl Store {
    pub(super) fn new(capacity: usize) -> Arc<Store> {
        Arc::new(Store { capacity, held: AtomicUsize::new(0) })
    }

    /// A place in it, with nothing there yet.
    pub(super) fn place(self: &Arc<Store>) -> Held {
        Held { store: Arc::clone(self), octets: 0 }
    }
}

/// What one of them holds; given back when it is dropped.
pub(super) struct Held {
    store: Arc<Store>,
    octets: usize,
}

impl Held {
    /// Hold this many octets from now on, or none at all and `false` when the store is full.
    pub(super) fn hold(&mut self, octets: usize) -> bool {
        if octets <= self.octets {
            self.store.held.fetch_sub(self.octets - octets, Ordering::Relaxed);
            self.octets = octets;
            return true;
        }
        let more = octets - self.octets;
        let before = self.store.held.fetch_add(more, Ordering::Relaxed);
        self.octets = octets;
        let fits = before.saturating_add(more) <= self.store.capacity;
        if !fits {
            self.clear();
        }
        fits
    }

    /// Hold nothing any more.
    pub(super) fn clear(&mut self) {
        if self.octets > 0 {
            self.store.held.fetch_sub(self.octets, Ordering::Relaxed);
            self.octets = 0;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_takes_no_more_until_something_is_given_back() {
        let store = Store::new(100);
        let (mut one, mut other) = (store.place(), store.place());
        assert!(one.hold(60) && one.hold(40) && one.hold(60));
        assert!(!other.hold(41), "60 of 100 are taken");
        assert!(other.hold(40));
        drop(one);
        assert!(other.hold(100) && !other.hold(101));
        assert_eq!(store.held.load(Ordering::Relaxed), 0, "who does not fit holds nothing");
    }
}
