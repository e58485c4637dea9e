//! The handshake with a proxy, before anything is served.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Agree on keys with a peer that has begun to speak, in this time.
pub(super) async fn shake_hands<S>(settings: Arc<ServerConfig>, stream: S, within: Duration) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(within, TlsAcceptor::from(settings).accept(stream)).await {
        Ok(shaken) => shaken,
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}
