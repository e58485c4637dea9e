//! A server on ports the system chooses, and clients simple enough to send what no library would.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use postern::dialect::ext_authz::CheckResponse;
use postern::dialect::ext_authz::proto::envoy::service::auth::v3::check_response::HttpResponse;
use postern::engine::Checked;
use postern::model::caller::Callers;
use postern::model::decision::DecisionId;
use postern::model::introspection_status::IntrospectionStatus;
use postern::model::key_status::KeyStatus;
use postern::model::listen::Listen;
use postern::model::listen::ListenAddress;
use postern::model::network::NetworkSet;
use postern::model::network::parse_network;
use postern::model::reason::Reason;
use postern::model::request::Attributes;
use postern::model::request::Refusal;
use postern::model::response::Allow;
use postern::model::response::AllowHeaders;
use postern::model::response::Denial;
use postern::model::response::Response;
use postern::model::response::Verdict;
use postern::server::Server;
use postern::server::Settings;
use postern::server::authorize::Authorize;
use postern::server::bind::Sharing;
use postern::server::control::Control;
use postern::server::inherited::Inherited;
use postern::server::limits::Limits;
use postern::snapshot::tls::Tls;
use postern::telemetry::Telemetry;
use prost::Message;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::sync::watch;
use tokio::task::JoinHandle;

pub(crate) const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";
/// Longer than anything here takes, short enough not to stall the run.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// What the engine does with a check that could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Allows,
    Denies,
    Panics,
    /// Panics, and panics again when asked to refuse.
    PanicsAlways,
    NeverAnswers,
    /// Waits for the system, which never answers, as a look-up of a name may.
    WaitsForTheSystem,
    /// Allows, and keeps its thread so long with each.
    Takes(Duration),
}

/// An engine that does as it is told and remembers what it refused.
pub(crate) struct Scripted {
    engine: Engine,
    callers: Arc<Callers>,
    obstacles: Mutex<Vec<String>>,
    refused: Mutex<Vec<Reason>>,
    tls: Mutex<Tls>,
    asked: watch::Sender<usize>,
}

impl Scripted {
    /// From now on connections are encrypted so.
    pub(crate) fn set_tls(&self, tls: Tls) {
        *self.tls.lock().expect("tls") = tls;
    }

    pub(crate) fn refused(&self) -> Vec<Reason> {
        self.refused.lock().expect("refused").clone()
    }

    /// Wait until this many checks have reached the engine.
    pub(crate) async fn asked(&self, times: usize) {
        let mut asked = self.asked.subscribe();
        let reached = asked.wait_for(|asked| *asked >= times);
        tokio::time::timeout(PATIENCE, reached).await.expect("in time").expect("the engine is there");
    }

    pub(crate) fn set_obstacles(&self, obstacles: &[&str]) {
        *self.obstacles.lock().expect("obstacles") = obstacles.iter().map(|&text| text.to_owned()).collect();
    }
}

impl Authorize for Scripted {
    fn check<'w>(
        &self,
        attributes: Result<Attributes<'w>, Refusal>,
        _: Option<Duration>,
    ) -> Checked<impl Future<Output = Response> + Send> {
        self.asked.send_modify(|asked| *asked += 1);
        Checked::Answered(match (self.engine, attributes) {
            (Engine::Panics | Engine::PanicsAlways, _) => panic!("a bug"),
            (Engine::NeverAnswers, _) => return Checked::Waits(never(false)),
            (Engine::WaitsForTheSystem, _) => return Checked::Waits(never(true)),
            (Engine::Allows | Engine::Denies | Engine::Takes(_), Err(refusal)) => self.refuse(&refusal),
            (Engine::Takes(long), Ok(_)) => {
                std::thread::sleep(long);
                allow()
            }
            (Engine::Allows, Ok(_)) => allow(),
            (Engine::Denies, Ok(_)) => deny(Reason::RequirementFailed),
        })
    }

    fn refuse(&self, refusal: &Refusal) -> Response {
        assert_ne!(self.engine, Engine::PanicsAlways, "a bug");
        self.refused.lock().expect("refused").push(refusal.reason);
        deny(refusal.reason)
    }

    fn callers(&self) -> Arc<Callers> {
        Arc::clone(&self.callers)
    }

    fn tls(&self) -> Tls {
        self.tls.lock().expect("tls").clone()
    }

    fn obstacles(&self) -> Vec<String> {
        self.obstacles.lock().expect("obstacles").clone()
    }

    fn assertion_keys(&self) -> Option<String> {
        None
    }

    fn introspection_statuses(&self) -> Vec<IntrospectionStatus> {
        Vec::new()
    }

    fn key_statuses(&self) -> Vec<KeyStatus> {
        vec![KeyStatus {
            source: "people".into(),
            issuer: "https://sso.test".into(),
            keys: 2,
            failures: 1,
            ..KeyStatus::default()
        }]
    }
}

