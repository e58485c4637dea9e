//! A collector that takes OTLP over gRPC and HTTP on one port, remembers every octet, and behaves as it is told.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http_body::Frame;
use http_body_util::BodyExt;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(20);

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Takes,
    /// Never answers.
    Hangs,
    /// Says that it has understood, and will not.
    Refuses,
}

/// One call, without the framing of gRPC.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) message: Bytes,
}

/// A running collector; it ends with its guard.
pub(super) struct Collector {
    pub(super) port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Collector {
    /// On this port.
    pub(super) fn start(port: u16, mood: Mood) -> Collector {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("a free port");
        listener.set_nonblocking(true).expect("a socket");
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let (stop, stopped) = oneshot::channel();
        let remembered = Arc::clone(&heard);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    () = serve(listener, remembered, mood) => {}
                    _ = stopped => {}
                }
            });
        };
        Collector { port, heard, stop: Some(stop), thread: Some(thread::spawn(run)) }
    }

    /// Everything so far.
    pub(super) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("heard").clone()
    }

    /// All spans so far, each with who told of it.
    pub(super) fn resource_spans(&self) -> Vec<ResourceSpans> {
        let calls = self.heard().into_iter().filter(|heard| heard.path.contains("race"));
        calls
            .flat_map(|heard| ExportTraceServiceRequest::decode(heard.message).expect("spans").resource_spans)
            .collect()
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.resource_spans().into_iter().flat_map(|spans| spans.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// All log records so far.
    pub(super) fn records(&self) -> Vec<LogRecord> {
        let calls = self.heard().into_iter().filter(|heard| heard.path.contains("ogs"));
        let all = calls.flat_map(|heard| ExportLogsServiceRequest::decode(heard.message).expect("logs").resource_logs);
        all.flat_map(|logs| logs.scope_logs).flat_map(|scope| scope.log_records).collect()
    }

    /// The metrics of the last call that held any.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        let last = self.heard().into_iter().rfind(|heard| heard.path.contains("etrics"));
        let all =
            last.map(|heard| ExportMetricsServiceRequest::decode(heard.message).expect("metrics").resource_metrics);
        let scopes = all.unwrap_or_default().into_iter().flat_map(|metrics| metrics.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }

    /// Wait until so much was heard.
    pub(super) fn until(&self, what: &str, there: impl Fn(&Collector) -> bool) {
        wait_until(what, || there(self));
    }
}

/// Wait for something outside to happen.
pub(super) fn wait_until(what: &str, there: impl Fn() -> bool) {
    let started = Instant::now();
    while !there() {
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

async fn serve(listener: tokio::net::TcpListener, heard: Arc<Mutex<Vec<Heard>>>, mood: Mood) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let heard = Arc::clone(&heard);
        let service = service_fn(move |request| answer(request, Arc::clone(&heard), mood));
        connections.spawn(async move {
            let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = server.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

type Frames = StreamBody<tonic::codegen::tokio_stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, Infallible>>>>;

async fn answer(
    request: Request<Incoming>,
    heard: Arc<Mutex<Vec<Heard>>>,
    mood: Mood,
) -> Result<Response<Frames>, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.expect("a body").to_bytes();
    let is_grpc = parts.headers["content-type"] == "application/grpc";
    let message = if is_grpc {
        assert_eq!(body[..5], [&[0][..], &u32::try_from(body.len() - 5).expect("short").to_be_bytes()].concat());
        body.slice(5..)
    } else {
        assert_eq!(parts.headers["content-type"], "application/x-protobuf");
        body
    };
    heard.lock().expect("heard").push(Heard { path: parts.uri.path().to_owned(), headers: parts.headers, message });
    if mood == Mood::Hangs {
        std::future::pending::<()>().await;
    }
    let refuses = mood == Mood::Refuses;
    let mut frames = Vec::new();
    if is_grpc {
        frames.push(Ok(Frame::data(Bytes::from_static(&[0; 5]))));
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(if refuses { "3" } else { "0" }));
        frames.push(Ok(Frame::trailers(trailers)));
    }
    let mut response = Response::new(StreamBody::new(tonic::codegen::tokio_stream::iter(frames)));
    if is_grpc {
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    } else if refuses {
        *response.status_mut() = http::StatusCode::BAD_REQUEST;
    }
    Ok(response)
}
