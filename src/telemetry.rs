//! What the operator sees: one [`Record`] becomes counters and a log line; the clock lives here too.

pub mod clock;
mod key_uses;
pub mod log;
pub mod metrics;
pub mod otlp;
mod tally;

use std::sync::Arc;
use std::sync::OnceLock;

use tracing::Level;
use tracing::debug;
use tracing::enabled;

use crate::model::introspection_status::IntrospectionStatus;
use crate::model::key_status::KeyStatus;
use crate::model::record::Record;
use crate::telemetry::log::Plain;
use crate::telemetry::metrics::ExportMetrics;
use crate::telemetry::metrics::ListenerMetrics;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::otlp::Tracing;
use crate::telemetry::otlp::outbox::Outbox;
use crate::telemetry::otlp::tracer::Tracer;
use crate::telemetry::otlp::wire::metrics::Metric;
use crate::telemetry::otlp::wire::trace::Span;

/// The one place decisions and events are reported to. Nothing here waits, fails or panics on the path of a request.
pub struct Telemetry {
    metrics: Metrics,
    tracer: OnceLock<Tracer>,
}

impl Telemetry {
    /// Fails only if two metrics of ours had the same name.
    pub fn new() -> Result<Telemetry, prometheus::Error> {
        Ok(Telemetry { metrics: Metrics::new()?, tracer: OnceLock::new() })
    }

    /// Account for one check. Every answer that leaves us passes here exactly once.
    pub fn record(&self, record: &Record<'_>) {
        self.metrics.count(record);
        if let Some(tracer) = self.tracer.get() {
            tracer.record(record);
        }
        write(record);
    }

    /// From now on leave spans of decisions in `outbox`; those that find no room are counted. Only the first call counts.
    pub fn trace(&self, tracing: &Tracing, outbox: Arc<Outbox<Span>>, counters: ExportMetrics) {
        let _already_traced = self.tracer.set(Tracer::new(tracing, outbox, counters));
    }

    /// Does anything that is told name the trace of a request?
    pub fn names_traces(&self) -> bool {
        self.tracer.get().is_some() || enabled!(Level::DEBUG)
    }

    /// What [`Telemetry::gather`] and [`Telemetry::gather_introspection`] give, as OTLP has it.
    pub fn measure(&self, keys: &[KeyStatus], asked: &[IntrospectionStatus]) -> Vec<Metric> {
        let now = clock::now();
        let mut families = self.metrics.families(now, keys);
        families.extend(metrics::introspection::families(asked));
        otlp::metric::metrics(&families, self.metrics.started(), now)
    }

    /// Everything counted so far and how the keys stand, in the Prometheus text format 0.0.4.
    pub fn gather(&self, keys: &[KeyStatus]) -> String {
        self.metrics.gather(clock::now(), keys)
    }

    /// How asking each provider stands, in the same format.
    pub fn gather_introspection(&self, statuses: &[IntrospectionStatus]) -> String {
        metrics::introspection::gather(statuses)
    }

    /// The counters of one listener: `grpc`, `http` or `admin`.
    pub fn listener(&self, name: &'static str) -> ListenerMetrics {
        self.metrics.listener(name)
    }

    /// The gauges and counters that are set from outside the path of a request: reloads, weakened switches.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

/// One debug line a decision, allowed or denied. The fields are escaped: whatever the client sent stays on that line.
fn write(record: &Record<'_>) {
    let decision = record.decision;
    debug!(
        decision.id = %record.decision_id,
        trace.id = record.trace.map(|trace| tracing::field::display(Hex(trace.trace_id))),
        decision.effect = decision.effect().name(),
        decision.reason = decision.reason.code(),
        decision.place = decision.place.as_ref().map(tracing::field::display),
        decision.detail = record.detail.map(Plain).map(tracing::field::display),
        decision.limit = record.refused_by(),
        dialect = record.dialect.name(),
        route.host = decision.route.as_deref().map(|route| &*route.host),
        route.name = decision.route.as_deref().map(|route| &*route.name),
        subject.user = decision.principal.identity().map(|identity| tracing::field::display(Plain(identity.user()))),
        subject.source = decision.principal.identity().map(|identity| &**identity.source()),
        request.method = record.method.map(Plain).map(tracing::field::display),
        request.host = record.host.map(Plain).map(tracing::field::display),
        request.path = record.path.map(Plain).map(tracing::field::display),
        client.ip = record.client_ip().map(tracing::field::display),
        response.status = record.status,
        policy = &**record.policy,
        generation = record.generation,
        took_us = record.took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        "request decided"
    );
}

/// A trace id as everybody writes it.
struct Hex([u8; 16]);

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Telemetry")
    }
}
