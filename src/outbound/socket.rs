//! Connections that speak no HTTP: datagrams or a stream to a receiver that the configuration names. They are blocking,
//! for threads of their own, and nothing takes longer than [`PATIENCE`] without progress.
//!
//! Whoever writes the configuration names the receiver itself, and it is nearly always in one's own network: so any
//! address may be dialled.

use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::StreamOwned;

use crate::outbound::tls::TlsClient;

/// How long a connection, a handshake, or a write that makes no progress is waited for.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// How long a server has after a handshake to say that it wants nothing to do with us. With TLS 1.3, a client is done
/// before its certificate is judged.
const SECOND_THOUGHTS: Duration = Duration::from_millis(500);

/// What the system keeps of a stream until the receiver has it, in octets: what is lost with the connection.
const SEND_BUFFER: usize = 128 * 1024;

/// Where a receiver is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket of this machine; whether it takes datagrams or a stream is found out.
    Unix(PathBuf),
    Udp(HostPort),
    Tcp(HostPort),
    Tls(HostPort, TlsClient),
}

/// A host by its name or address, without brackets, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    pub host: String,
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Unix(path) => write!(f, "unix:{}", path.display()),
            Endpoint::Udp(to) => write!(f, "udp://{to}"),
            Endpoint::Tcp(to) => write!(f, "tcp://{to}"),
            Endpoint::Tls(to, _) => write!(f, "tls://{to}"),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// A connection to it.
#[derive(Debug)]
pub enum Socket {
    Datagram(Datagram),
    Stream(Stream),
}

/// Each message arrives whole, or not at all; of UDP nobody hears which.
#[derive(Debug)]
pub enum Datagram {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

/// Octets in their order.
#[derive(Debug)]
pub enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Endpoint {
    /// Connect to it. Waits for it.
    pub fn connect(&self) -> io::Result<Socket> {
        match self {
            Endpoint::Unix(path) => {
                let socket = UnixDatagram::unbound()?;
                match socket.connect(path) {
                    Ok(()) => {
                        socket.set_write_timeout(Some(PATIENCE))?;
                        Ok(Socket::Datagram(Datagram::Unix(socket)))
                    }
                    // EPROTOTYPE has no kind of its own: the receiver wants a stream, or nothing at all.
                    Err(_) => {
                        let stream = UnixStream::connect(path)?;
                        stream.set_write_timeout(Some(PATIENCE))?;
                        Ok(Socket::Stream(Stream::Unix(stream)))
                    }
                }
            }
            Endpoint::Udp(to) => {
                let socket = to.first(|address| {
                    let any: SocketAddr = match address {
                        SocketAddr::V4(_) => ([0; 4], 0).into(),
                        SocketAddr::V6(_) => ([0_u16; 8], 0).into(),
                    };
                    let socket = UdpSocket::bind(any)?;
                    socket.connect(address).map(|()| socket)
                })?;
                socket.set_write_timeout(Some(PATIENCE))?;
                Ok(Socket::Datagram(Datagram::Udp(socket)))
            }
            Endpoint::Tcp(to) => Ok(Socket::Stream(Stream::Tcp(to.dial()?))),
            Endpoint::Tls(to, client) => {
                let mut stream = StreamOwned::new(client.connection()?, to.dial()?);
                stream.sock.set_read_timeout(Some(PATIENCE))?;
                while stream.conn.is_handshaking() {
                    stream.conn.complete_io(&mut stream.sock)?;
                }
                stream.sock.set_read_timeout(Some(SECOND_THOUGHTS))?;
                match stream.conn.read_tls(&mut stream.sock) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(_) => {
                        stream.conn.process_new_packets().map_err(io::Error::other)?;
                    }
                    Err(error) if is_slow(&error) => {}
                    Err(error) => return Err(error),
                }
                Ok(Socket::Stream(Stream::Tls(Box::new(stream))))
            }
        }
    }
}

impl HostPort {
    fn dial(&self) -> io::Result<TcpStream> {
        let stream = self.first(|address| TcpStream::connect_timeout(&address, PATIENCE))?;
        socket2::SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// What can be made with the first of its addresses that will do.
    fn first<T>(&self, make: impl Fn(SocketAddr) -> io::Result<T>) -> io::Result<T> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match make(address) {
                Ok(made) => return Ok(made),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl Datagram {
    /// Send one message.
    pub fn send(&self, message: &[u8]) -> io::Result<()> {
        match self {
            Datagram::Unix(socket) => socket.send(message).map(drop),
            Datagram::Udp(socket) => socket.send(message).map(drop),
        }
    }
}

impl Stream {
    /// Has the receiver ended the connection? What is written to it then is lost, and no error says so. What it says
    /// is not listened to.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        self.set_nonblocking(true)?;
        let heard = match self {
            Stream::Unix(stream) => stream.read(&mut [0; 512]),
            Stream::Tcp(stream) => stream.read(&mut [0; 512]),
            Stream::Tls(stream) => stream.read(&mut [0; 512]),
        };
        self.set_nonblocking(false)?;
        match heard {
            Ok(octets) => Ok(octets == 0),
            Err(error) if is_slow(&error) || error.kind() == io::ErrorKind::Interrupted => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Stream::Unix(stream) => stream.set_nonblocking(nonblocking),
            Stream::Tcp(stream) => stream.set_nonblocking(nonblocking),
            Stream::Tls(stream) => stream.sock.set_nonblocking(nonblocking),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(stream) => stream.write(octets),
            Stream::Tcp(stream) => stream.write(octets),
            Stream::Tls(stream) => stream.write(octets),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Stream::Unix(_) | Stream::Tcp(_) => Ok(()),
            Stream::Tls(stream) => stream.flush(),
        }
    }
}

/// Did it only take too long?
pub fn is_slow(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
