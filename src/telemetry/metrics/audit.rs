//! How the audit log stands.

use prometheus::IntCounter;
use prometheus::IntGauge;
use prometheus::Registry;

use crate::model::status::AuditStatus;
use crate::telemetry::metrics::keep;

/// Counters of the audit log, shared by all who have a copy.
#[derive(Clone)]
pub struct AuditMetrics {
    lines: IntCounter,
    dropped: IntCounter,
    errors: IntCounter,
    failing: IntGauge,
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
        })
    }

    /// What was counted so far.
    pub fn status(&self) -> AuditStatus {
        let (written, dropped, errors) = (self.lines.get(), self.dropped.get(), self.errors.get());
        AuditStatus { queued: 0, room: 0, written, dropped, errors, failing: self.failing.get() != 0 }
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
