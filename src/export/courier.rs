//! Brings one signal to the collector, again and again where that may help, and keeps account of what is lost.

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use crate::export::pace::Pace;
use crate::export::resource;
use crate::export::scope;
use crate::export::settings::OtlpSettings;
use crate::export::transport::CallError;
use crate::export::transport::Transport;
use crate::telemetry::clock;
use crate::telemetry::log::Plain;
use crate::telemetry::metrics::ExportMetrics;
use crate::telemetry::metrics::Signal;
use crate::telemetry::otlp::outbox::Outbox;
use crate::telemetry::otlp::wire::metrics::Metric;
use crate::telemetry::otlp::wire::metrics::ResourceMetrics;
use crate::telemetry::otlp::wire::metrics::ScopeMetrics;
use crate::telemetry::otlp::wire::metrics_service::ExportMetricsServiceRequest;
use crate::telemetry::otlp::wire::metrics_service::ExportMetricsServiceResponse;
use crate::telemetry::otlp::wire::resource::Resource;
use crate::telemetry::otlp::wire::trace::ResourceSpans;
use crate::telemetry::otlp::wire::trace::ScopeSpans;
use crate::telemetry::otlp::wire::trace::Span;
use crate::telemetry::otlp::wire::trace_service::ExportTraceServiceRequest;
use crate::telemetry::otlp::wire::trace_service::ExportTraceServiceResponse;

/// The most spans of one call, and about the most octets: collectors take 4 MiB.
const MOST: usize = 512;
const MOST_OCTETS: usize = 1024 * 1024;
/// After the first span of a call, others have so long to come.
const LINGER: Duration = Duration::from_secs(1);
/// How long a call may go on when the process ends.
const LAST: Duration = Duration::from_secs(2);

pub(super) struct Courier {
    signal: Signal,
    transport: Arc<Transport>,
    resource: Resource,
    counters: ExportMetrics,
    closing: CancellationToken,
    failing: AtomicBool,
}

impl Courier {
    pub(super) fn new(
        signal: Signal,
        transport: Arc<Transport>,
        settings: &OtlpSettings,
        counters: ExportMetrics,
        closing: CancellationToken,
    ) -> Courier {
        let resource = resource(settings);
        Courier { signal, transport, resource, counters, closing, failing: AtomicBool::new(false) }
    }

    pub(super) fn counters(&self) -> &ExportMetrics {
        &self.counters
    }

    /// Bring spans until their box is closed and empty. The oldest wait for a collector that is away; newer ones find no
    /// room then.
    pub(super) async fn bring_spans(self, outbox: &Outbox<Span>) {
        let mut pace = Pace::new((RandomState::new().hash_one(0) & 0xFF) as u8);
        loop {
            let spans = outbox.take(MOST, MOST_OCTETS, LINGER).await;
            if spans.is_empty() {
                return;
            }
            let number = spans.len() as u64;
            let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans }];
            let resource_spans = vec![ResourceSpans { resource: Some(self.resource.clone()), scope_spans }];
            let message = Bytes::from(ExportTraceServiceRequest { resource_spans }.encode_to_vec());
            loop {
                match self.call(message.clone()).await {
                    Ok(answer) => {
                        pace.reset();
                        let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
                        let partial = answer.partial_success.unwrap_or_default();
                        self.taken(number, partial.rejected_spans, &partial.error_message);
                        break;
                    }
                    Err(error) if !error.may_pass() => {
                        self.counters.dropped(number);
                        break;
                    }
                    Err(_) if self.closing.is_cancelled() => {
                        self.counters.dropped(number + outbox.waiting() as u64);
                        warn!(lost = self.counters.lost(), "the collector was not told of the last spans");
                        return;
                    }
                    Err(_) => {
                        let _ = tokio::time::timeout(pace.wait(), self.closing.cancelled()).await;
                    }
                }
            }
        }
    }

    /// Bring all metrics, now and then and at the end. Nothing is lost by a call that fails: they add up.
    pub(super) async fn bring_metrics(self, interval: Duration, measure: impl Fn() -> Vec<Metric>) {
        let mut ticks = tokio::time::interval_at(clock::after(interval), interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = ticks.tick() => false,
                () = self.closing.cancelled() => true,
            };
            let metrics = measure();
            let number = metrics.len() as u64;
            let scope_metrics = vec![ScopeMetrics { scope: Some(scope()), metrics }];
            let resource_metrics = vec![ResourceMetrics { resource: Some(self.resource.clone()), scope_metrics }];
            let message = Bytes::from(ExportMetricsServiceRequest { resource_metrics }.encode_to_vec());
            if let Ok(answer) = self.call(message).await {
                let answer = ExportMetricsServiceResponse::decode(answer).unwrap_or_default();
                let partial = answer.partial_success.unwrap_or_default();
                self.taken(number, partial.rejected_data_points, &partial.error_message);
            }
            if last {
                return;
            }
        }
    }

    /// One call. The log has a line when calls begin to fail, and one when they pass again.
    async fn call(&self, message: Bytes) -> Result<Bytes, CallError> {
        let ending = async {
            self.closing.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        let result = tokio::select! {
            result = self.transport.call(self.signal, message) => result,
            () = ending => Err(CallError::Closing),
        };
        match &result {
            Ok(_) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    info!(signal = self.signal.name(), lost = self.counters.lost(), "the collector takes calls again");
                }
            }
            Err(error) => {
                self.counters.error();
                if !self.failing.swap(true, Ordering::Relaxed) {
                    warn!(signal = self.signal.name(), error = %error, "the collector does not take calls");
                }
            }
        }
        result
    }

    /// A call was taken, maybe not all of it.
    fn taken(&self, number: u64, rejected: i64, why: &str) {
        let rejected = u64::try_from(rejected).unwrap_or_default().min(number);
        self.counters.sent(number - rejected);
        if rejected > 0 {
            self.counters.dropped(rejected);
            warn!(signal = self.signal.name(), rejected, why = %Plain(why), "the collector refused a part");
        }
    }
}
