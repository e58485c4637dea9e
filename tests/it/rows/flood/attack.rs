//! What attackers do with a connection. Each life of one is bounded; when it ends, they come again.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpSocket;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::rows::listener::CONTINUATION;
use crate::rows::listener::HEADERS;
use crate::rows::listener::PREFACE;
use crate::rows::listener::RST_STREAM;
use crate::rows::listener::SETTINGS;
use crate::rows::listener::frame;
use crate::server::harness::CHECK;

/// One way to be a nuisance, on each listener it is made for.
pub(super) struct Attack {
    pub(super) name: &'static str,
    /// Connections at a time, to each listener.
    connections: usize,
    to: To,
    life: fn(TcpStream, &'static str) -> Life,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum To {
    Both,
    Grpc,
    Http,
}

type Life = Pin<Box<dyn Future<Output = io::Result<bool>> + Send>>;

macro_rules! life {
    ($life:ident) => {
        |stream, path| Box::pin($life(stream, path))
    };
}

pub(super) const ATTACKS: [Attack; 15] = [
    Attack { name: "idle", connections: 1000, to: To::Both, life: life!(idle) },
    Attack { name: "idle HTTP/2", connections: 250, to: To::Both, life: life!(idle_http2) },
    Attack { name: "rapid resets", connections: 2, to: To::Both, life: life!(resets) },
    Attack { name: "provoked resets", connections: 2, to: To::Both, life: life!(provoked) },
    Attack { name: "endless CONTINUATION", connections: 2, to: To::Both, life: life!(endless) },
    Attack { name: "held CONTINUATION", connections: 200, to: To::Both, life: life!(held) },
    Attack { name: "SETTINGS, PING, PRIORITY, empty DATA", connections: 2, to: To::Both, life: life!(control) },
    Attack { name: "control frames, nothing read", connections: 2, to: To::Both, life: life!(unread) },
    Attack { name: "slow HTTP/2 heads", connections: 50, to: To::Both, life: life!(slow_http2) },
    Attack { name: "half-open messages", connections: 2, to: To::Both, life: life!(half_open) },
    Attack { name: "answers nobody reads", connections: 4, to: To::Both, life: life!(unread_answers) },
    Attack { name: "large HTTP/2 heads", connections: 2, to: To::Grpc, life: life!(large_http2) },
    Attack { name: "slow heads", connections: 50, to: To::Http, life: life!(slow) },
    Attack { name: "held heads", connections: 400, to: To::Http, life: life!(held_head) },
    Attack { name: "large heads and half-open bodies", connections: 4, to: To::Http, life: life!(large) },
];

/// What came of it.
#[derive(Default)]
pub(super) struct Counts {
    pub(super) lives: Vec<AtomicU64>,
    pub(super) allowed: AtomicU64,
}

/// Attackers at work.
pub(super) struct Flood {
    pub(super) counts: Arc<Counts>,
    stop: CancellationToken,
    thread: JoinHandle<()>,
}

impl Flood {
    /// All of them, on a thread of their own.
    pub(super) fn start([grpc, http, _]: [u16; 3]) -> Flood {
        let lives = ATTACKS.iter().map(|_| AtomicU64::new(0)).collect();
        let counts = Arc::new(Counts { lives, allowed: AtomicU64::new(0) });
        let (counting, stop) = (Arc::clone(&counts), CancellationToken::new());
        let stopped = stop.clone();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for (port, path, left_out) in [(grpc, CHECK, To::Http), (http, "/auth/nginx", To::Grpc)] {
                    for (number, attack) in ATTACKS.iter().enumerate().filter(|(_, attack)| attack.to != left_out) {
                        for _ in 0..share(attack.connections) {
                            tokio::spawn(attacker(port, path, number, attack, Arc::clone(&counting), stopped.clone()));
                        }
                    }
                }
                stopped.cancelled().await;
            });
        });
        Flood { counts, stop, thread }
    }

    pub(super) fn stop(self) {
        self.stop.cancel();
        self.thread.join().expect("the attackers");
    }
}

/// As many as this process may open files for: each needs one here and one there.
fn share(connections: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next());
    let files: usize = files.and_then(|number| number.parse().ok()).unwrap_or(1024);
    if files >= 10_000 { connections } else { connections.div_ceil(20) }
}

