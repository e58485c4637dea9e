//! How the instance stands at the moment it is asked: ready or not, what waits, how long its certificates last.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use jiff::Timestamp;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Registry;

use crate::model::limit::SharedStatus;
use crate::model::limit::StoreStatus;
use crate::model::status::AuditStatus;
use crate::telemetry::metrics::gauges;
use crate::telemetry::metrics::keep;
use crate::telemetry::metrics::set;

/// What is known where the metrics are asked for.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Everybody can be answered.
    pub ready: bool,
    /// How the audit log stands, if there is one.
    pub audit: Option<AuditStatus>,
    /// The listeners that show certificates, and when the first of these ends.
    pub certificates: Vec<(&'static str, Timestamp)>,
    /// How the store of budgets stands; nothing where nothing is limited.
    pub limits: StoreStatus,
    /// How the store stands that all instances take budgets from, if there is one.
    pub shared_limits: Option<SharedStatus>,
}

pub(super) struct StandingMetrics {
    ready: IntGauge,
    stopping: AtomicBool,
    audit_queued: IntGauge,
    audit_room: IntGauge,
    certificates: IntGaugeVec,
}

impl StandingMetrics {
    pub(super) fn new(registry: &Registry) -> Result<StandingMetrics, prometheus::Error> {
        let gauge = |name: &str, help: &str| keep(registry, IntGauge::new(name, help)?);
        Ok(StandingMetrics {
            stopping: AtomicBool::new(false),
            ready: gauge("postern_ready", "1 when everybody can be answered, as /readyz says it")?,
            audit_queued: gauge("postern_audit_queue_lines", "Lines that wait to be written to the audit log")?,
            audit_room: gauge(
                "postern_audit_queue_limit_lines",
                "Lines that may wait to be written to the audit log; 0 where there is none",
            )?,
            certificates: gauges(
                registry,
                "postern_tls_certificate_not_after_timestamp_seconds",
                "When the first certificate that a listener shows ends, in seconds since 1970",
                &["listener"],
            )?,
        })
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    pub(super) fn show(&self, standing: &Standing) {
        self.ready.set(i64::from(standing.ready && !self.stopping.load(Ordering::Relaxed)));
        let (queued, room) = standing.audit.as_ref().map_or((0, 0), |audit| (audit.queued, audit.room));
        for (gauge, lines) in [(&self.audit_queued, queued), (&self.audit_room, room)] {
            gauge.set(i64::try_from(lines).unwrap_or(i64::MAX));
        }
        self.certificates.reset();
        for (listener, ends) in &standing.certificates {
            set(&self.certificates, &[listener], ends.as_second());
        }
    }
}

#[cfg(test)]
mod tests {
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn what_stands_is_shown_and_what_is_gone_is_not() {
        let registry = Registry::new();
        let metrics = StandingMetrics::new(&registry).expect("gauges");
        let series = || {
            let text = TextEncoder::new().encode_to_string(&registry.gather()).expect("text");
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
        };
        let ends = Timestamp::from_second(1_800_000_000).expect("a time");
        metrics.show(&Standing {
            limits: StoreStatus::default(),
            shared_limits: None,
            ready: true,
            audit: Some(AuditStatus { queued: 3, room: 8192, ..AuditStatus::default() }),
            certificates: vec![("grpc", ends)],
        });
        assert_eq!(
            series(),
            [
                "postern_audit_queue_limit_lines 8192",
                "postern_audit_queue_lines 3",
                "postern_ready 1",
                "postern_tls_certificate_not_after_timestamp_seconds{listener=\"grpc\"} 1800000000",
            ]
        );
        metrics.show(&Standing::default());
        assert_eq!(series(), ["postern_audit_queue_limit_lines 0", "postern_audit_queue_lines 0", "postern_ready 0"]);
    }
}
