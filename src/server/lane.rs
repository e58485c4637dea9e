//! What one thread needs to answer checks. Each thread has its own, so that no counter is shared on the path of a request.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::dialect::ext_authz;
use crate::model::reason::Reason;
use crate::server::frame;
use crate::server::limits::Limits;
use crate::server::store::Store;
use crate::telemetry::Telemetry;

pub(super) struct Lane<A> {
    pub(super) engine: Arc<A>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) health: HealthServer<HealthService>,
    pub(super) limits: Limits,
    /// The answer for when even refusing fails: made beforehand, so that sending it cannot go wrong.
    pub(super) last_resort: Bytes,
    /// Checks this thread may answer at once: its share of the process's.
    capacity: usize,
    in_flight: Arc<AtomicUsize>,
    /// Where its connections keep what is not whole yet: its share of the process's.
    pub(super) unfinished: Arc<Store>,
}

impl<A> Lane<A> {
    pub(super) fn new(
        engine: Arc<A>,
        telemetry: Arc<Telemetry>,
        health: HealthServer<HealthService>,
        limits: Limits,
        threads: usize,
    ) -> Lane<A> {
        Lane {
            engine,
            telemetry,
            health,
            capacity: limits.in_flight.div_ceil(threads.max(1)),
            // A few of the largest fit, however many threads there are.
            unfinished: Store::new(limits.unfinished.div_ceil(threads.max(1)).max(4 * limits.message)),
            limits,
            last_resort: frame::write(&ext_authz::failure(Reason::Internal)),
            in_flight: Arc::default(),
        }
    }

    /// Begin a check, unless too many are under way.
    pub(super) fn enter(&self) -> Option<Underway> {
        let underway = Underway(Arc::clone(&self.in_flight));
        (self.in_flight.fetch_add(1, Ordering::Relaxed) < self.capacity).then_some(underway)
    }
}

/// One check under way; dropped when its answer is sent, or it is given up.
pub(super) struct Underway(Arc<AtomicUsize>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
