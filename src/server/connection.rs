//! One connection, from its arrival to its end.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::Watcher;
use rustls::ServerConfig;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::server::accept::Arrival;
use crate::server::accept::Stream;
use crate::server::admin::Admin;
use crate::server::admin::Via;
use crate::server::authorize::Authorize;
use crate::server::bell::heard;
use crate::server::grpc;
use crate::server::http;
use crate::server::lane::Lane;
use crate::server::limits::Limits;
use crate::server::paced::Paced;
use crate::server::peer::Peer;
use crate::server::protocol;
use crate::server::slot::Slot;
use crate::server::store::Store;
use crate::server::task::Timed;
use crate::server::tls;
use crate::telemetry::metrics::Refused;

/// What is spoken on the connections of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// What a connection goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// A network, where others may listen.
    Open,
    /// A unix socket, which carries no TLS.
    Local,
}

/// Who has connected and said nothing for so long has opened the connection in advance.
const LATELY: Duration = Duration::from_millis(500);

/// Serves the connections of one thread.
pub(super) struct Server<A> {
    lane: Arc<Lane<A>>,
    http2: hyper::server::conn::http2::Builder<Timed>,
    either: auto::Builder<Timed>,
    /// Done when no connection may begin any more.
    draining: CancellationToken,
}

impl<A: Authorize> Server<A> {
    pub(super) fn new(lane: Lane<A>, draining: CancellationToken) -> Server<A> {
        let http2 = protocol::http2(&lane.limits);
        let either = protocol::either(&lane.limits);
        Server { lane: Arc::new(lane), http2, either, draining }
    }

    /// Serve on a task of its own. The place is given back when the connection ends.
    pub(super) fn serve(self: &Arc<Self>, protocol: Protocol, arrival: Arrival, watcher: Watcher) {
        let Arrival { stream, slot } = arrival;
        let served = match stream {
            Stream::Tcp(stream) => {
                TcpStream::from_std(stream).map(|io| self.await_octets(protocol, io, Wire::Open, slot, watcher))
            }
            Stream::Unix(stream, _) => {
                UnixStream::from_std(stream).map(|io| self.await_octets(protocol, io, Wire::Local, slot, watcher))
            }
        };
        log_unwatched(served);
    }

    /// How a connection that begins now is encrypted.
    fn tls(&self, protocol: Protocol, wire: Wire) -> Option<Arc<ServerConfig>> {
        let tls = self.lane.engine.tls();
        match (wire, protocol) {
            (Wire::Local, _) => None,
            (Wire::Open, Protocol::Grpc) => tls.grpc,
            (Wire::Open, Protocol::Http) => tls.http,
        }
    }

    /// Until a peer says something it gets none of hyper's buffers: it may never. Who is silent for long is judged by the
    /// policy of the moment in which it begins to speak.
    fn await_octets<S>(self: &Arc<Self>, protocol: Protocol, stream: S, wire: Wire, slot: Slot, watcher: Watcher)
    where
        S: Watched + AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    {
        let server = Arc::clone(self);
        tokio::spawn(async move {
            let heard = match server.first(heard(stream.readable())).await {
                Some((Ok(()), heard)) => heard,
                Some((Err(error), _)) => return log_unwatched(Err(error)),
                None => return,
            };
            let Some(tls) = server.tls(protocol, wire) else {
                return server.spawn(protocol, stream, Some(heard), slot, watcher);
            };
            match tls::shake_hands(tls, stream, server.lane.unfinished.place(), server.lane.limits.head).await {
                // A drain would end it before its first request, which may be on its way.
                Ok(mut stream) => match server.first(stream.readable()).await {
                    Some(Ok(())) => server.spawn(protocol, stream, None, slot, watcher),
                    Some(Err(error)) => debug!(error = %error, "connection ended early"),
                    None => {}
                },
                Err(error) => {
                    slot.refused(Refused::Handshake);
                    debug!(protocol = ?protocol, error = %error, "no TLS connection");
                }
            }
        });
    }

