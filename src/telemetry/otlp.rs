//! What is told to collectors, in the words of OTLP (OpenTelemetry Protocol 1.x).

pub(super) mod metric;
mod span;
pub(super) mod tracer;

pub mod outbox;

pub use tracer::Tracing;

/// The messages: our own subset of them, under `proto/opentelemetry`.
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/otlp_v1.rs"));
    pub use opentelemetry::proto::collector::logs::v1 as logs_service;
    pub use opentelemetry::proto::collector::metrics::v1 as metrics_service;
    pub use opentelemetry::proto::collector::trace::v1 as trace_service;
    pub use opentelemetry::proto::common::v1 as common;
    pub use opentelemetry::proto::logs::v1 as logs;
    pub use opentelemetry::proto::metrics::v1 as metrics;
    pub use opentelemetry::proto::resource::v1 as resource;
    pub use opentelemetry::proto::trace::v1 as trace;
}

use wire::common::AnyValue;
use wire::common::KeyValue;
use wire::common::any_value::Value;

/// The longest text of an attribute, in octets. A path may have eight times as many.
const LONGEST: usize = 1024;

/// An attribute that is text; what is too long is cut.
pub fn text(key: &str, value: impl Into<String>) -> KeyValue {
    let mut value = value.into();
    if value.len() > LONGEST {
        value.truncate(value.floor_char_boundary(LONGEST));
    }
    attribute(key, Value::StringValue(value))
}

/// A text that is nobody's attribute, and is never cut.
pub fn whole_text(value: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.into())) }
}

fn number(key: &str, value: impl Into<i64>) -> KeyValue {
    attribute(key, Value::IntValue(value.into()))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

/// Nanoseconds since 1970.
pub fn nanos(at: jiff::Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}
