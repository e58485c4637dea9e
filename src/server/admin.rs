//! The pages for operators and their machines. Those that tell something only read; `POST /reload` and `PUT /log-level`
//! take the unix socket or a token.

mod gate;
mod lever;
mod status;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

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
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::model::listen::Listen;
use crate::server::authorize::Authorize;
use crate::server::control::Control;
use crate::server::scrape::Scrape;
use crate::telemetry::Telemetry;
use crate::telemetry::clock;

pub(super) use crate::server::admin::gate::Via;

type Body = Full<Bytes>;

/// What the pages tell about.
pub(super) struct Admin<A> {
    pub(super) engine: Arc<A>,
    pub(super) telemetry: Arc<Telemetry>,
    pub(super) stopping: CancellationToken,
    pub(super) control: Control,
    pub(super) listen: Listen,
    /// The checks that wait on each thread.
    pub(super) under_way: Vec<Arc<AtomicUsize>>,
    /// Were we ready once?
    pub(super) started: AtomicBool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Page {
    Live,
    Ready,
    Started,
    Health,
    Status,
    Metrics,
    Keys,
    Reload,
    LogLevel,
}

impl Page {
    fn at(path: &str) -> Option<Page> {
        Some(match path {
            "/livez" => Page::Live,
            "/readyz" => Page::Ready,
            "/startupz" => Page::Started,
            "/health" => Page::Health,
            "/status" => Page::Status,
            "/metrics" => Page::Metrics,
            "/.well-known/jwks.json" => Page::Keys,
            "/reload" => Page::Reload,
            "/log-level" => Page::LogLevel,
            _ => return None,
        })
    }

    /// What may be asked of it, as `Allow` has it.
    fn methods(self) -> &'static str {
        match self {
            Page::Live | Page::Ready | Page::Started | Page::Health | Page::Status | Page::Metrics | Page::Keys => {
                "GET, HEAD"
            }
            Page::Reload => "POST",
            Page::LogLevel => "GET, HEAD, PUT",
        }
    }

    /// What it says is known to everybody.
    fn is_public(self) -> bool {
        matches!(self, Page::Live | Page::Keys)
    }
}

impl<A: Authorize> Admin<A> {
    /// Answer one request.
    pub(super) async fn answer<B>(&self, request: Request<B>, via: Via) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let Some(page) = Page::at(request.uri().path()) else { return text(StatusCode::NOT_FOUND, PAGES) };
        let rules = self.engine.admin_rules();
        if !page.is_public() && !gate::is_for_us(&request, via, &rules) {
            return text(StatusCode::MISDIRECTED_REQUEST, "this is not the name of this host; see `admin.hosts`\n");
        }
        if !page.methods().split(", ").any(|method| method == request.method().as_str()) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("{}\n", page.methods()));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(page.methods()));
            return response;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD)
            && let Err(refused) = gate::admit(&request, via, &rules)
        {
            self.telemetry.metrics().admin_refused();
            return *refused;
        }
        match page {
            Page::Live => text(StatusCode::OK, "ok\n"),
            Page::Ready => self.ready(request.uri().query()),
            Page::Started => self.started(),
            Page::Health => self.health(),
            Page::Status => json_page(StatusCode::OK, &self.status(clock::now())),
            Page::Metrics => self::page(StatusCode::OK, METRICS, self.metrics()),
            Page::Keys => self.keys(),
            Page::Reload => self.reload().await,
            Page::LogLevel if request.method() == Method::PUT => self.set_log_level(request.into_body()).await,
            Page::LogLevel => self.log_level(),
        }
    }

    /// Public, and the same for a while: a verifier may keep them for as long as an assertion lives at most.
    fn keys(&self) -> Response<Body> {
        let Some(keys) = self.engine.assertion_keys() else {
            return text(StatusCode::NOT_FOUND, "this policy has no `defaults.assertion`\n");
        };
        let mut response = page(StatusCode::OK, JSON, keys);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
        response
    }

    fn metrics(&self) -> String {
        Scrape::new(Arc::clone(&self.engine), Arc::clone(&self.telemetry)).text()
    }

    /// What keeps us from being ready.
    fn obstacles(&self) -> Vec<String> {
        let mut reasons = self.engine.obstacles();
        if self.stopping.is_cancelled() {
            reasons.push("shutting down".to_owned());
        }
        reasons
    }

    /// One word for how we are.
    fn state(&self, obstacles: &[String]) -> &'static str {
        match obstacles {
            [] => "ready",
            [..] if self.stopping.is_cancelled() => "stopping",
            [..] => "not ready",
        }
    }

    /// As JSON, and `?verbose` as lines for people.
    fn ready(&self, query: Option<&str>) -> Response<Body> {
        let reasons = self.obstacles();
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        if query.is_some_and(|query| query.split('&').any(|word| word == "verbose")) {
            let mut lines: String = reasons.iter().map(|reason| format!("[-] {reason}\n")).collect();
            for keys in self.engine.key_statuses().iter().filter(|keys| keys.keys > 0) {
                lines.push_str(&format!(
                    "[+] identity source `{}` has {} keys of {}\n",
                    keys.source, keys.keys, keys.issuer
                ));
            }
            lines.push_str(self.state(&reasons));
            lines.push('\n');
            return text(status, lines);
        }
        json_page(status, &Readiness { ready: reasons.is_empty(), reasons })
    }

    /// Ready once is started for good.
    fn started(&self) -> Response<Body> {
        let obstacles = self.engine.obstacles();
        if obstacles.is_empty() {
            self.started.store(true, Ordering::Relaxed);
        }
        match self.started.load(Ordering::Relaxed) {
            true => text(StatusCode::OK, "ok\n"),
            false => text(StatusCode::SERVICE_UNAVAILABLE, obstacles.join("\n") + "\n"),
        }
    }

    fn health(&self) -> Response<Body> {
        let reasons = self.obstacles();
        let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        let health = json!({
            "status": self.state(&reasons),
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.uptime(clock::now()),
            "active_requests": self.active_requests(),
        });
        json_page(status, &health)
    }
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    reasons: Vec<String>,
}

const PAGES: &str = "the pages are /livez, /readyz, /startupz, /health, /status, /metrics, /log-level and \
                     /.well-known/jwks.json; POST /reload reads the policy again\n";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

fn text(status: StatusCode, words: impl Into<Bytes>) -> Response<Body> {
    page(status, TEXT, words)
}

fn json_page(status: StatusCode, content: &impl Serialize) -> Response<Body> {
    page(status, JSON, serde_json::to_string(content).unwrap_or_default() + "\n")
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
