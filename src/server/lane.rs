//! What one thread needs to answer checks. Each thread has its own, so that no counter is shared on the path of a request.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthService;

use crate::dialect::ext_authz;
use crate::model::reason::Reason;
use crate::server::frame;
use crate::server::limits::Limits;
use crate::server::overload::Overload;
use crate::server::patience::Patience;
use crate::server::patience::Turn;
use crate::server::store::Store;
use crate::telemetry::Telemetry;
use crate::telemetry::clock;
use crate::telemetry::metrics::RequestTimes;

pub(super) struct Lane<A> {
    pub(super) engine: Arc<A>,
    pub(super) telemetry: Arc<Telemetry>,
    /// Counts how long its requests take.
    pub(super) times: RequestTimes,
    pub(super) health: HealthServer<HealthService>,
    pub(super) limits: Limits,
    /// The answer for when even refusing fails: made beforehand, so that sending it cannot go wrong.
    pub(super) last_resort: Bytes,
    /// Checks this thread may answer at once: its share of the process's.
    capacity: usize,
    in_flight: Arc<AtomicUsize>,
    patience: Patience,
    overload: Overload,
    /// Where its connections keep what is not whole yet: its share of the process's.
    pub(super) unfinished: Arc<Store>,
    /// Set when the process is about to end: proxies had better open their next connection elsewhere.
    leaving: Arc<AtomicBool>,
}

impl<A> Lane<A> {
    pub(super) fn new(
        engine: Arc<A>,
        telemetry: Arc<Telemetry>,
        health: HealthServer<HealthService>,
        limits: Limits,
        threads: usize,
        leaving: Arc<AtomicBool>,
    ) -> Lane<A> {
        Lane {
            engine,
            times: telemetry.metrics().requests(),
            telemetry,
            health,
            capacity: limits.in_flight.div_ceil(threads.max(1)),
            // A few of the largest fit, however many threads there are.
            unfinished: Store::new(limits.unfinished.div_ceil(threads.max(1)).max(4 * limits.message)),
            limits,
            last_resort: frame::write(&ext_authz::failure(Reason::Internal)),
            in_flight: Arc::default(),
            patience: Patience::default(),
            overload: Overload::default(),
            leaving,
        }
    }

    /// Is the process about to end?
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// How many checks are under way, to be read at any time.
    pub(super) fn under_way(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.in_flight)
    }

    /// Begin a check, or say why it is turned away: too many are under way.
    pub(super) fn enter(&self) -> Result<Underway, &'static str> {
        let underway = Underway(Arc::clone(&self.in_flight));
        if self.in_flight.fetch_add(1, Ordering::Relaxed) < self.capacity {
            return Ok(underway);
        }
        Err(self.overload.refused("too many checks under way", Duration::ZERO, clock::instant()))
    }

    /// A check that arrived then, and whose caller waits so long for its answer, has its turn; or say why it is turned
    /// away: it had to wait too long for that.
    pub(super) fn turn(&self, arrived: Instant, deadline: Option<Duration>) -> Result<(), &'static str> {
        let now = clock::instant();
        let waited = now.saturating_duration_since(arrived);
        let patience = deadline.unwrap_or(self.limits.patience).min(self.limits.patience);
        let turn = self.patience.turn(waited, patience);
        if turn == Turn::InTime {
            return Ok(());
        }
        self.telemetry.metrics().late_check();
        match turn {
            Turn::InTime | Turn::Late => Ok(()),
            Turn::Overdue => Err(self.overload.refused("its turn came too late", waited, now)),
        }
    }
}

/// One check under way; dropped when its answer is sent, or it is given up.
pub(super) struct Underway(Arc<AtomicUsize>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
