//! Which policy is in force, and how reading it again went.

use jiff::Timestamp;
use prometheus::Gauge;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Registry;

use crate::model::reload::ReloadResult;
use crate::telemetry::metrics::counters;
use crate::telemetry::metrics::gauges;
use crate::telemetry::metrics::inc;
use crate::telemetry::metrics::keep;
use crate::telemetry::metrics::set;

pub(super) struct ReloadMetrics {
    total: IntCounterVec,
    last_successful: IntGauge,
    last_success: Gauge,
    generation: IntGauge,
    info: IntGaugeVec,
}

impl ReloadMetrics {
    pub(super) fn new(registry: &Registry) -> Result<ReloadMetrics, prometheus::Error> {
        let total = counters(registry, "postern_config_reloads_total", "Policy reloads", &["result"])?;
        for result in ReloadResult::ALL {
            total.get_metric_with_label_values(&[result.name()])?;
        }
        Ok(ReloadMetrics {
            total,
            last_successful: keep(
                registry,
                IntGauge::new(
                    "postern_config_last_reload_successful",
                    "1 when the policy that was last read is in force, 0 when it was bad and an older one is",
                )?,
            )?,
            last_success: keep(
                registry,
                Gauge::new(
                    "postern_config_last_reload_success_timestamp_seconds",
                    "When what was read was last found good, in seconds since 1970",
                )?,
            )?,
            generation: keep(
                registry,
                IntGauge::new(
                    "postern_config_generation",
                    "1 for the policy of the start, one more for each after it",
                )?,
            )?,
            info: gauges(
                registry,
                "postern_config_info",
                "Always 1; the digest of the policy in force is in the label",
                &["policy"],
            )?,
        })
    }

    pub(super) fn in_force(&self, at: Timestamp, generation: u64, policy: &str) {
        self.last_successful.set(1);
        self.last_success.set(at.as_millisecond() as f64 / 1000.0);
        self.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.info.reset();
        set(&self.info, &[policy], 1);
    }

    pub(super) fn ended(&self, result: ReloadResult, at: Timestamp, generation: u64, policy: &str) {
        match result {
            ReloadResult::Accepted | ReloadResult::Unchanged => self.in_force(at, generation, policy),
            ReloadResult::Refused => self.last_successful.set(0),
        }
        inc(&self.total, &[result.name()]);
    }
}
