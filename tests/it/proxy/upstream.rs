//! The application behind the proxy: answers anything, and remembers exactly what it was sent.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Every request of a test carries its own value, so that what arrives is found again whatever else is under way.
pub(crate) const SCENARIO: &str = "X-Scenario-Id";

/// The key of RFC 6455 §1.3, which every websocket of these tests sends, and the answer to it.
pub(crate) const SAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const SAMPLE_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// No stream is held open for longer than this.
const HOLD: Duration = Duration::from_secs(20);

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) method: String,
    pub(crate) target: String,
    /// In order, repeated ones apart, names as they were spelled.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// The whole head, as text.
    pub(crate) head: String,
    /// The whole request, octet for octet.
    pub(crate) octets: Vec<u8>,
}

impl Arrival {
    /// Every value of a header, whatever the case of its name.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let fields = self.headers.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        fields.map(|(_, value)| value.as_str()).collect()
    }
}

/// The application. It listens until the test ends.
pub(crate) struct Upstream {
    pub(crate) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    arrivals: Mutex<HashMap<String, Vec<Arrival>>>,
    released: Mutex<bool>,
    release: Condvar,
    /// What is answered, where it is not always the same.
    body: Option<Body>,
}

type Body = Box<dyn Fn(&Arrival) -> String + Send + Sync>;

impl Upstream {
    /// Listen on a port of the kernel's choice.
    pub(crate) fn start() -> Upstream {
        Upstream::listen(Shared::default())
    }

    /// The same, but `body` says what is answered.
    pub(crate) fn answering(body: impl Fn(&Arrival) -> String + Send + Sync + 'static) -> Upstream {
        Upstream::listen(Shared { body: Some(Box::new(body)), ..Shared::default() })
    }

    fn listen(shared: Shared) -> Upstream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(shared);
        let for_threads = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&for_threads);
                // A proxy that hangs up is none of our business.
                thread::spawn(move || serve(stream, &shared).ok());
            }
        });
        Upstream { port, shared }
    }

    /// What arrived under this scenario's id, taken off the record.
    pub(crate) fn take(&self, scenario: &str) -> Vec<Arrival> {
        self.shared.arrivals.lock().expect("arrivals").remove(scenario).unwrap_or_default()
    }

    /// Let streams go on past their first event.
    pub(crate) fn release(&self) {
        *self.shared.released.lock().expect("release") = true;
        self.shared.release.notify_all();
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    loop {
        let Some(arrival) = read(&mut reader)? else { return Ok(()) };
        let upgrade = arrival.all("upgrade").contains(&"websocket");
        let streams = arrival.target.starts_with("/stream");
        let bodiless = arrival.method == "HEAD";
        let body = shared.body.as_ref().map_or_else(|| "upstream\n".to_owned(), |body| body(&arrival));
        let id = arrival.all(SCENARIO).first().map(|id| (*id).to_owned()).unwrap_or_default();
        shared.arrivals.lock().expect("arrivals").entry(id).or_default().push(arrival);
        if upgrade {
            return echo(&mut reader, &mut stream);
        }
        if streams {
            return events(&mut stream, shared);
        }
        let length = body.len();
        let body = if bodiless { "" } else { body.as_str() };
        write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{body}")?;
    }
}

/// Switch protocols and send everything back.
fn echo(reader: &mut BufReader<TcpStream>, stream: &mut TcpStream) -> io::Result<()> {
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {SAMPLE_ACCEPT}\r\n\r\n"
    )?;
    io::copy(reader, stream).map(drop)
}

/// One event at once, the next only when the test has seen the first.
fn events(stream: &mut TcpStream, shared: &Shared) -> io::Result<()> {
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: first\n\n")?;
    let released = shared.released.lock().expect("release");
    drop(shared.release.wait_timeout_while(released, HOLD, |released| !*released).expect("release"));
    stream.write_all(b"data: last\n\n")
}

/// One request, or `None` when the connection has ended.
fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Arrival>> {
    let mut head = String::new();
    let mut octets = Vec::new();
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        head.push_str(&String::from_utf8_lossy(&line));
        octets.extend_from_slice(&line);
        if line == b"\r\n" {
            break;
        }
    }
    let mut lines = head.trim_end().split("\r\n");
    let mut words = lines.next().unwrap_or_default().splitn(3, ' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut arrival = Arrival { method, target, headers, body: String::new(), head, octets };
    let mut body = Vec::new();
    if let Some(length) = arrival.all("content-length").first().and_then(|value| value.parse::<u64>().ok()) {
        reader.take(length).read_to_end(&mut body)?;
        arrival.octets.extend_from_slice(&body);
    } else if arrival.all("transfer-encoding").contains(&"chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            arrival.octets.extend_from_slice(line.as_bytes());
            let size = u64::from_str_radix(line.trim(), 16).map_err(|_| io::Error::other("no chunk size"))?;
            let mut chunk = Vec::new();
            reader.take(size + 2).read_to_end(&mut chunk)?;
            arrival.octets.extend_from_slice(&chunk);
            chunk.truncate(chunk.len().saturating_sub(2));
            body.extend(chunk);
            if size == 0 {
                break;
            }
        }
    }
    arrival.body = String::from_utf8_lossy(&body).into_owned();
    Ok(Some(arrival))
}