async fn never(blocks: bool) -> Response {
    if blocks {
        tokio::task::spawn_blocking(|| {
            loop {
                std::thread::park();
            }
        });
    }
    std::future::pending().await
}

fn allow() -> Response {
    let verdict = Verdict::Allow(Allow {
        reason: Reason::Permitted,
        headers: Arc::new(AllowHeaders::new(vec![], vec![])),
        told: vec![],
    });
    Response { decision_id: DecisionId(1), verdict }
}

fn deny(reason: Reason) -> Response {
    let denial = Denial { reason, status: reason.status(), headers: Vec::new(), content_type: "", body: String::new() };
    Response { decision_id: DecisionId(1), verdict: Verdict::Deny(denial) }
}

/// How to start a server.
pub(crate) struct Start {
    pub(crate) engine: Engine,
    pub(crate) limits: Limits,
    pub(crate) callers: Callers,
    pub(crate) listen: Listen,
    pub(crate) control: Control,
}

impl Start {
    pub(crate) fn with(engine: Engine) -> Start {
        let any = || Some("127.0.0.1:0".parse().expect("address"));
        Start {
            engine,
            limits: Limits { drain: Duration::from_secs(1), ..Limits::default() },
            callers: Callers::default(),
            listen: Listen { grpc: any(), http: any(), admin: any() },
            control: Control::default(),
        }
    }

    pub(crate) fn callers(mut self, networks: &[&str], unix: bool) -> Start {
        let networks = networks.iter().map(|text| parse_network(text).expect("network"));
        self.callers = Callers { networks: NetworkSet::new(networks), unix };
        self
    }

    pub(crate) fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Start {
        change(&mut self.limits);
        self
    }

    pub(crate) fn run(self) -> Running {
        let engine = Arc::new(Scripted {
            engine: self.engine,
            callers: Arc::new(self.callers),
            obstacles: Mutex::default(),
            refused: Mutex::default(),
            tls: Mutex::default(),
            asked: watch::Sender::default(),
        });
        let telemetry = Arc::new(Telemetry::new().expect("telemetry"));
        let server = Server::bind(&self.listen, Sharing::Alone, Inherited::default()).expect("bind");
        let listen = server.listen();
        let threads = NonZeroUsize::new(2).expect("two");
        let settings = Settings { threads, limits: self.limits, control: self.control };
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        let task = tokio::spawn(server.run(settings, Arc::clone(&engine), Arc::clone(&telemetry), shutdown));
        Running { listen, engine, telemetry, stop, task }
    }
}

/// A running server; it ends with the test.
pub(crate) struct Running {
    listen: Listen,
    pub(crate) engine: Arc<Scripted>,
    pub(crate) telemetry: Arc<Telemetry>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Running {
    pub(crate) fn grpc(&self) -> SocketAddr {
        tcp(self.listen.grpc.as_ref())
    }

    pub(crate) fn http(&self) -> SocketAddr {
        tcp(self.listen.http.as_ref())
    }

    pub(crate) fn admin(&self) -> SocketAddr {
        tcp(self.listen.admin.as_ref())
    }

    /// Tell it to stop; the handle is done when it has.
    pub(crate) fn stop(self) -> JoinHandle<std::io::Result<()>> {
        let _ = self.stop.send(());
        self.task
    }

    /// Wait until the metrics hold this line.
    pub(crate) async fn metric(&self, line: &str) {
        for _ in 0..500 {
            if self.telemetry.gather(&[]).lines().any(|other| other == line) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no `{line}` in\n{}", self.telemetry.gather(&[]));
    }
}

fn tcp(address: Option<&ListenAddress>) -> SocketAddr {
    match address {
        Some(ListenAddress::Tcp(address)) => *address,
        other => panic!("{other:?} is no TCP listener"),
    }
}

/// A message with its prefix.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut octets = vec![0];
    octets.extend(u32::try_from(message.len()).expect("length").to_be_bytes());
    octets.extend(message);
    octets
}

/// What came back from a call, unpacked only if it is a gRPC answer with status OK and one message.
pub(crate) struct Called(pub(crate) CheckResponse);

impl Called {
    /// The HTTP status of a denial, which must be written so that Envoy denies.
    pub(crate) fn denied(&self) -> i32 {
        assert_ne!(self.0.status.as_ref().expect("a status").code, 0, "status 0 is an allow: {:?}", self.0);
        match &self.0.http_response {
            Some(HttpResponse::DeniedResponse(denied)) => {
                let status = denied.headers.iter().filter_map(|option| option.header.as_ref());
                assert!(status.clone().any(|header| header.key == "grpc-status"), "{denied:?}");
                denied.status.as_ref().expect("an HTTP status").code
            }
            other => panic!("{other:?} is no denied_response"),
        }
    }