    /// The first word of a connection that came just now; `None` when it has been silent for too long. At the end of the
    /// process, what has come in the last moment is heard none the less: its proxy sees no reason to doubt it.
    async fn first<T>(&self, word: impl Future<Output = T>) -> Option<T> {
        let lately = async {
            tokio::join!(self.draining.cancelled(), tokio::time::sleep(LATELY));
        };
        tokio::select! {
            word = word => Some(word),
            () = lately => None,
            () = tokio::time::sleep(self.lane.limits.idle) => None,
        }
    }

    fn spawn<S>(&self, protocol: Protocol, stream: S, arrived: Option<Instant>, slot: Slot, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let paced = Paced::new(stream, &self.lane.limits, self.lane.unfinished.place(), arrived);
        let pace = paced.pace();
        let lane = Arc::clone(&self.lane);
        match protocol {
            Protocol::Grpc => {
                let service = service_fn(move |request| grpc::answer(Arc::clone(&lane), request, pace.arrived()));
                let connection = watcher.watch(self.http2.serve_connection(TokioIo::new(paced), service));
                tokio::spawn(async move {
                    log_end(connection.await);
                    drop(slot);
                });
            }
            Protocol::Http => {
                let service = service_fn(move |request| {
                    pace.begin();
                    let (lane, arrived) = (Arc::clone(&lane), pace.arrived());
                    async move { Ok::<_, Infallible>(http::answer(&lane, request, arrived).await) }
                });
                let connection = self.either.serve_connection(TokioIo::new(paced), service).into_owned();
                let draining = self.draining.clone();
                tokio::spawn(async move {
                    if draining.is_cancelled() {
                        let mut connection = pin!(connection);
                        // Told to end before it knows what is spoken, it would end at once.
                        let begun = tokio::select! {
                            biased;
                            end = connection.as_mut() => Some(end),
                            () = std::future::ready(()) => None,
                        };
                        connection.as_mut().graceful_shutdown();
                        log_end(match begun {
                            Some(end) => end,
                            None => connection.await,
                        });
                        drop(watcher);
                    } else {
                        log_end(watcher.watch(connection).await);
                    }
                    drop(slot);
                });
            }
        }
    }
}

/// A socket that tells when there is something to read.
trait Watched {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Watched for TcpStream {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        TcpStream::readable(self)
    }
}

impl Watched for UnixStream {
    fn readable(&self) -> impl Future<Output = io::Result<()>> + Send {
        UnixStream::readable(self)
    }
}

/// Serve one connection to the admin pages.
pub(super) fn serve_admin<A: Authorize>(
    admin: &Arc<Admin<A>>,
    arrival: Arrival,
    is_operator: &dyn Fn(Peer) -> bool,
    limits: &Limits,
) {
    let Arrival { stream, slot } = arrival;
    let served = match stream {
        Stream::Tcp(stream) => TcpStream::from_std(stream).map(|io| spawn_admin(admin, Via::Tcp, io, slot, limits)),
        Stream::Unix(stream, peer) => {
            let via = if is_operator(peer) { Via::Operator } else { Via::Unix };
            UnixStream::from_std(stream).map(|io| spawn_admin(admin, via, io, slot, limits))
        }
    };
    log_unwatched(served);
}

fn spawn_admin<A: Authorize, S>(admin: &Arc<Admin<A>>, via: Via, stream: S, slot: impl Send + 'static, limits: &Limits)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let paced = Paced::new(stream, limits, Store::new(limits.unfinished).place(), None);
    let pace = paced.pace();
    let admin = Arc::clone(admin);
    let service = service_fn(move |request| {
        pace.begin();
        let admin = Arc::clone(&admin);
        async move { Ok::<_, Infallible>(admin.answer(request, via).await) }
    });
    let connection = protocol::http1().serve_connection(TokioIo::new(paced), service);
    tokio::spawn(async move {
        log_end(connection.await);
        drop(slot);
    });
}

fn log_end(end: Result<(), impl std::fmt::Display>) {
    if let Err(error) = end {
        debug!(error = %error, "connection ended early");
    }
}

fn log_unwatched(served: io::Result<()>) {
    if let Err(error) = served {
        debug!(error = %error, "connection dropped: the runtime cannot watch it");
    }
}
