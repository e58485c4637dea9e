//! A client that sends exactly the octets it is given, from an address of its own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

/// Where requests come from, so that a proxy's own 127.0.0.1 is never mistaken for the client.
pub(crate) const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);

const PATIENCE: Duration = Duration::from_secs(20);

/// One answer, as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// In order, repeated ones apart; names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Reply {
    /// Every value of the header with this lower-case name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect()
    }
}

/// Send one request and read one whole answer.
pub(crate) fn send(port: u16, request: &[u8]) -> io::Result<Reply> {
    send_from(ADDRESS, port, request)
}

/// The same from another address of this machine.
pub(crate) fn send_from(address: Ipv4Addr, port: u16, request: &[u8]) -> io::Result<Reply> {
    Conversation::open_from(address, port, request)?.finish(request.starts_with(b"HEAD "))
}

/// A connection whose answer is read step by step: for streams and upgrades.
pub(crate) struct Conversation {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Conversation {
    /// Connect from [`ADDRESS`] and send `request`.
    pub(crate) fn open(port: u16, request: &[u8]) -> io::Result<Conversation> {
        Conversation::open_from(ADDRESS, port, request)
    }

    fn open_from(address: Ipv4Addr, port: u16, request: &[u8]) -> io::Result<Conversation> {
        let mut stream = loop {
            match connect(address, port) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                connected => break connected?,
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        stream.write_all(request)?;
        Ok(Conversation { stream, buffer: Vec::new() })
    }

    /// Send more on the same connection.
    pub(crate) fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)
    }

    /// Read until `wanted` has come by, and take everything up to its end.
    pub(crate) fn read_until(&mut self, wanted: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.buffer, wanted) {
                let rest = self.buffer.split_off(at + wanted.len());
                return Ok(std::mem::replace(&mut self.buffer, rest));
            }
            if !self.fill()? {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Read status and headers; interim answers are passed over.
    pub(crate) fn head(&mut self) -> io::Result<Reply> {
        loop {
            let head = self.read_until(b"\r\n\r\n")?;
            let head = String::from_utf8_lossy(&head);
            let mut lines = head.trim_end().split("\r\n");
            let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
            let status: u16 = status.ok_or_else(|| io::Error::other(format!("no status line in {head:?}")))?;
            let headers = lines.filter_map(|line| line.split_once(':'));
            let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
            if status >= 200 || status == 101 {
                return Ok(Reply { status, headers, body: String::new() });
            }
        }
    }

    /// Read the whole answer; `bodiless` when the request was a HEAD.
    fn finish(mut self, bodiless: bool) -> io::Result<Reply> {
        let mut reply = self.head()?;
        if bodiless || matches!(reply.status, 101 | 204 | 304) {
            return Ok(reply);
        }
        let length = reply.all("content-length").first().and_then(|value| value.parse::<usize>().ok());
        let body = if let Some(length) = length {
            while self.buffer.len() < length {
                if !self.fill()? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.buffer.truncate(length);
            self.buffer
        } else if reply.all("transfer-encoding").iter().any(|coding| coding.eq_ignore_ascii_case("chunked")) {
            self.chunks()?
        } else {
            while self.fill()? {}
            self.buffer
        };
        reply.body = String::from_utf8_lossy(&body).into_owned();
        Ok(reply)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.read_until(b"\r\n")?;
            let line = String::from_utf8_lossy(&line);
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| io::Error::other("no chunk size"))?;
            if size == 0 {
                return Ok(body);
            }
            while self.buffer.len() < size + 2 {
                if !self.fill()? {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            body.extend(self.buffer.drain(..size));
            self.buffer.drain(..2);
        }
    }

    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 4096];
        let count = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }
}

fn connect(address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::V4(SocketAddrV4::new(address, 0)).into())?;
    let server = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    socket.connect_timeout(&server.into(), PATIENCE)?;
    Ok(socket.into())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
