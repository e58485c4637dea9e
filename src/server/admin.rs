//! The pages for operators and their machines: `/livez`, `/readyz`, `/metrics`, and the public keys of signed assertions.
//! They only read.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header::ALLOW;
use http::header::CACHE_CONTROL;
use http::header::CONTENT_TYPE;
use http_body_util::Full;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::server::authorize::Authorize;
use crate::telemetry::Telemetry;

/// What the pages tell about.
pub(super) struct Admin<A> {
    pub(super) engine: Arc<A>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) stopping: CancellationToken,
}

enum Page {
    Live,
    Ready,
    Metrics,
    Keys,
}

impl<A: Authorize> Admin<A> {
    /// Answer one request; its body, if any, is ignored.
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let page = match request.uri().path() {
            "/livez" => Page::Live,
            "/readyz" => Page::Ready,
            "/metrics" => Page::Metrics,
            "/.well-known/jwks.json" => Page::Keys,
            _ => return page(StatusCode::NOT_FOUND, TEXT, PAGES),
        };
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = self::page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match page {
            Page::Live => self::page(StatusCode::OK, TEXT, "ok\n"),
            Page::Ready => self.ready(),
            Page::Keys => self.keys(),
            Page::Metrics => self::page(StatusCode::OK, METRICS, self.metrics()),
        }
    }

    /// Public, and the same for a while: a verifier may keep them for as long as an assertion lives at most.
    fn keys(&self) -> Response<Full<Bytes>> {
        let Some(keys) = self.engine.assertion_keys() else {
            return page(StatusCode::NOT_FOUND, TEXT, "this policy has no `defaults.assertion`\n");
        };
        let mut response = page(StatusCode::OK, JSON, keys);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
        response
    }

    fn metrics(&self) -> String {
        self.telemetry.metrics().show_key_uses(&self.engine.key_uses());
        let mut text = self.telemetry.gather(&self.engine.key_statuses());
        text.push_str(&self.telemetry.gather_introspection(&self.engine.introspection_statuses()));
        text
    }

    fn ready(&self) -> Response<Full<Bytes>> {
        let mut reasons = self.engine.obstacles();
        if self.stopping.is_cancelled() {
            reasons.push("shutting down".to_owned());
        }
        let readiness = Readiness { ready: reasons.is_empty(), reasons };
        let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let mut json = serde_json::to_string(&readiness).unwrap_or_default();
        json.push('\n');
        page(status, JSON, json)
    }
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
}

const PAGES: &str = "the pages are /livez, /readyz, /metrics and /.well-known/jwks.json\n";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
