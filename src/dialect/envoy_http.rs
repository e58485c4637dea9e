//! Envoy's `ext_authz` over plain HTTP (`http_service`).
//!
//! The check has the client's method, `Host` and target, the last behind our prefix. Scheme and address are there when
//! the configuration adds them. Every 5xx counts as our failure, which may be configured to allow, so none is sent.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::forwarded::{FOR, Fields, HOST, METHOD, PROTO, URI};
use super::forwarding::{Collected, Forwarding};
use super::{answer, nginx, refuse};
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::{Attributes, Refusal, Scheme, StatedAddress, StatedCertificate};
use crate::model::response::Allow;

/// What Envoy puts before the client's target.
pub(super) const PREFIX: &str = "/auth/envoy";

/// Method, host and target are known from the request line; that the configuration repeats them is not needed.
pub(super) const FORWARDING: Forwarding<2> =
    Forwarding { reads: [PROTO, FOR], writes: &[METHOD, HOST, URI, "x-envoy-external-address"] };

/// The check was sent to this `host`, the client's.
pub(super) fn decode<'w>(parts: &'w Parts, host: &'w str) -> Result<Attributes<'w>, Refusal> {
    let refuse = |reason, detail| refuse(Dialect::EnvoyHttp, reason, detail);
    let fields = Fields::collect(Dialect::EnvoyHttp, &FORWARDING, &parts.headers)?;
    let target = parts
        .uri
        .path_and_query()
        .and_then(|target| target.as_str().strip_prefix(PREFIX))
        .filter(|target| target.starts_with('/'))
        .ok_or_else(|| refuse(Reason::AttributeMissing, "path"))?;
    let scheme = fields.optional(PROTO).and_then(Scheme::parse);
    let Collected { headers, forwarded_for, ignored, capitals: _ } = fields.rest;
    let address = StatedAddress { peer: forwarded_for.last().copied(), forwarded_for };
    Ok(Attributes {
        dialect: Dialect::EnvoyHttp,
        method: parts.method.as_str(),
        scheme,
        host,
        target,
        address,
        headers,
        certificate: StatedCertificate::default(),
        ignored_forwarding: ignored,
    })
}

/// The identity headers, and the names Envoy shall remove; `None` when that list cannot be written.
pub(super) fn allow(allow: &Allow) -> Option<HeaderMap> {
    let mut headers = answer::identity(allow);
    let names: Vec<&str> = allow.headers.remove().iter().map(HeaderName::as_str).collect();
    if !names.is_empty() {
        headers.insert(REMOVE, HeaderValue::try_from(names.join(", ")).ok()?);
    }
    Some(headers)
}

/// Bring a denial down to what Envoy relays whatever its failure mode.
pub(super) fn fold(mut answer: http::Response<Bytes>) -> http::Response<Bytes> {
    let status = answer.status();
    if status.is_server_error() {
        *answer.status_mut() = StatusCode::FORBIDDEN;
        answer.headers_mut().insert(nginx::STATUS, HeaderValue::from(status.as_u16()));
    }
    answer
}

const REMOVE: HeaderName = HeaderName::from_static("x-envoy-auth-headers-to-remove");
