//! A place for one connection: taken when it is accepted, given back when it ends, however it ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use crate::model::caller::Caller;
use crate::server::limits::Limits;
use crate::telemetry::metrics::ListenerMetrics;
use crate::telemetry::metrics::Refused;

/// The places of one listener.
pub(super) struct Slots {
    total: usize,
    per_peer: usize,
    metrics: ListenerMetrics,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    peers: HashMap<Caller, usize>,
}

impl Slots {
    pub(super) fn new(limits: &Limits, metrics: ListenerMetrics) -> Arc<Slots> {
        Arc::new(Slots {
            total: limits.connections,
            per_peer: limits.connections_per_peer,
            metrics,
            taken: Mutex::default(),
        })
    }

    /// Take a place for this peer, or say which limit is reached.
    pub(super) fn take(self: &Arc<Slots>, caller: Caller) -> Result<Slot, Refused> {
        let mut taken = self.lock();
        if taken.total >= self.total {
            return Err(Refused::Limit);
        }
        let peer = taken.peers.entry(caller).or_insert(0);
        if *peer >= self.per_peer {
            return Err(Refused::PeerLimit);
        }
        *peer += 1;
        taken.total += 1;
        self.metrics.opened();
        Ok(Slot { slots: Arc::clone(self), caller, also: None })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One taken place.
pub(super) struct Slot {
    slots: Arc<Slots>,
    caller: Caller,
    also: Option<Arc<AtomicUsize>>,
}

impl Slot {
    /// Count the connection here too, as long as it lasts.
    pub(super) fn also_count(&mut self, count: &Arc<AtomicUsize>) {
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(before) = self.also.replace(Arc::clone(count)) {
            before.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Slot {
    /// The connection is not served after all.
    pub(super) fn refused(&self, cause: Refused) {
        self.slots.metrics.refused(cause);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(count) = &self.also {
            count.fetch_sub(1, Ordering::Relaxed);
        }
        let mut taken = self.slots.lock();
        taken.total = taken.total.saturating_sub(1);
        if let Some(peer) = taken.peers.get_mut(&self.caller) {
            *peer = peer.saturating_sub(1);
            if *peer == 0 {
                taken.peers.remove(&self.caller);
            }
        }
        self.slots.metrics.closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Telemetry;

    #[test]
    fn places_are_limited_in_all_and_for_each_peer() {
        let telemetry = Telemetry::new().expect("telemetry");
        let limits = Limits { connections: 3, connections_per_peer: 2, ..Limits::default() };
        let slots = Slots::new(&limits, telemetry.listener("grpc"));
        let one = Caller::Address("127.0.0.1".parse().expect("address"));
        let first = slots.take(one).expect("first");
        let _second = slots.take(one).expect("second");
        assert_eq!(slots.take(one).err(), Some(Refused::PeerLimit));
        let _third = slots.take(Caller::Unix).expect("another peer");
        assert_eq!(slots.take(Caller::Unix).err(), Some(Refused::Limit));
        assert!(telemetry.gather(&[]).contains("postern_connections{listener=\"grpc\"} 3"));
        drop(first);
        assert!(slots.take(one).is_ok(), "given back");
        assert_eq!(slots.lock().peers.len(), 2);
    }

    #[test]
    fn peers_that_left_are_forgotten() {
        let telemetry = Telemetry::new().expect("telemetry");
        let slots = Slots::new(&Limits::default(), telemetry.listener("grpc"));
        for last in 0..=255 {
            drop(slots.take(Caller::Address([10, 0, 0, last].into())));
        }
        assert!(slots.lock().peers.is_empty());
    }
}
