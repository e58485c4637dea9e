//! How the audit log stands.

use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::IntGauge;
use prometheus::IntGaugeVec;
use prometheus::Registry;

use crate::model::status::AuditStatus;
use crate::model::status::SinkStatus;
use crate::telemetry::metrics::counters;
use crate::telemetry::metrics::gauges;
use crate::telemetry::metrics::keep;

/// Counters of the audit log, shared by all who have a copy.
#[derive(Clone)]
pub struct AuditMetrics {
    lines: IntCounter,
    dropped: IntCounter,
    errors: IntCounter,
    failing: IntGauge,
    sinks: Sinks,
}

/// One series for each collector that gets lines.
#[derive(Clone)]
struct Sinks {
    lines: IntCounterVec,
    dropped: IntCounterVec,
    errors: IntCounterVec,
    failing: IntGaugeVec,
    waiting: IntGaugeVec,
}

/// Counters of one collector of lines, shared by all who have a copy.
#[derive(Clone)]
pub struct SinkMetrics {
    lines: IntCounter,
    dropped: IntCounter,
    errors: IntCounter,
    failing: IntGauge,
    waiting: IntGauge,
}

impl AuditMetrics {
    pub(super) fn new(registry: &Registry) -> Result<AuditMetrics, prometheus::Error> {
        let count = |name: &str, help: &str| keep(registry, IntCounter::new(name, help)?);
        Ok(AuditMetrics {
            lines: count("postern_audit_lines_total", "Lines handed to the system for the audit log")?,
            dropped: count("postern_audit_dropped_total", "Answers without a line in the audit log")?,
            errors: count("postern_audit_errors_total", "Failed writes, fsyncs and rotations of the audit log")?,
            failing: keep(
                registry,
                IntGauge::new("postern_audit_failing", "1 while the audit log cannot be written")?,
            )?,
            sinks: Sinks::new(registry)?,
        })
    }

    /// What was counted so far.
    pub fn status(&self) -> AuditStatus {
        let (written, dropped, errors) = (self.lines.get(), self.dropped.get(), self.errors.get());
        AuditStatus {
            queued: 0,
            room: 0,
            written,
            dropped,
            errors,
            failing: self.failing.get() != 0,
            sinks: Vec::new(),
        }
    }

    /// Those of a collector of this name.
    pub fn sink(&self, name: &'static str) -> SinkMetrics {
        let Sinks { lines, dropped, errors, failing, waiting } = &self.sinks;
        SinkMetrics {
            lines: lines.with_label_values(&[name]),
            dropped: dropped.with_label_values(&[name]),
            errors: errors.with_label_values(&[name]),
            failing: failing.with_label_values(&[name]),
            waiting: waiting.with_label_values(&[name]),
        }
    }

    /// So many lines were written.
    pub fn wrote(&self, lines: u64) {
        self.lines.inc_by(lines);
    }

    /// So many lines are lost.
    pub fn dropped(&self, lines: u64) {
        self.dropped.inc_by(lines);
    }

    /// Something failed.
    pub fn error(&self) {
        self.errors.inc();
    }

    /// Is the log not taken at the moment?
    pub fn failing(&self, failing: bool) {
        self.failing.set(i64::from(failing));
    }
}

impl Sinks {
    fn new(registry: &Registry) -> Result<Sinks, prometheus::Error> {
        let count = |name: &str, help: &str| counters(registry, name, help, &["sink"]);
        let gauge = |name: &str, help: &str| gauges(registry, name, help, &["sink"]);
        Ok(Sinks {
            lines: count("postern_audit_sink_lines_total", "Audit lines handed to a collector")?,
            dropped: count("postern_audit_sink_dropped_total", "Audit lines that are lost to a collector")?,
            errors: count("postern_audit_sink_errors_total", "Failed attempts to reach a collector of audit lines")?,
            failing: gauge("postern_audit_sink_failing", "1 while a collector takes no audit lines")?,
            waiting: gauge("postern_audit_sink_waiting_lines", "Audit lines that wait in memory for a collector")?,
        })
    }
}

impl SinkMetrics {
    /// What was counted so far.
    pub fn status(&self, name: &str) -> SinkStatus {
        SinkStatus {
            name: name.to_owned(),
            queued: usize::try_from(self.waiting.get()).unwrap_or_default(),
            sent: self.lines.get(),
            dropped: self.dropped.get(),
            errors: self.errors.get(),
            failing: self.failing.get() != 0,
        }
    }

    /// So many lines were handed on.
    pub fn sent(&self, lines: u64) {
        self.lines.inc_by(lines);
    }

    /// So many lines are lost to it.
    pub fn dropped(&self, lines: u64) {
        self.dropped.inc_by(lines);
    }

    /// An attempt failed.
    pub fn error(&self) {
        self.errors.inc();
    }

    /// Does it take nothing at the moment?
    pub fn failing(&self, failing: bool) {
        self.failing.set(i64::from(failing));
    }

    /// So many lines wait for it.
    pub fn waiting(&self, lines: usize) {
        self.waiting.set(i64::try_from(lines).unwrap_or(i64::MAX));
    }
}
