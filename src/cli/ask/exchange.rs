//! One check over one connection.

use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;

use crate::cli::ask::answer::Answer;
use crate::cli::ask::wire;
use crate::cli::request::ClientRequest;
use crate::model::dialect::Dialect;
use crate::model::listen::ListenAddress;

/// How long the whole exchange may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Send one check and read the answer.
pub async fn ask(dialect: Dialect, address: &ListenAddress, client: &ClientRequest) -> anyhow::Result<Answer> {
    let nobody = || format!("nobody answers at {address} (is `postern serve` running?)");
    let exchange = async {
        match address {
            ListenAddress::Tcp(tcp) => {
                let stream = tokio::net::TcpStream::connect(tcp).await.with_context(nobody)?;
                exchange(dialect, stream, client).await
            }
            ListenAddress::Unix(socket) => {
                let stream = tokio::net::UnixStream::connect(&socket.path).await.with_context(nobody)?;
                exchange(dialect, stream, client).await
            }
        }
    };
    match tokio::time::timeout(PATIENCE, exchange).await {
        Ok(answer) => answer.with_context(|| format!("cannot ask in the words of {dialect}")),
        Err(_) => bail!("no answer from {address} within {} seconds", PATIENCE.as_secs()),
    }
}

async fn exchange(
    dialect: Dialect,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    client: &ClientRequest,
) -> anyhow::Result<Answer> {
    let check = wire::check(dialect, client);
    let mut request = http::Request::builder().method(check.method.as_str()).uri(match dialect {
        Dialect::ExtAuthz => format!("http://postern{}", check.target),
        _ => check.target.clone(),
    });
    for (name, value) in &check.headers {
        request = request.header(name, value);
    }
    if !check.headers.iter().any(|(name, _)| name == "host") && dialect != Dialect::ExtAuthz {
        request = request.header("host", "postern");
    }
    let request = request.body(Full::new(check.body)).context("this request cannot be written as HTTP")?;
    let stream = TokioIo::new(stream);
    let (head, body) = if dialect == Dialect::ExtAuthz {
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        let connection = tokio::spawn(connection);
        let answer = collect(sender.send_request(request).await?).await;
        connection.abort();
        answer?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        let connection = tokio::spawn(connection);
        let answer = collect(sender.send_request(request).await?).await;
        connection.abort();
        answer?
    };
    if dialect == Dialect::ExtAuthz { Answer::from_grpc(&body) } else { Ok(Answer::from_http(&head, &body)) }
}

async fn collect(response: http::Response<hyper::body::Incoming>) -> anyhow::Result<(http::response::Parts, Bytes)> {
    let (head, body) = response.into_parts();
    Ok((
        head,
        http_body_util::Limited::new(body, 1 << 20).collect().await.map_err(anyhow::Error::from_boxed)?.to_bytes(),
    ))
}
