//! The threads that answer checks, each with a runtime of its own.
//!
//! 2026-11: one runtime shared by several threads costs 60 to 85 % more processor time for each check, because a task
//! that wakes another thread's task makes every answer its own system call. So a connection stays on one thread for
//! life. Connections are dealt out by a single accept loop, each to the thread that has the fewest of that listener,
//! and not by `SO_REUSEPORT`: the system deals by a hash, which puts the two connections of a proxy with two workers
//! on one thread as often as not, and lets a second process take the same port without an error.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::server::accept::Arrival;
use crate::server::authorize::Authorize;
use crate::server::connection::Protocol;
use crate::server::connection::Server;
use crate::server::lane::Lane;

/// The running threads. Dropping the senders tells them to finish; [`Threads::finished`] waits for that.
pub(super) struct Threads {
    // INVARIANT: never more in the queues than connections have slots, so they need no bound of their own.
    queues: Vec<mpsc::UnboundedSender<(Protocol, Arrival)>>,
    ends: Vec<oneshot::Receiver<()>>,
}

impl Threads {
    /// Start one thread for each lane.
    pub(super) fn start<A: Authorize>(lanes: Vec<Lane<A>>) -> io::Result<Threads> {
        let mut threads = Threads { queues: Vec::new(), ends: Vec::new() };
        for (index, lane) in lanes.into_iter().enumerate() {
            let (queue, arrivals) = mpsc::unbounded_channel();
            let (end, ended) = oneshot::channel();
            let runtime = Builder::new_current_thread().enable_all().build()?;
            std::thread::Builder::new().name(format!("postern-{index}")).spawn(move || {
                work(runtime, lane, arrivals);
                let _ = end.send(());
            })?;
            threads.queues.push(queue);
            threads.ends.push(ended);
        }
        Ok(threads)
    }

    /// A dealer for the connections of one listener.
    pub(super) fn dealer(&self, protocol: Protocol) -> Dealer {
        let hands = self.queues.iter().map(|queue| Hand { queue: queue.clone(), held: Arc::default() }).collect();
        Dealer { protocol, hands, next: AtomicUsize::new(0) }
    }

    /// Wait until every thread has ended. All dealers must be gone, or they never do.
    pub(super) async fn finished(self) {
        drop(self.queues);
        for end in self.ends {
            // An error means that the thread is gone, which is just as well.
            let _ = end.await;
        }
    }
}

/// Deals the connections of one listener to the threads.
pub(super) struct Dealer {
    protocol: Protocol,
    hands: Vec<Hand>,
    next: AtomicUsize,
}

struct Hand {
    queue: mpsc::UnboundedSender<(Protocol, Arrival)>,
    held: Arc<AtomicUsize>,
}

impl Dealer {
    /// Give a connection to the thread with the fewest; among equals they take turns.
    pub(super) fn deal(&self, mut arrival: Arrival) {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let count = self.hands.len().max(1);
        let fewest = (0..count)
            .filter_map(|offset| self.hands.get(turn.wrapping_add(offset) % count))
            .min_by_key(|hand| hand.held.load(Ordering::Relaxed));
        if let Some(hand) = fewest {
            arrival.slot.also_count(&hand.held);
            if hand.queue.send((self.protocol, arrival)).is_err() {
                warn!("a connection was dropped: its thread has ended");
            }
        }
    }
}

fn work<A: Authorize>(runtime: Runtime, lane: Lane<A>, mut arrivals: mpsc::UnboundedReceiver<(Protocol, Arrival)>) {
    let drain = lane.limits.drain;
    runtime.block_on(async move {
        let draining = CancellationToken::new();
        let server = Arc::new(Server::new(lane, draining.clone()));
        let graceful = GracefulShutdown::new();
        while let Some((protocol, arrival)) = arrivals.recv().await {
            server.serve(protocol, arrival, graceful.watcher());
        }
        draining.cancel();
        let left = graceful.count();
        if tokio::time::timeout(drain, graceful.shutdown()).await.is_err() {
            warn!(connections = left, "some connections did not finish in time and were cut");
        }
    });
    // A look-up that hangs in the system must not keep the process.
    runtime.shutdown_background();
}
