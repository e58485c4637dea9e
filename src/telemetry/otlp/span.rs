//! One record as a span: the attributes of OpenTelemetry's conventions where there are some, `postern.…` where not.

use crate::model::record::Record;
use crate::telemetry::otlp::nanos;
use crate::telemetry::otlp::number;
use crate::telemetry::otlp::text;
use crate::telemetry::otlp::wire::common::KeyValue;
use crate::telemetry::otlp::wire::trace::Span;
use crate::telemetry::otlp::wire::trace::Status;
use crate::telemetry::otlp::wire::trace::span::SpanKind;
use crate::telemetry::otlp::wire::trace::status::StatusCode;

/// The name of every span: few names, as the conventions ask.
const NAME: &str = "authorize";

/// The flag `sampled` of W3C Trace Context.
const SAMPLED: u32 = 1;
/// OTLP's flags that tell where a parent is: known, and in another process.
const PARENT_IS_REMOTE: u32 = 0x300;

/// What of a request may be told besides its decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) query: bool,
    pub(super) user: bool,
}

/// The span of a record, in this trace and by this name.
pub(super) fn span(record: &Record<'_>, trace_id: [u8; 16], span_id: [u8; 8], told: Told) -> Span {
    let start = nanos(record.at);
    let took = record.took.map_or(0, |took| u64::try_from(took.as_nanos()).unwrap_or_default());
    let code = if record.status >= 500 { StatusCode::Error } else { StatusCode::Unset };
    let parent = record.trace.map(|trace| trace.parent.to_vec());
    Span {
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_vec(),
        flags: SAMPLED | if parent.is_some() { PARENT_IS_REMOTE } else { 0x100 },
        parent_span_id: parent.unwrap_or_default(),
        name: NAME.to_owned(),
        kind: SpanKind::Server.into(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(took),
        attributes: attributes(record, told),
        status: Some(Status { code: code.into() }),
    }
}

fn attributes(record: &Record<'_>, told: Told) -> Vec<KeyValue> {
    let decision = record.decision;
    let mut attributes = Vec::with_capacity(18);
    attributes.push(text("postern.decision_id", record.decision_id.to_string()));
    attributes.push(text("postern.effect", decision.effect().name()));
    attributes.push(text("postern.reason", decision.reason.code()));
    attributes.push(text("postern.dialect", record.dialect.name()));
    attributes.push(text("postern.policy", &**record.policy));
    attributes.push(number("postern.generation", i64::try_from(record.generation).unwrap_or(i64::MAX)));
    attributes.push(number("http.response.status_code", record.status));
    let mut put = |key, value: Option<&str>| attributes.extend(value.map(|value| text(key, value)));
    let route = decision.route.as_deref();
    put("postern.route", route.map(|route| &*route.name));
    put("postern.host_block", route.map(|route| &*route.host));
    put("http.request.method", record.method);
    put("server.address", record.host);
    put("url.path", record.path);
    put("url.query", record.query.filter(|_| told.query));
    let identity = decision.principal.identity();
    put("postern.source", identity.map(|identity| &**identity.source()));
    put("enduser.id", identity.filter(|_| told.user).map(|identity| identity.user()));
    put("error.type", (record.status >= 500).then(|| decision.reason.code()));
    attributes.extend(decision.place.as_ref().map(|place| text("postern.rule", place.to_string())));
    attributes.extend(record.client_ip().map(|address| text("client.address", address.to_string())));
    attributes
}
