//! Asking the admin listener of a running instance, for `status` and `health`.

use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use bytes::Bytes;
use clap::Args;
use http::Request;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use crate::model::listen::ListenAddress;

/// How long the whole exchange may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The longest answer, in octets.
const LONGEST: usize = 4 * 1024 * 1024;

/// Which instance.
#[derive(Args, Debug)]
pub(super) struct Instance {
    /// Its admin listener: host:port or unix:/path
    #[arg(
        long,
        env = "POSTERN_ADMIN",
        hide_env_values = true,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:9193"
    )]
    admin: ListenAddress,
}

impl Instance {
    /// Get a page.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let nobody = || format!("nobody answers at {} (is `postern serve` running?)", self.admin);
        let exchange = async {
            match &self.admin {
                ListenAddress::Tcp(address) => get(TcpStream::connect(address).await.with_context(nobody)?, path).await,
                ListenAddress::Unix(socket) => {
                    get(UnixStream::connect(&socket.path).await.with_context(nobody)?, path).await
                }
            }
        };
        let timed = runtime.block_on(async { tokio::time::timeout(PATIENCE, exchange).await });
        match timed {
            Ok(answer) => answer.with_context(|| format!("no page {path}")),
            Err(_) => bail!("no answer from {} within {} seconds", self.admin, PATIENCE.as_secs()),
        }
    }
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
) -> anyhow::Result<(StatusCode, Bytes)> {
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let _connection = tokio_util::task::AbortOnDropHandle::new(tokio::spawn(connection));
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((head.status, body.to_bytes()))
}