async fn attacker(
    port: u16,
    path: &'static str,
    number: usize,
    attack: &'static Attack,
    counts: Arc<Counts>,
    stop: CancellationToken,
) {
    while !stop.is_cancelled() {
        let life = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(([127, 0, 0, 66], 0).into())?;
            let stream = socket.connect(([127, 0, 0, 1], port).into()).await?;
            counts.lives[number].fetch_add(1, Ordering::Relaxed);
            (attack.life)(stream, path).await
        };
        let ended = tokio::time::timeout(Duration::from_secs(8), life).await;
        if let Ok(Ok(true)) = ended {
            counts.allowed.fetch_add(1, Ordering::Relaxed);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Read to the end. `true` when an HTTP/1 answer was an allow.
async fn drain(mut from: impl tokio::io::AsyncRead + Unpin) -> io::Result<bool> {
    let (mut buffer, mut allowed) = ([0; 4096], false);
    loop {
        let count = from.read(&mut buffer).await?;
        let read = &buffer[..count];
        allowed |= read.windows(11).any(|window| window.starts_with(b"HTTP/1.1 2"));
        if count == 0 {
            return Ok(allowed);
        }
    }
}

/// Write piece after piece while reading, until the other side ends it or there are no more.
async fn pour(stream: TcpStream, pieces: impl Iterator<Item = Vec<u8>>) -> io::Result<bool> {
    let (from, mut to) = stream.into_split();
    let reading = tokio::spawn(drain(from));
    for piece in pieces {
        if reading.is_finished() {
            break;
        }
        if to.write_all(&piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    reading.await.unwrap_or(Ok(false))
}

fn preface() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
}

/// A header block (RFC 7541) for a check: of `:method`, `:scheme`, `:path` and `content-type`.
fn block(path: &str) -> Vec<u8> {
    let method = if path == CHECK { 0x83 } else { 0x82 };
    let mut block = vec![method, 0x86, 0x04, u8::try_from(path.len()).expect("a short path")];
    block.extend(path.as_bytes());
    let kind = b"application/grpc";
    block.extend([0x0f, 0x10, u8::try_from(kind.len()).expect("a short value")]);
    block.extend(kind);
    block
}

const DATA: u8 = 0;
const PRIORITY: u8 = 2;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const BATCH: u32 = 32;

fn stream_of(number: u32) -> u32 {
    number * 2 + 1
}

/// Connect and say nothing.
async fn idle(stream: TcpStream, _: &'static str) -> io::Result<bool> {
    drain(stream).await
}

/// The same after the preface.
async fn idle_http2(mut stream: TcpStream, _: &'static str) -> io::Result<bool> {
    stream.write_all(&preface()).await?;
    drain(stream).await
}

/// Open and reset streams as fast as one can.
async fn resets(stream: TcpStream, path: &'static str) -> io::Result<bool> {
    let batch = move |round: u32| {
        (0..BATCH).flat_map(move |step| {
            let stream = stream_of(round * BATCH + step);
            [frame(HEADERS, END_HEADERS, stream, &block(path)), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
        })
    };
    pour(stream, std::iter::once(preface()).chain((0..20_000).map(move |round| batch(round).flatten().collect()))).await
}

/// Make the server reset them, by credit of nothing.
async fn provoked(stream: TcpStream, path: &'static str) -> io::Result<bool> {
    let batch = move |round: u32| {
        (0..BATCH).flat_map(move |step| {
            let stream = stream_of(round * BATCH + step);
            [frame(HEADERS, END_HEADERS, stream, &block(path)), frame(WINDOW_UPDATE, 0, stream, &[0; 4])]
        })
    };
    pour(stream, std::iter::once(preface()).chain((0..20_000).map(move |round| batch(round).flatten().collect()))).await
}

/// A head without an end.
async fn endless(stream: TcpStream, path: &'static str) -> io::Result<bool> {
    let more = frame(CONTINUATION, 0, 1, &field(4000));
    let begin = [preface(), frame(HEADERS, 0, 1, &block(path))].concat();
    pour(stream, std::iter::once(begin).chain(std::iter::repeat_n(more, 50_000))).await
}

/// A header field of this many octets, written out.
fn field(octets: usize) -> Vec<u8> {
    let mut field = vec![0, 1, b'x', 0x7f];
    let mut left = octets - 127;
    while left >= 128 {
        field.push(u8::try_from(left % 128).expect("seven bits") | 128);
        left /= 128;
    }
    field.push(u8::try_from(left).expect("seven bits"));
    field.extend(std::iter::repeat_n(b'a', octets));
    field
}

/// Nearly as large a head as is taken, and no end.
async fn held(mut stream: TcpStream, path: &'static str) -> io::Result<bool> {
    let mut octets = [preface(), frame(HEADERS, 0, 1, &block(path))].concat();
    for _ in 0..12 {
        octets.extend(frame(CONTINUATION, 0, 1, &field(8000)));
    }
    stream.write_all(&octets).await?;
    drain(stream).await
}

/// Frames that cost the sender nothing.
fn cheap(round: u32, path: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    if round == 0 {
        octets.extend(preface());
        octets.extend(frame(HEADERS, END_HEADERS, 1, &block(path)));
    }
    for _ in 0..BATCH {
        octets.extend(frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]));
        octets.extend(frame(PING, 0, 0, b"........"));
        octets.extend(frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1]));
        octets.extend(frame(DATA, 0, 1, &[]));
    }
    octets
}

