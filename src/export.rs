//! Telling a collector what happened, by OTLP: spans as they come, metrics now and then.
//!
//! A thread of its own does it. Whoever decides leaves a span in a bounded box and never waits; a collector that is slow or
//! away costs spans, which are counted, and nothing else.

mod courier;
pub mod logs;
mod pace;
pub mod settings;
mod transport;

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::export::courier::Courier;
use crate::export::settings::OtlpSettings;
use crate::export::transport::Transport;
use crate::outbound::OutboundError;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Signal;
use crate::telemetry::otlp::outbox::Outbox;
use crate::telemetry::otlp::text;
use crate::telemetry::otlp::wire::common::InstrumentationScope;
use crate::telemetry::otlp::wire::metrics::Metric;
use crate::telemetry::otlp::wire::resource::Resource;
use crate::telemetry::otlp::wire::trace::Span;

/// Why no collector is told anything.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("no client for the collector")]
    Client(#[from] OutboundError),
    #[error("no thread for the collector")]
    Thread(#[source] io::Error),
    #[error("no counters for the collector")]
    Counters(#[from] prometheus::Error),
}

/// The thread that tells the collector.
pub struct Exporter {
    closing: CancellationToken,
    spans: Option<Arc<Outbox<Span>>>,
    ended: Mutex<mpsc::Receiver<()>>,
}

impl Exporter {
    /// Begin. From now on `telemetry` makes spans, where they are asked for; `measure` gives all metrics as they stand.
    pub fn start(
        settings: &OtlpSettings,
        telemetry: &Telemetry,
        measure: impl Fn() -> Vec<Metric> + Send + 'static,
    ) -> Result<Exporter, ExportError> {
        let transport = Arc::new(Transport::new(settings)?);
        let closing = CancellationToken::new();
        let courier = |signal| {
            let counters = telemetry.metrics().export(signal)?;
            Ok::<_, prometheus::Error>(Courier::new(
                signal,
                Arc::clone(&transport),
                settings,
                counters,
                closing.clone(),
            ))
        };
        let tracing = match &settings.traces {
            None => None,
            Some(tracing) => {
                let spans = Arc::new(Outbox::new(tracing.queue));
                Some((tracing, courier(Signal::Traces)?, spans))
            }
        };
        let metrics = match settings.metrics {
            None => None,
            Some(interval) => Some((courier(Signal::Metrics)?, interval)),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .thread_name("postern-otlp-dns")
            .enable_all()
            .build()
            .map_err(ExportError::Thread)?;
        let (end, ended) = mpsc::channel();
        let spans = tracing.as_ref().map(|(.., spans)| Arc::clone(spans));
        if let Some((tracing, courier, spans)) = &tracing {
            telemetry.trace(tracing, Arc::clone(spans), courier.counters().clone());
        }
        let tracing = tracing.map(|(_, courier, spans)| (courier, spans));
        let run = move || {
            runtime.block_on(async {
                let traces = async {
                    if let Some((courier, spans)) = tracing {
                        courier.bring_spans(&spans).await;
                    }
                };
                let metrics = async {
                    if let Some((courier, interval)) = metrics {
                        courier.bring_metrics(interval, measure).await;
                    }
                };
                tokio::join!(traces, metrics);
            });
            // A lookup that hangs in the system must not keep us.
            runtime.shutdown_background();
            let _ = end.send(());
        };
        thread::Builder::new().name("postern-otlp".to_owned()).spawn(run).map_err(ExportError::Thread)?;
        Ok(Exporter { closing, spans, ended: Mutex::new(ended) })
    }

    /// Tell what is left, and end. Waits so long for it, and says whether it has ended. Nothing is taken afterwards.
    pub fn close(&self, within: Duration) -> bool {
        if let Some(spans) = &self.spans {
            spans.close();
        }
        self.closing.cancel();
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(within).is_ok()
    }
}

/// Who tells it.
fn resource(settings: &OtlpSettings) -> Resource {
    Resource { attributes: settings.resource.iter().map(|(name, value)| text(name, value.as_str())).collect() }
}

/// What made it.
fn scope() -> InstrumentationScope {
    InstrumentationScope { name: "postern".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() }
}
