//! One call of a collector: over gRPC or HTTP, to the same messages and the same few ends.

use std::time::Duration;

use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::header::TE;
use url::Url;

use crate::export::settings::OtlpSettings;
use crate::export::settings::Protocol;
use crate::outbound::OutboundError;
use crate::outbound::upload::Receipt;
use crate::outbound::upload::Uplink;
use crate::outbound::upload::Way;
use crate::telemetry::metrics::Signal;

/// A flag and a length of four octets stand before a gRPC message.
const PREFIX: usize = 5;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Why a collector did not take something.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error(transparent)]
    Unreachable(#[from] OutboundError),
    #[error("`{url}` answered HTTP status {status}")]
    Status { url: Url, status: StatusCode },
    #[error("`{url}` answered gRPC status {code}")]
    Grpc { url: Url, code: u32 },
    #[error("there was no time left")]
    Closing,
}

impl CallError {
    /// May it take the same a while later? What it has understood and refused, never (OTLP specification, "Failures").
    pub(super) fn may_pass(&self) -> bool {
        match self {
            CallError::Unreachable(_) | CallError::Closing => true,
            CallError::Status { status, .. } => matches!(status.as_u16(), 429 | 502 | 503 | 504),
            // Cancelled, deadline exceeded, resource exhausted, aborted, out of range, unavailable, data loss.
            CallError::Grpc { code, .. } => matches!(code, 1 | 4 | 8 | 10 | 11 | 14 | 15),
        }
    }
}

/// The way to one collector.
pub(super) struct Transport {
    uplink: Uplink,
    endpoint: Url,
    protocol: Protocol,
    headers: HeaderMap,
    timeout: Duration,
}

impl Transport {
    pub(super) fn new(settings: &OtlpSettings) -> Result<Transport, OutboundError> {
        let OtlpSettings { endpoint, protocol, authorities, timeout, .. } = settings;
        let way = Way {
            authorities: authorities.clone(),
            http2: *protocol == Protocol::Grpc,
            plain: endpoint.scheme() == "http",
        };
        let mut headers = settings.headers.clone();
        match protocol {
            Protocol::Grpc => {
                headers.insert(CONTENT_TYPE, GRPC);
                headers.insert(TE, TRAILERS);
            }
            Protocol::Http => {
                headers.insert(CONTENT_TYPE, PROTOBUF);
            }
        }
        let uplink = Uplink::new(&way)?;
        Ok(Transport { uplink, endpoint: endpoint.clone(), protocol: *protocol, headers, timeout: *timeout })
    }

    /// Bring one message, and get the one that answers it.
    pub(super) async fn call(&self, signal: Signal, message: Bytes) -> Result<Bytes, CallError> {
        let url = self.url(signal);
        let body = match self.protocol {
            Protocol::Grpc => framed(&message),
            Protocol::Http => message,
        };
        let receipt = self.uplink.post(&url, self.headers.clone(), body, self.timeout).await?;
        if receipt.status != StatusCode::OK {
            return Err(CallError::Status { url, status: receipt.status });
        }
        match self.protocol {
            Protocol::Http => Ok(receipt.body),
            Protocol::Grpc => match grpc_status(&receipt) {
                0 => Ok(receipt.body.get(PREFIX..).map(|message| receipt.body.slice_ref(message)).unwrap_or_default()),
                code => Err(CallError::Grpc { url, code }),
            },
        }
    }

    fn url(&self, signal: Signal) -> Url {
        let path = match (self.protocol, signal) {
            (Protocol::Grpc, Signal::Traces) => "opentelemetry.proto.collector.trace.v1.TraceService/Export",
            (Protocol::Grpc, Signal::Metrics) => "opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            (Protocol::Grpc, Signal::Logs) => "opentelemetry.proto.collector.logs.v1.LogsService/Export",
            (Protocol::Http, Signal::Logs) => "v1/logs",
            (Protocol::Http, Signal::Traces) => "v1/traces",
            (Protocol::Http, Signal::Metrics) => "v1/metrics",
        };
        let mut url = self.endpoint.clone();
        url.set_path(&format!("{}/{path}", self.endpoint.path().trim_end_matches('/')));
        url
    }
}

/// The status of a call: in the trailers, or in the head where nothing follows it. One that says none has failed.
fn grpc_status(receipt: &Receipt) -> u32 {
    const UNKNOWN: u32 = 2;
    let status = receipt.trailers.get(GRPC_STATUS).or_else(|| receipt.headers.get(GRPC_STATUS));
    status.and_then(|status| status.to_str().ok()?.parse().ok()).unwrap_or(UNKNOWN)
}

fn framed(message: &[u8]) -> Bytes {
    let mut octets = BytesMut::with_capacity(PREFIX + message.len());
    octets.put_u8(0);
    octets.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    octets.put_slice(message);
    octets.freeze()
}
