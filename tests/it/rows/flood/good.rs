//! Who asks as usual: over gRPC and HTTP, on lasting connections and on new ones.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use postern::dialect::ext_authz::CheckRequest;
use postern::dialect::ext_authz::CheckResponse;
use postern::dialect::ext_authz::proto::envoy::config::core::v3 as core;
use postern::dialect::ext_authz::proto::envoy::service::auth::v3::AttributeContext;
use postern::dialect::ext_authz::proto::envoy::service::auth::v3::attribute_context;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;

use crate::server::harness::call;
use crate::server::harness::framed;
use crate::server::harness::read_answer;

/// Longer than a check may ever take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between one check and the next.
const PAUSE: Duration = Duration::from_millis(1);

/// A client at work.
pub(super) struct Good {
    done: Arc<Mutex<Done>>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What it has seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    pub(super) times: Vec<Duration>,
    pub(super) faults: Vec<String>,
}

impl Done {
    /// The time within which this share of the answers came.
    pub(super) fn quantile(&self, share: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        times.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }
}

impl Good {
    /// Ask until stopped, on a thread of its own.
    pub(super) fn start([grpc, http, _]: [u16; 3]) -> Good {
        let (done, stop) = (Arc::<Mutex<Done>>::default(), Arc::<AtomicBool>::default());
        let (seen, stopped) = (Arc::clone(&done), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(work(grpc, http, &seen, &stopped));
        });
        Good { done, stop, thread }
    }

    pub(super) fn answers(&self) -> usize {
        self.done.lock().expect("the client").times.len()
    }

    /// Forget what came so far, but no fault.
    pub(super) fn forget(&self) {
        self.done.lock().expect("the client").times.clear();
    }

    pub(super) fn stop(self) -> Done {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the client");
        let done = self.done.lock().expect("the client");
        done.clone()
    }
}

async fn work(grpc: u16, http: u16, done: &Mutex<Done>, stop: &AtomicBool) {
    let (mut lasting_grpc, mut lasting_http) = (over_grpc(grpc).await, connect(http).await);
    let mut round = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        round += 1;
        let (path, want) = if round.is_multiple_of(2) { ("/open/x", true) } else { ("/closed/x", false) };
        let way = round / 2 % 4;
        #[expect(clippy::disallowed_methods, reason = "the time it takes is what is asked for")]
        let begun = Instant::now();
        let asked = async {
            match way {
                0 => Ok(ask_grpc(lasting_grpc.as_mut().map_err(|why| why.clone())?, path).await?),
                1 => ask_http(lasting_http.as_mut().map_err(|why| why.clone())?, path).await,
                2 => ask_grpc(&mut over_grpc(grpc).await?, path).await,
                _ => ask_http(&mut connect(http).await?, path).await,
            }
        };
        let answer: Result<bool, String> =
            tokio::time::timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        note(done, want, answer, begun.elapsed(), &format!("round {round}, way {way}: {path}"));
        tokio::time::sleep(PAUSE).await;
    }
}

fn note(done: &Mutex<Done>, want: bool, answer: Result<bool, String>, time: Duration, what: &str) {
    let mut done = done.lock().expect("the client");
    match answer {
        Ok(allowed) if allowed == want => done.times.push(time),
        // A slow machine under a flood is behind, and says so: to who waited for a quarter of a second, and nobody else.
        Err(denied) if time >= Duration::from_millis(250) && denied.contains("overloaded") => done.times.push(time),
        other => done.faults.push(format!("{what}: {other:?}")),
    }
}

/// From an address that nobody else asks from.
async fn connect(port: u16) -> Result<TcpStream, String> {
    let connected = async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 77], 0).into())?;
        socket.connect(([127, 0, 0, 1], port).into()).await
    };
    let stream = connected.await.map_err(|error| format!("connect: {error}"))?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    Ok(stream)
}

async fn over_grpc(port: u16) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = connect(port).await?;
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await.map_err(|error| format!("handshake: {error}"))?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn ask_http(stream: &mut TcpStream, path: &str) -> Result<bool, String> {
    let head = format!(
        "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: app.test\r\n\
         X-Forwarded-Uri: {path}\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.map_err(|error| format!("write: {error}"))?;
    let answer = read_answer(stream).await;
    match answer.get(..13) {
        Some("HTTP/1.1 200 ") => Ok(true),
        Some("HTTP/1.1 403 ") => Ok(false),
        _ => Err(answer),
    }
}

async fn ask_grpc(sender: &mut SendRequest<Full<Bytes>>, path: &str) -> Result<bool, String> {
    let response = sender.send_request(call(check(path))).await.map_err(|error| format!("{error:?}"))?;
    let body = response.into_body().collect().await.map_err(|error| format!("{error:?}"))?.to_bytes();
    let message = body.get(5..).unwrap_or_default();
    let answer = CheckResponse::decode(message).map_err(|error| error.to_string())?;
    match answer.status.as_ref().map(|status| status.code) {
        Some(0) => Ok(true),
        Some(7) => Ok(false),
        _ => Err(format!("{answer:?}")),
    }
}

fn check(path: &str) -> Vec<u8> {
    let http = attribute_context::HttpRequest {
        method: "GET".to_owned(),
        host: "app.test".to_owned(),
        path: path.to_owned(),
        scheme: "https".to_owned(),
        ..Default::default()
    };
    let socket = core::SocketAddress { address: "192.0.2.1".to_owned(), ..Default::default() };
    let address = core::Address { address: Some(core::address::Address::SocketAddress(socket)) };
    let attributes = AttributeContext {
        source: Some(attribute_context::Peer { address: Some(address), ..Default::default() }),
        request: Some(attribute_context::Request { http: Some(http) }),
        ..AttributeContext::default()
    };
    framed(&CheckRequest { attributes: Some(attributes) }.encode_to_vec())
}
