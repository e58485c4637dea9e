//! The accept loop: strangers out, limits kept, and no error ends it.

use std::io;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpListener;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::warn;

use crate::model::caller::Caller;
use crate::server::bind::BACKLOG;
use crate::server::bind::Bound;
use crate::server::bind::Listening;
use crate::server::bind::SocketFile;
use crate::server::peer::Peer;
use crate::server::slot::Slot;
use crate::server::slot::Slots;
use crate::telemetry::metrics::ListenerMetrics;
use crate::telemetry::metrics::Refused;

/// A connection that may be served, and its place.
pub(super) struct Arrival {
    pub(super) stream: Stream,
    pub(super) slot: Slot,
}

/// A connection, free to be served by any thread.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream, Peer),
}

impl Stream {
    fn peer(&self) -> Option<Peer> {
        match self {
            Stream::Tcp(_) => None,
            Stream::Unix(_, peer) => Some(*peer),
        }
    }
}

/// What connections come from; a trait so that a test can let it fail.
pub(super) trait Source {
    fn accept(&self) -> impl Future<Output = io::Result<(Stream, Caller)>> + Send;

    /// A connection that waits already; `WouldBlock` when none does.
    fn queued(&self) -> io::Result<(Stream, Caller)>;
}

/// Accept until told to stop, and then what waits already: the system would reset it when the socket is closed. `admit`
/// says who may ask, `hand` takes each connection to where it is served.
pub(super) async fn accept(
    source: impl Source,
    slots: Arc<Slots>,
    metrics: ListenerMetrics,
    admit: impl Fn(Caller, Option<Peer>) -> bool,
    hand: impl Fn(Arrival),
    stop: CancellationToken,
) {
    let take = |(stream, caller): (Stream, Caller)| {
        let peer = stream.peer();
        if !admit(caller, peer) {
            metrics.refused(Refused::Caller);
            return debug!(listener = metrics.name(), caller = %caller, peer = ?peer, "caller not admitted");
        }
        match slots.take(caller) {
            Ok(slot) => hand(Arrival { stream, slot }),
            Err(cause) => {
                metrics.refused(cause);
                debug!(listener = metrics.name(), caller = %caller, cause = cause.name(), "connection refused");
            }
        }
    };
    let mut pause = Pause::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = source.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => {
                pause = Pause::default();
                take(accepted);
            }
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                metrics.refused(Refused::System);
                if pause.is_first() {
                    warn!(listener = metrics.name(), error = %error, "cannot accept connections, trying again");
                }
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = tokio::time::sleep(pause.next()) => {}
                }
            }
        }
    }
    for _ in 0..BACKLOG {
        match source.queued() {
            Ok(accepted) => take(accepted),
            Err(error) if concerns_one_connection(&error) => {}
            Err(_) => return,
        }
    }
}

/// The peer gave up, or the network did, before we came to it. The next one may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// How long to wait when the system has no file descriptors or no memory: short at first, never more than a second.
struct Pause(Duration);

impl Pause {
    const FIRST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(1);

    fn is_first(&self) -> bool {
        self.0 == Pause::FIRST
    }

    fn next(&mut self) -> Duration {
        let now = self.0;
        self.0 = (now * 2).min(Pause::LONGEST);
        now
    }
}

impl Default for Pause {
    fn default() -> Pause {
        Pause(Pause::FIRST)
    }
}

/// A bound socket, watched by the runtime.
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix { _file: Option<SocketFile>, listener: UnixListener },
}

impl Socket {
    pub(super) fn watch(bound: Bound) -> io::Result<Socket> {
        Ok(match bound.socket {
            Listening::Tcp(listener) => Socket::Tcp(TcpListener::from_std(listener)?),
            Listening::Unix(file, listener) => {
                Socket::Unix { _file: file, listener: UnixListener::from_std(listener)? }
            }
        })
    }
}

