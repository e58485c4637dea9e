//! How a collector is told.

use std::time::Duration;

use http::HeaderMap;
use url::Url;

pub use crate::telemetry::otlp::Tracing;

/// The `telemetry.otlp` setting, built.
#[derive(Clone, Debug, PartialEq)]
pub struct OtlpSettings {
    /// `http` or `https`, a host and maybe a path; the paths of OTLP come after it.
    pub endpoint: Url,
    pub protocol: Protocol,
    /// Sent with every call; their values are marked sensitive.
    pub headers: HeaderMap,
    /// Certificate authorities (PEM) to trust instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Who tells it: names and values, `service.name` among them.
    pub resource: Vec<(String, String)>,
    /// How long a call may take.
    pub timeout: Duration,
    pub traces: Option<Tracing>,
    /// The time between two accounts of the metrics.
    pub metrics: Option<Duration>,
}

/// What OTLP goes over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Grpc,
    /// Protobuf in HTTP POSTs.
    Http,
}
