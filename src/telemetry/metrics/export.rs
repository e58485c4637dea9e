//! How telling collectors goes.

use prometheus::IntCounter;
use prometheus::IntCounterVec;
use prometheus::Registry;

use crate::telemetry::metrics::counters;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Traces,
    Metrics,
    /// Counted where the lines of the audit log are.
    Logs,
}

impl Signal {
    /// The label, as OTLP names it.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }
}

pub(super) struct ExportCounters {
    sent: IntCounterVec,
    dropped: IntCounterVec,
    errors: IntCounterVec,
}

impl ExportCounters {
    pub(super) fn new(registry: &Registry) -> Result<ExportCounters, prometheus::Error> {
        let counters = |name, help| counters(registry, name, help, &["signal"]);
        Ok(ExportCounters {
            sent: counters("postern_otlp_sent_total", "Spans and metrics that the collector has taken")?,
            dropped: counters("postern_otlp_dropped_total", "Spans that the collector was never told of")?,
            errors: counters("postern_otlp_errors_total", "Calls of the collector that failed")?,
        })
    }

    pub(super) fn of(&self, signal: Signal) -> Result<ExportMetrics, prometheus::Error> {
        let one = |counters: &IntCounterVec| counters.get_metric_with_label_values(&[signal.name()]);
        Ok(ExportMetrics { sent: one(&self.sent)?, dropped: one(&self.dropped)?, errors: one(&self.errors)? })
    }
}

/// The counters of one signal, shared by all who have a copy.
#[derive(Clone)]
pub struct ExportMetrics {
    sent: IntCounter,
    dropped: IntCounter,
    errors: IntCounter,
}

impl ExportMetrics {
    /// So many are with the collector.
    pub fn sent(&self, number: u64) {
        self.sent.inc_by(number);
    }

    /// So many are lost.
    pub fn dropped(&self, number: u64) {
        self.dropped.inc_by(number);
    }

    /// How many are lost so far.
    pub fn lost(&self) -> u64 {
        self.dropped.get()
    }

    /// A call failed.
    pub fn error(&self) {
        self.errors.inc();
    }
}