impl Source for Socket {
    async fn accept(&self) -> io::Result<(Stream, Caller)> {
        match self {
            Socket::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                // A lost option costs time, not correctness.
                let _ = stream.set_nodelay(true);
                Ok((Stream::Tcp(stream.into_std()?), Caller::Address(peer.ip().to_canonical())))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer::of(&stream).map_err(|_| io::ErrorKind::ConnectionAborted)?;
                Ok((Stream::Unix(stream.into_std()?, peer), Caller::Unix))
            }
        }
    }

    fn queued(&self) -> io::Result<(Stream, Caller)> {
        let from = |socket: SockRef<'_>| {
            let (stream, peer) = socket.accept()?;
            stream.set_nonblocking(true)?;
            Ok::<_, io::Error>((stream, peer))
        };
        match self {
            Socket::Tcp(listener) => {
                let (stream, peer) = from(SockRef::from(listener))?;
                let peer = peer.as_socket().ok_or(io::ErrorKind::ConnectionAborted)?;
                let _ = stream.set_tcp_nodelay(true);
                Ok((Stream::Tcp(stream.into()), Caller::Address(peer.ip().to_canonical())))
            }
            Socket::Unix { listener, .. } => {
                let (stream, _) = from(SockRef::from(listener))?;
                let stream = tokio::net::UnixStream::from_std(stream.into())?;
                let peer = Peer::of(&stream).map_err(|_| io::ErrorKind::ConnectionAborted)?;
                Ok((Stream::Unix(stream.into_std()?, peer), Caller::Unix))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use super::*;
    use crate::server::limits::Limits;
    use crate::telemetry::Telemetry;

    fn unix() -> Stream {
        Stream::Unix(UnixStream::pair().expect("pair").0, Peer { user: 1, group: 2 })
    }

    /// Gives what is on the first list, then nothing any more until the end, when those on the second have waited.
    struct Script(Mutex<VecDeque<io::Result<Caller>>>, Mutex<VecDeque<Caller>>);

    impl Source for Script {
        async fn accept(&self) -> io::Result<(Stream, Caller)> {
            let next = self.0.lock().expect("script").pop_front();
            match next {
                Some(Ok(caller)) => Ok((unix(), caller)),
                Some(Err(error)) => Err(error),
                None => std::future::pending().await,
            }
        }

        fn queued(&self) -> io::Result<(Stream, Caller)> {
            match self.1.lock().expect("queue").pop_front() {
                Some(caller) => Ok((unix(), caller)),
                None => Err(io::ErrorKind::WouldBlock.into()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_error_ends_the_loop() {
        const TOO_MANY_OPEN_FILES: i32 = 24;
        let stranger = Caller::Address([192, 0, 2, 1].into());
        let mut script: VecDeque<_> = (0..20).map(|_| Err(io::Error::from_raw_os_error(TOO_MANY_OPEN_FILES))).collect();
        script.push_back(Err(io::ErrorKind::ConnectionAborted.into()));
        script.push_back(Ok(stranger));
        script.push_back(Ok(Caller::Unix));
        let script = Script(Mutex::new(script), Mutex::new([Caller::Unix, stranger, Caller::Unix].into()));
        let telemetry = Telemetry::new().expect("telemetry");
        let metrics = telemetry.listener("grpc");
        let slots = Slots::new(&Limits::default(), metrics.clone());
        let (served, mut arrivals) = tokio::sync::mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let admit = move |caller, peer: Option<Peer>| caller != stranger && peer == Some(Peer { user: 1, group: 2 });
        let hand = move |arrival| served.send(arrival).expect("receiver");
        let running = tokio::spawn(accept(script, slots, metrics, admit, hand, stop.clone()));
        let arrival = arrivals.recv().await.expect("the last one is served");
        let text = telemetry.gather(&[]);
        assert!(text.contains("postern_connections_refused_total{cause=\"system\",listener=\"grpc\"} 20"), "{text}");
        assert!(text.contains("postern_connections_refused_total{cause=\"caller\",listener=\"grpc\"} 1"), "{text}");
        assert!(text.contains("postern_connections{listener=\"grpc\"} 1"), "{text}");
        drop(arrival);
        assert!(telemetry.gather(&[]).contains("postern_connections{listener=\"grpc\"} 0"));
        stop.cancel();
        running.await.expect("the loop ends when told to");
        for _ in 0..2 {
            assert!(arrivals.try_recv().is_ok(), "what waited at the end is served");
        }
        let text = telemetry.gather(&[]);
        assert!(text.contains("postern_connections_refused_total{cause=\"caller\",listener=\"grpc\"} 2"), "{text}");
    }
}