async fn control(stream: TcpStream, path: &'static str) -> io::Result<bool> {
    pour(stream, (0..50_000).map(move |round| cheap(round, path))).await
}

/// The same, and the answers are left lying.
async fn unread(mut stream: TcpStream, path: &'static str) -> io::Result<bool> {
    for round in 0..50_000 {
        stream.write_all(&cheap(round, path)).await?;
        tokio::task::yield_now().await;
    }
    Ok(false)
}

/// A head octet by octet.
async fn slow_http2(stream: TcpStream, path: &'static str) -> io::Result<bool> {
    let (from, mut to) = stream.into_split();
    let reading = tokio::spawn(drain(from));
    to.write_all(&preface()).await?;
    for octet in frame(HEADERS, 0, 1, &block(path)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        to.write_all(&[octet]).await?;
    }
    reading.await.unwrap_or(Ok(false))
}

/// Many messages that are nearly as large as is taken, and never end.
async fn half_open(stream: TcpStream, path: &'static str) -> io::Result<bool> {
    use http_body_util::BodyExt;
    use http_body_util::StreamBody;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use tonic::codegen::tokio_stream::{self, StreamExt};

    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(io::Error::other)?;
    let connection = tokio::spawn(connection);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let begin = [&[0, 0, 4, 0, 0][..], &[0; 16_000]].concat();
        let pieces = std::iter::once(begin).chain(std::iter::repeat_n(vec![0; 16_000], 14));
        let frames = tokio_stream::iter(pieces.map(|piece| Ok(http_body::Frame::data(bytes::Bytes::from(piece)))));
        let body = StreamBody::new(frames.chain(tokio_stream::pending::<Result<_, io::Error>>())).boxed();
        let request = http::Request::post(format!("http://postern{path}")).header("content-type", "application/grpc");
        let Ok(request) = request.body(body) else { break };
        let sent = sender.send_request(request);
        waiting.spawn(async move { sent.await.map(drop) });
    }
    while waiting.join_next().await.is_some() {}
    drop(sender);
    connection.abort();
    Ok(false)
}

/// Ask and never look at the answers.
async fn unread_answers(mut stream: TcpStream, path: &'static str) -> io::Result<bool> {
    stream.write_all(PREFACE).await?;
    // No credit for any answer.
    stream.write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await?;
    for number in 0..100_000 {
        stream.write_all(&frame(HEADERS, END_HEADERS | END_STREAM, stream_of(number), &block(path))).await?;
    }
    Ok(false)
}

/// Heads past what is taken, in one piece and in many.
async fn large_http2(stream: TcpStream, path: &'static str) -> io::Result<bool> {
    let head = |number: u32| {
        let mut octets = frame(HEADERS, END_STREAM, stream_of(number), &block(path));
        for step in 0..20 {
            let flags = if step == 19 { END_HEADERS } else { 0 };
            octets.extend(frame(CONTINUATION, flags, stream_of(number), &field(8000)));
        }
        octets
    };
    pour(stream, std::iter::once(preface()).chain((0..500).map(head))).await
}

const NGINX: &[u8] =
    b"GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: app.test\r\n\
                       X-Forwarded-Uri: /closed\r\nX-Forwarded-For: 192.0.2.1\r\n";

async fn slow(stream: TcpStream, _: &'static str) -> io::Result<bool> {
    let (from, mut to) = stream.into_split();
    let reading = tokio::spawn(drain(from));
    for octet in NGINX {
        if to.write_all(&[*octet]).await.is_err() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    reading.await.unwrap_or(Ok(false))
}

/// Nearly as large a head as is taken, and no end.
async fn held_head(mut stream: TcpStream, _: &'static str) -> io::Result<bool> {
    stream.write_all(NGINX).await?;
    stream.write_all(format!("X-Long: {}", "a".repeat(100_000)).as_bytes()).await?;
    drain(stream).await
}

async fn large(stream: TcpStream, _: &'static str) -> io::Result<bool> {
    let heads = (0..200).map(|round| {
        let more = match round % 3 {
            0 => format!("X-Long: {}\r\n\r\n", "a".repeat(300_000)),
            1 => format!("{}\r\n", "X: y\r\n".repeat(5000)),
            _ => "Content-Length: 1000000\r\n\r\nhalf of it".to_owned(),
        };
        [NGINX, more.as_bytes()].concat()
    });
    // Every other life asks politely and sends many checks before it reads.
    let (first, rest) = (NGINX.to_vec(), b"\r\n".to_vec());
    let polite = std::iter::repeat_n([first, rest].concat(), 500);
    pour(stream, polite.chain(heads)).await
}
