//! Log records for a collector, brought by whoever may wait for it.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use tracing::warn;

use crate::export::ExportError;
use crate::export::resource;
use crate::export::scope;
use crate::export::settings::OtlpSettings;
use crate::export::transport::Transport;
use crate::telemetry::log::Plain;
use crate::telemetry::metrics::Signal;
use crate::telemetry::otlp::wire::logs::LogRecord;
use crate::telemetry::otlp::wire::logs::ResourceLogs;
use crate::telemetry::otlp::wire::logs::ScopeLogs;
use crate::telemetry::otlp::wire::logs_service::ExportLogsServiceRequest;
use crate::telemetry::otlp::wire::logs_service::ExportLogsServiceResponse;
use crate::telemetry::otlp::wire::resource::Resource;

/// The longest call: whoever waits for it may have to end.
const LONGEST: Duration = Duration::from_secs(3);

/// The way of log records to a collector. It belongs to the thread that uses it.
pub struct LogCourier {
    runtime: tokio::runtime::Runtime,
    transport: Transport,
    resource: Resource,
}

impl LogCourier {
    /// To the collector of these settings.
    pub fn new(settings: &OtlpSettings) -> Result<LogCourier, ExportError> {
        let settings = OtlpSettings { timeout: settings.timeout.min(LONGEST), ..settings.clone() };
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExportError::Thread)?;
        Ok(LogCourier { runtime, transport: Transport::new(&settings)?, resource: resource(&settings) })
    }

    /// Bring these, and wait until the collector has taken them.
    pub fn bring(&self, log_records: Vec<LogRecord>) -> io::Result<()> {
        let scope_logs = vec![ScopeLogs { scope: Some(scope()), log_records }];
        let resource_logs = vec![ResourceLogs { resource: Some(self.resource.clone()), scope_logs }];
        let message = Bytes::from(ExportLogsServiceRequest { resource_logs }.encode_to_vec());
        let answer = self.runtime.block_on(self.transport.call(Signal::Logs, message)).map_err(io::Error::other)?;
        let partial = ExportLogsServiceResponse::decode(answer).unwrap_or_default().partial_success.unwrap_or_default();
        if partial.rejected_log_records > 0 {
            let (rejected, why) = (partial.rejected_log_records, Plain(&partial.error_message));
            warn!(signal = "logs", rejected, why = %why, "the collector refused a part");
        }
        Ok(())
    }
}
