//! Forward-auth over HTTP. Decides on the head alone: a body is never read, let alone waited for.
//!
//! Nothing but an allow is answered with 2xx, and nothing at all with 404.

use std::convert::Infallible;
use std::pin::Pin;
use std::pin::pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::Version;
use http::header::CACHE_CONTROL;
use http::header::CONNECTION;
use http::header::CONTENT_TYPE;
use http::header::TRANSFER_ENCODING;
use http::request::Parts;
use http_body::Body;
use http_body::Frame;
use http_body::SizeHint;
use http_body_util::Full;
use hyper::body::Incoming;
use tracing::debug;

use crate::dialect::forward_auth;
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::Refusal;
use crate::server::authorize::Authorize;
use crate::server::guard::Outcome;
use crate::server::guard::caught;
use crate::server::guard::guard;
use crate::server::lane::Lane;
use crate::server::lane::Underway;
use crate::telemetry::log::Plain;
use crate::telemetry::metrics::RequestTime;

/// Answer any request to the HTTP listener.
///
/// It `arrived` then, and has waited for its turn since.
pub(super) async fn answer<A: Authorize>(
    lane: &Lane<A>,
    request: Request<Incoming>,
    arrived: Instant,
) -> Response<Answer> {
    // Dropping the body closes an HTTP/1 connection on which more of it was announced.
    let (parts, _) = request.into_parts();
    let dialect = forward_auth::of_path(parts.uri.path());
    let time = dialect.map(|dialect| lane.times.since(arrived, dialect));
    let (mut response, underway) = match dialect {
        None => (unknown_path(lane, &parts), None),
        Some(dialect) => match lane.turn(arrived, patience(dialect, &parts)).and_then(|()| lane.enter()) {
            Ok(underway) => (check(lane, dialect, &parts).await, Some(underway)),
            Err(cause) => (refuse(lane, dialect, &parts.method, Reason::Overloaded, cause.to_owned()), None),
        },
    };
    // A proxy and we may not agree where such a request ends, so it is the last one on its connection. And who is told so
    // with an answer sends nothing into a connection that we close a little later.
    if parts.version < Version::HTTP_2 && (parts.headers.contains_key(TRANSFER_ENCODING) || lane.is_leaving()) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| Answer { body: Full::new(body), _underway: underway, _time: time })
}

async fn check<A: Authorize>(lane: &Lane<A>, dialect: Dialect, parts: &Parts) -> Response<Bytes> {
    let method = &parts.method;
    let limit = lane.limits.longest;
    let judge = async {
        let response = lane.engine.check(forward_auth::decode(dialect, parts), None).boxed().answer().await;
        forward_auth::encode(dialect, method, &response)
    };
    match guard(limit, pin!(Some(judge))).await {
        Outcome::Done(response) => response,
        Outcome::Panicked => refuse(lane, dialect, method, Reason::Internal, "the check panicked".to_owned()),
        Outcome::Late => {
            refuse(lane, dialect, method, Reason::DeadlineExceeded, format!("no decision within {limit:?}"))
        }
    }
}

fn refuse<A: Authorize>(
    lane: &Lane<A>,
    dialect: Dialect,
    method: &Method,
    reason: Reason,
    detail: String,
) -> Response<Bytes> {
    let refusal = Refusal { dialect, reason, detail };
    caught(|| forward_auth::encode(dialect, method, &lane.engine.refuse(&refusal)))
        .unwrap_or_else(|| forward_auth::failure(dialect, method, reason))
}

/// How long its proxy waits for the answer, where the proxy says so: Envoy does, in milliseconds.
fn patience(dialect: Dialect, parts: &Parts) -> Option<Duration> {
    const TIMEOUT: HeaderName = HeaderName::from_static("x-envoy-expected-rq-timeout-ms");
    let stated = (dialect == Dialect::EnvoyHttp).then(|| parts.headers.get(TIMEOUT)).flatten()?;
    let stated = stated.to_str().ok()?.parse().ok()?;
    // Nought would be one that waits for ever.
    (stated > 0).then(|| Duration::from_millis(stated))
}

/// The body of an answer. Until it is sent, the check is under way.
pub(super) struct Answer {
    body: Full<Bytes>,
    _underway: Option<Underway>,
    _time: Option<RequestTime>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.get_mut().body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A path of no dialect is a mistake in the proxy's configuration. 404 would be an allow to some of them.
fn unknown_path<A: Authorize>(lane: &Lane<A>, parts: &Parts) -> Response<Bytes> {
    const PROBLEM: &str = concat!(
        r#"{"type":"about:blank","title":"Forbidden","status":403,"reason":"unknown_path","#,
        r#""detail":"ask at /auth/caddy, /auth/traefik, /auth/nginx, /auth/ingress-nginx, /auth/haproxy or /auth/envoy/"}"#,
        "\n"
    );
    lane.telemetry.metrics().unknown_path();
    debug!(request.path = %Plain(parts.uri.path()), "request to a path of no dialect refused");
    let mut response = Response::new(Bytes::from_static(PROBLEM.as_bytes()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