    pub(crate) fn allowed(&self) -> bool {
        self.0.status.as_ref().is_some_and(|status| status.code == 0)
            && matches!(self.0.http_response, Some(HttpResponse::OkResponse(_)))
    }
}

/// A request for a check as Envoy sends it.
pub(crate) fn call(body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::post(format!("http://postern{CHECK}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from(body)))
        .expect("request")
}

/// A check that every decoder takes.
pub(crate) fn good_check() -> Vec<u8> {
    use postern::dialect::ext_authz::CheckRequest;
    use postern::dialect::ext_authz::proto::envoy::service::auth::v3::AttributeContext;
    use postern::dialect::ext_authz::proto::envoy::service::auth::v3::attribute_context;
    let http = attribute_context::HttpRequest {
        method: "GET".to_owned(),
        host: "wiki.example.test".to_owned(),
        path: "/".to_owned(),
        scheme: "https".to_owned(),
        ..Default::default()
    };
    let request = attribute_context::Request { http: Some(http) };
    let attributes = AttributeContext { request: Some(request), ..AttributeContext::default() };
    framed(&CheckRequest { attributes: Some(attributes) }.encode_to_vec())
}

/// An HTTP/2 connection to the gRPC listener.
pub(crate) async fn connect(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    connect_over(TcpStream::connect(address).await.expect("connect")).await
}

/// The same over a stream that is there.
pub(crate) async fn connect_over<S>(stream: S) -> hyper::client::conn::http2::SendRequest<Full<Bytes>>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("handshake");
    tokio::spawn(connection);
    sender
}

/// Send one call on a connection of its own and take the answer apart.
pub(crate) async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Called {
    let mut sender = connect(address).await;
    let response =
        tokio::time::timeout(PATIENCE, sender.send_request(request)).await.expect("in time").expect("a response");
    answer(response).await
}

/// Take an answer apart.
pub(crate) async fn answer(response: http::Response<hyper::body::Incoming>) -> Called {
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert!(!response.headers().contains_key("grpc-status"), "{:?}", response.headers());
    let body = response.into_body().collect().await.expect("a body");
    assert_eq!(body.trailers().expect("trailers")["grpc-status"], "0");
    let octets = body.to_bytes();
    let (prefix, message) = octets.split_at(5);
    assert_eq!(prefix, [&[0][..], &u32::try_from(message.len()).expect("length").to_be_bytes()].concat());
    Called(CheckResponse::decode(message).expect("a CheckResponse"))
}

/// Send octets and read until the answer's head and announced body are there, or the connection ends.
pub(crate) async fn exchange(address: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.write_all(octets).await.expect("write");
    read_answer(&mut stream).await
}

pub(crate) async fn read_answer(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let complete = async {
        loop {
            let mut buffer = [0; 4096];
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => text.extend_from_slice(&buffer[..count]),
            }
            if is_complete(&text) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, complete).await.expect("an answer in time");
    String::from_utf8(text).expect("text")
}

fn is_complete(octets: &[u8]) -> bool {
    let text = String::from_utf8_lossy(octets);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    length.is_none_or(|length| body.len() >= length.parse::<usize>().expect("a number"))
}
