//! The floor: servers that decode everything, decide nothing and allow everybody, with three identity headers. What they
//! cost is the cost of the stack; what a policy server costs above it, it spends on deciding.
//!
//! They run as the policy server does on one processor: one current-thread runtime, the same allocator, the same profile.

use std::convert::Infallible;
use std::future::Ready;
use std::future::ready;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use bytes::Bytes;
use clap::ValueEnum;
use http::HeaderValue;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tonic::body::Body;
use tower::Service;

use crate::message::Allowed;
use crate::message::CheckRequest;
use crate::message::CheckResponse;
use crate::message::Code;
use crate::message::Header;
use crate::message::HeaderOption;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Floor {
    /// tonic and prost.
    Grpc,
    /// hyper, HTTP/1.1.
    Http,
}

/// Whom the floor takes everybody for.
pub(crate) const NOBODY: &str = "floor";
const IDENTITY: [(&str, &str); 3] =
    [("remote-user", NOBODY), ("remote-groups", "everyone,staff,vpn-users"), ("remote-email", "floor@bench.test")];

/// Serve until killed.
pub(crate) fn run(floor: Floor, listen: SocketAddr) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match floor {
            Floor::Grpc => Ok(tonic::transport::Server::builder().serve(listen, Authorization).await?),
            Floor::Http => http(listen).await,
        }
    })
}

/// What the generator of tonic would write.
#[derive(Clone)]
struct Authorization;

impl Service<http::Request<Body>> for Authorization {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(tonic_prost::ProstCodec::default());
            Ok(grpc.unary(Check, request).await)
        })
    }
}

struct Check;

impl tonic::server::UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = Ready<Result<tonic::Response<CheckResponse>, tonic::Status>>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        // Decoded, and looked at so that nobody can leave it out.
        std::hint::black_box(request.get_ref());
        let header = |(key, value): (&str, &str)| HeaderOption {
            header: Some(Header { key: key.to_owned(), value: value.to_owned() }),
        };
        ready(Ok(tonic::Response::new(CheckResponse {
            status: Some(Code { code: 0 }),
            denied: None,
            ok: Some(Allowed { headers: IDENTITY.into_iter().map(header).collect() }),
        })))
    }
}

async fn http(listen: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = hyper::service::service_fn(|request: http::Request<Incoming>| async move {
            std::hint::black_box(request.headers());
            let mut response = http::Response::new(Full::new(Bytes::new()));
            for (name, value) in IDENTITY {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            Ok::<_, Infallible>(response)
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        // A caller that goes away is no concern of anybody.
        tokio::spawn(async move { connection.await.ok() });
    }
}
