//! The metrics as they stand: what was counted, and what is looked up when somebody asks.

use std::sync::Arc;

use crate::server::authorize::Authorize;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Standing;
use crate::telemetry::otlp::wire::metrics::Metric;

/// Whom to ask for the metrics.
pub struct Scrape<A> {
    engine: Arc<A>,
    telemetry: Arc<Telemetry>,
}

impl<A: Authorize> Scrape<A> {
    /// Of this engine.
    pub fn new(engine: Arc<A>, telemetry: Arc<Telemetry>) -> Scrape<A> {
        Scrape { engine, telemetry }
    }

    /// All, in the Prometheus text format 0.0.4.
    pub fn text(&self) -> String {
        self.look();
        let mut text = self.telemetry.gather(&self.engine.key_statuses());
        text.push_str(&self.telemetry.gather_introspection(&self.engine.introspection_statuses()));
        text
    }

    /// All, as OTLP has them.
    pub fn otlp(&self) -> Vec<Metric> {
        self.look();
        self.telemetry.measure(&self.engine.key_statuses(), &self.engine.introspection_statuses())
    }

    fn look(&self) {
        let metrics = self.telemetry.metrics();
        metrics.show_key_uses(&self.engine.key_uses());
        metrics.show_standing(&Standing {
            ready: self.engine.obstacles().is_empty(),
            audit: self.engine.audit_status(),
            certificates: self.engine.tls().ends().collect(),
            limits: self.engine.limit_status(),
            shared_limits: self.engine.shared_limits_status(),
        });
    }
}
