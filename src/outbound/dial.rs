//! Connections as in [`socket`](crate::outbound::socket), for those who wait without blocking a thread. Whoever dials
//! bounds the time.

use std::io;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

use crate::outbound::socket::Endpoint;
use crate::outbound::socket::HostPort;

/// A stream of octets both ways, whatever it goes over.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// Connect to a server that speaks over a stream.
pub async fn dial(to: &Endpoint) -> io::Result<Box<dyn Duplex>> {
    match to {
        Endpoint::Unix(path) => Ok(Box::new(UnixStream::connect(path).await?)),
        Endpoint::Udp(_) => Err(io::Error::new(io::ErrorKind::Unsupported, "datagrams are no stream")),
        Endpoint::Tcp(to) => Ok(Box::new(tcp(to).await?)),
        Endpoint::Tls(to, client) => {
            let (settings, name) = client.parts();
            Ok(Box::new(TlsConnector::from(settings).connect(name, tcp(to).await?).await?))
        }
    }
}

async fn tcp(HostPort { host, port }: &HostPort) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}
