//! What collectors are told, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::tree::SecretRef;

/// What others are told of our work, besides what they may read at the admin listener. It is set up at the start; a reload
/// does not change it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// A collector that is told by OTLP. Default: none is.
    #[serde(default)]
    pub otlp: Option<At<Otlp>>,
}

/// A collector that takes OTLP (OpenTelemetry Protocol). `OTEL_…` environment variables are not read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Otlp {
    /// Where it is: `http://collector:4317`, or `https:`. Over HTTP, `/v1/traces` and `/v1/metrics` come after it.
    pub endpoint: At<String>,
    /// `grpc` (the default, usually port 4317) or `http` (protobuf, usually port 4318).
    #[serde(default)]
    pub protocol: Option<At<OtlpProtocol>>,
    /// Header fields sent with every call, as `authorization`; each from a file or from the environment.
    #[serde(default)]
    pub headers: Entries<At<SecretRef>>,
    /// Certificate authorities (PEM) that sign for the collector. Default: those of the system.
    #[serde(default)]
    pub ca_file: Option<At<String>>,
    /// `service.name`. Default: `postern`.
    #[serde(default)]
    pub service_name: Option<At<String>>,
    /// More about this instance, as `deployment.environment.name: production`.
    #[serde(default)]
    pub resource: Entries<At<String>>,
    /// How long a call may take. Default: `10s`.
    #[serde(default)]
    pub timeout: Option<At<String>>,
    /// One span for each decision that is sampled. Default: none.
    #[serde(default)]
    pub traces: Option<At<Traces>>,
    /// The metrics of the admin listener, now and then. Default: never.
    #[serde(default)]
    pub metrics: Option<At<MetricsPush>>,
}

/// What OTLP goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtlpProtocol {
    Grpc,
    Http,
}

/// Spans of decisions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Traces {
    /// The part of the requests without a `traceparent` that begin a trace, 0 to 1. Default: 0.01.
    #[serde(default)]
    pub sample: Option<At<f64>>,
    /// `follow` (default): a request with a `traceparent` has a span where that says so. `ignore`: `sample` holds for all, for
    /// proxies that let `traceparent` of strangers through.
    #[serde(default)]
    pub parent: Option<At<TraceParent>>,
    /// `true`: spans hold the query of the request, which may hold secrets.
    #[serde(default)]
    pub include_query: bool,
    /// `true`: spans hold the user (`enduser.id`).
    #[serde(default)]
    pub include_user: bool,
    /// How many spans may wait to be sent, 1 to 100000. Default: 2048.
    #[serde(default)]
    pub queue: Option<At<u32>>,
}

/// Who says whether a request that is part of a trace has a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceParent {
    Follow,
    Ignore,
}

/// Metrics, now and then.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsPush {
    /// The time between two accounts. Default: `15s`.
    #[serde(default)]
    pub interval: Option<At<String>>,
}
