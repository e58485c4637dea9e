//! The listeners: gRPC for Envoy, HTTP forward-auth for the others, and the admin pages.
//!
//! Our own accept loop stands in front of hyper, because `tonic::transport::Server` switches off hyper's limits and
//! knows none on connections. A listener accepts (`accept`), deals the connection to a thread (`threads`), which serves
//! it (`connection`) by `grpc` or `http`; `guard` sees to it that nothing but an answer comes out. When a thread is
//! behind, `paced` tells for how long and `lane` turns checks away. `reload` exchanges the policy under all
//! of them.

pub mod authorize;
pub mod bind;
pub mod control;
pub mod inherited;
pub mod limits;
pub mod reload;
pub mod scrape;
pub mod watch;

mod accept;
mod admin;
mod aside;
mod bell;
mod connection;
mod frame;
mod frames;
mod grpc;
mod guard;
mod http;
mod lane;
mod overload;
mod paced;
mod patience;
mod peer;
mod protocol;
mod slot;
mod store;
mod task;
mod threads;
mod tls;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use socket2::Socket;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::HealthReporter;
use tonic_health::server::HealthService;

use crate::model::listen::Listen;
use crate::model::listen::ListenAddress;
use crate::server::accept::accept;
use crate::server::admin::Admin;
use crate::server::authorize::Authorize;
use crate::server::bind::BindError;
use crate::server::bind::Bound;
use crate::server::bind::Sharing;
use crate::server::connection::Protocol;
use crate::server::control::Control;
use crate::server::inherited::Inherited;
use crate::server::lane::Lane;
use crate::server::limits::Limits;
use crate::server::peer::Peer;
use crate::server::slot::Slots;
use crate::server::threads::Threads;
use crate::telemetry::Telemetry;

/// The number of the user that may do everything.
const ROOT: u32 = 0;

/// How to serve.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Threads that answer checks.
    pub threads: NonZeroUsize,
    pub limits: Limits,
    /// What the admin pages may do.
    pub control: Control,
}

impl Default for Settings {
    /// As many threads as there are processors to run them.
    fn default() -> Settings {
        let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Settings { threads, limits: Limits::default(), control: Control::default() }
    }
}

/// The bound listeners. From here on the addresses are ours and connections wait; [`Server::run`] serves them.
pub struct Server {
    grpc: Option<Bound>,
    http: Option<Bound>,
    admin: Option<Bound>,
}

impl Server {
    /// Bind every listener, or say which one cannot be and what to do.
    ///
    /// What was inherited takes the place of what `listen` says.
    pub fn bind(listen: &Listen, sharing: Sharing, inherited: Inherited) -> Result<Server, BindError> {
        let bind = |setting, address: &Option<ListenAddress>, inherited: Option<Socket>| match (address, inherited) {
            (Some(address), Some(socket)) => Bound::adopt(setting, socket, address).map(Some),
            (Some(address), None) => Bound::bind(setting, address, sharing).map(Some),
            (None, _) => Ok(None),
        };
        let grpc = bind("listen.grpc", &listen.grpc, inherited.grpc)?;
        let http = bind("listen.http", &listen.http, inherited.http)?;
        let admin = bind("listen.admin", &listen.admin, inherited.admin)?;
        for (bound, earlier) in [(&http, &[&grpc] as &[_]), (&admin, &[&grpc, &http])] {
            let earlier = earlier.iter().filter_map(|bound| bound.as_ref());
            bound.as_ref().map_or(Ok(()), |bound| bound.keep_apart(earlier))?;
        }
        // Who cannot have one of them leaves the others to the process that it came to take over from.
        let open = |bound: Option<Bound>| bound.map(|bound| bound.open(sharing)).transpose();
        Ok(Server { grpc: open(grpc)?, http: open(http)?, admin: open(admin)? })
    }

    /// The real addresses: with the ports the system chose where 0 was asked for.
    pub fn listen(&self) -> Listen {
        let address = |bound: &Option<Bound>| bound.as_ref().map(|bound| bound.address().clone());
        Listen { grpc: address(&self.grpc), http: address(&self.http), admin: address(&self.admin) }
    }

