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
    in_flight: AtomicUsize,
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
            limits,
            last_resort: frame::write(&ext_authz::failure(Reason::Internal)),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// Begin a check, unless too many are under way.
    pub(super) fn enter(&self) -> Option<Underway<'_>> {
        let underway = Underway(&self.in_flight);
        (self.in_flight.fetch_add(1, Ordering::Relaxed) < self.capacity).then_some(underway)
    }
}

/// One check under way; dropped when it is answered or given up.
pub(super) struct Underway<'a>(&'a AtomicUsize);

impl Drop for Underway<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
