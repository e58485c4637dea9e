//! The handshake with a proxy, before anything is served, and what it may take up.
//!
//! rustls keeps what it cannot read yet: 64 KiB of a handshake, 16 KiB of a record. Thousands of peers may begin one and
//! not go on, so that this has its place in the store of what is not whole, like heads and messages.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::AsyncBufReadExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::server::store::Held;

/// What costs nobody a place in the store, in octets: more than nearly every handshake has.
const FREE: usize = 8 * 1024;

/// Agree on keys with a peer that has begun to speak, in this time.
pub(super) async fn shake_hands<S>(
    settings: Arc<ServerConfig>,
    stream: S,
    held: Held,
    within: Duration,
) -> io::Result<Encrypted<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let counted = Counted { stream, read: 0, held };
    match tokio::time::timeout(within, TlsAcceptor::from(settings).accept(counted)).await {
        Ok(shaken) => shaken.map(Encrypted),
        Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
    }
}

/// An encrypted stream.
pub(super) struct Encrypted<S>(TlsStream<Counted<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> Encrypted<S> {
    /// Wait until there is something to read, or the end.
    pub(super) async fn readable(&mut self) -> io::Result<()> {
        self.0.fill_buf().await.map(drop)
    }
}

/// Counts what was read and has led to nothing yet.
struct Counted<S> {
    stream: S,
    read: usize,
    held: Held,
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().0;
        let result = Pin::new(&mut *stream).poll_read(context, buffer);
        if result.is_ready() {
            let counted = stream.get_mut().0;
            counted.read = 0;
            counted.held.clear();
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, octets)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(context, buffer);
        this.read += buffer.filled().len() - before;
        if this.held.hold(this.read.saturating_sub(FREE)) {
            return result;
        }
        Poll::Ready(Err(io::Error::other("too much has begun on all connections and is not whole")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, octets)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