    /// Serve until `shutdown` is done. Then say that we are going, serve on for `limits.drain_delay`, accept no more, and
    /// let what is under way finish, for `limits.drain` at most.
    ///
    /// Checks run on threads of their own; the accept loops and the admin pages run on the caller's runtime.
    pub async fn run<A: Authorize>(
        self,
        settings: Settings,
        engine: Arc<A>,
        telemetry: Arc<Telemetry>,
        shutdown: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let Settings { threads, limits, control } = settings;
        let listen = self.listen();
        let mut health = Health::start().await;
        let leaving = Arc::new(AtomicBool::new(false));
        let lane = || {
            let (engine, telemetry) = (Arc::clone(&engine), Arc::clone(&telemetry));
            Lane::new(engine, telemetry, health.server.clone(), limits.clone(), threads.get(), Arc::clone(&leaving))
        };
        let lanes: Vec<_> = (0..threads.get()).map(|_| lane()).collect();
        let under_way = lanes.iter().map(Lane::under_way).collect();
        let crew = Threads::start(lanes)?;
        // We are not ready before we stop accepting.
        let stopping = CancellationToken::new();
        let stop = CancellationToken::new();
        // Whatever ends this future, the accept loops and the admin pages end with it.
        let mut loops = JoinSet::new();
        for (bound, name, protocol) in [(self.grpc, "grpc", Protocol::Grpc), (self.http, "http", Protocol::Http)] {
            let Some(bound) = bound else { continue };
            let metrics = telemetry.listener(name);
            let slots = Slots::new(&limits, metrics.clone());
            let dealer = crew.dealer(protocol);
            let (callers, peers) = (Arc::clone(&engine), bound.peers());
            let admit = move |caller, peer: Option<Peer>| {
                callers.callers().admit(caller) && peers.as_ref().is_none_or(|rule| rule.admits(peer))
            };
            let deal = move |arrival| dealer.deal(arrival);
            loops.spawn(accept(accept::Socket::watch(bound)?, slots, metrics, admit, deal, stop.clone()));
        }
        let mut pages = JoinSet::new();
        if let Some(bound) = self.admin {
            let metrics = telemetry.listener("admin");
            let slots = Slots::new(&limits, metrics.clone());
            let (stopping, started) = (stopping.clone(), AtomicBool::new(false));
            let telemetry = Arc::clone(&telemetry);
            let admin = Arc::new(Admin { engine, telemetry, stopping, control, listen, under_way, started });
            // Open to whoever reaches its address: probes and scrapers are no callers. `admin` says who may do what. Over a
            // unix socket, we and root always may; others may do everything if they are named, and otherwise only read.
            let (ourselves, peers) = (Peer::ourselves()?, bound.peers());
            let is_operator = move |peer: Peer| {
                matches!(peer.user, user if user == ROOT || user == ourselves.user)
                    || peers.as_ref().is_some_and(|rule| rule.admits(Some(peer)))
            };
            let (named, all) = (is_operator.clone(), bound.peers().is_none());
            let admit = move |_, peer: Option<Peer>| all || peer.is_some_and(&named);
            let limits = limits.clone();
            let serve = move |arrival| connection::serve_admin(&admin, arrival, &is_operator, &limits);
            pages.spawn(accept(accept::Socket::watch(bound)?, slots, metrics, admit, serve, CancellationToken::new()));
        }

        shutdown.await;
        stopping.cancel();
        telemetry.metrics().stopping();
        leaving.store(true, Ordering::Relaxed);
        health.leave().await;
        tokio::time::sleep(limits.drain_delay).await;
        health.stop().await;
        stop.cancel();
        while loops.join_next().await.is_some() {}
        crew.finished().await;
        Ok(())
    }
}

/// The health service says SERVING as long as we answer at all, ready or not: a proxy that takes us for dead may let
/// requests pass, while an answer of ours is a denial at worst.
struct Health {
    reporter: HealthReporter,
    server: HealthServer<HealthService>,
}

impl Health {
    const WHOLE: &str = "";

    async fn start() -> Health {
        let reporter = HealthReporter::new();
        reporter.set_service_status(grpc::SERVICE, ServingStatus::Serving).await;
        reporter.set_service_status(Health::WHOLE, ServingStatus::Serving).await;
        let server = HealthServer::new(HealthService::from_health_reporter(reporter.clone()));
        Health { reporter, server }
    }

    /// Tell who asks and who watches that we are going.
    async fn leave(&mut self) {
        for service in [grpc::SERVICE, Health::WHOLE] {
            self.reporter.set_service_status(service, ServingStatus::NotServing).await;
        }
    }

    /// End the streams of those who watch: a drain would wait for them in vain.
    async fn stop(&mut self) {
        for service in [grpc::SERVICE, Health::WHOLE] {
            self.reporter.clear_service_status(service).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::model::listen::UnixSocket;

    #[test]
    fn who_cannot_take_over_everything_takes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("grpc.sock");
        let grpc = Some(ListenAddress::Unix(UnixSocket::at(&path)));
        let http = || Some("127.0.0.1:0".parse().expect("address"));
        let listen = Listen { grpc: grpc.clone(), http: http(), admin: None };
        let working = Server::bind(&listen, Sharing::Shared, Inherited::default()).expect("bind");
        let other = Listen { http: http(), ..Listen::default() };
        let other = Server::bind(&other, Sharing::Alone, Inherited::default()).expect("bind");
        let admin = other.listen().http;
        let wanted = Listen { grpc, http: working.listen().http, admin };
        let Err(error) = Server::bind(&wanted, Sharing::Shared, Inherited::default()) else { panic!("bound") };
        assert!(error.to_string().contains("listen.admin"), "{error}");
        assert!(UnixStream::connect(&path).is_ok(), "the one that works is still there");
        let left = std::fs::read_dir(folder.path()).expect("folder").count();
        assert_eq!(left, 1, "nothing but its socket");
    }
    #[test]
    fn no_two_listeners_share_an_address() {
        let folder = tempfile::tempdir().expect("folder");
        let unix = ListenAddress::Unix(UnixSocket::at(folder.path().join("sock")));
        let tcp = Listen { http: "127.0.0.1:0".parse().ok(), ..Listen::default() };
        let tcp = Server::bind(&tcp, Sharing::Shared, Inherited::default()).expect("bind");
        for address in [unix, tcp.listen().http.expect("an address")] {
            for sharing in [Sharing::Alone, Sharing::Shared] {
                let twice = || Some(address.clone());
                for listen in [
                    Listen { grpc: twice(), http: twice(), admin: None },
                    Listen { grpc: None, http: twice(), admin: twice() },
                    Listen { grpc: twice(), http: None, admin: twice() },
                ] {
                    assert!(Server::bind(&listen, sharing, Inherited::default()).is_err(), "{listen:?} {sharing:?}");
                }
            }
        }
    }
}
