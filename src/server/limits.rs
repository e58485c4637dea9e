//! Every number the listeners keep to, in one place with its reason.

use std::time::Duration;

/// What one process, one peer, one connection and one request may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of one listener.
    pub connections: usize,
    /// Open connections of one peer address at one listener. A proxy is one peer, and one that opens a connection
    /// for every check needs many; so this only keeps one caller from taking everything.
    pub connections_per_peer: usize,
    /// Checks being answered at once, over all listeners. Past it a check is refused as `overloaded`.
    pub in_flight: usize,
    /// The longest a check may take when its caller names no deadline, or a longer one.
    pub longest: Duration,
    /// How long a caller that says nothing, or more, is taken to wait for its answer. When a thread is behind, checks
    /// that waited for more than a quarter of it are turned away, a growing share of them, and all from half of it on.
    pub patience: Duration,
    /// From the first octet of a request to the end of its head, or of any HTTP/2 frame to its last octet; and how long
    /// an HTTP/2 peer may take to accept an answer.
    pub head: Duration,
    /// How long a connection may rest between requests. Longer than any proxy keeps its own idle connections
    /// (Envoy: one hour): the side that closes first makes the other lose a check that was just under way.
    pub idle: Duration,
    /// The largest `CheckRequest`. Envoy takes 60 KiB of headers from a client; the message repeats some of them.
    pub message: usize,
    /// The largest head of an HTTP request, for the same reason.
    pub header_list: u32,
    /// Octets of heads and messages that have begun and are not whole, over all connections. Past it such a head ends
    /// its connection, and such a message is refused. What arrives at once is not counted.
    pub unfinished: usize,
    /// HTTP/2 requests under way on one connection. A proxy with more opens another one (RFC 9113 §6.5.2 asks for 100
    /// at least); the fewer, the shorter a thread's round through its connections, and the sooner an answer leaves.
    pub streams: u32,
    /// At the end: how long we accept and answer as before, after saying that we are going. Nought where nobody listens
    /// to that; with a load balancer, longer than it takes to hear of it.
    pub drain_delay: Duration,
    /// After that: how long connections may take to finish.
    pub drain: Duration,
}

/// What an idle connection takes, in octets.
const CONNECTION: u64 = 20 * 1024;
/// What a check takes that waits for somebody.
const CHECK: u64 = 8 * 1024;

impl Limits {
    /// The same in a process that may use so much memory: of each thing that a client can ask for, no more than a part of
    /// that, and never more than without such a bound.
    pub fn within(self, memory: Option<u64>) -> Limits {
        let Some(memory) = memory else { return self };
        let share = |part: u64, each: u64, least: usize, most: usize| {
            usize::try_from(memory / part / each).unwrap_or(usize::MAX).max(least).min(most)
        };
        Limits {
            connections: share(4, CONNECTION, 64, self.connections),
            connections_per_peer: share(8, CONNECTION, 32, self.connections_per_peer),
            in_flight: share(8, CHECK, 256, self.in_flight),
            unfinished: share(16, 1, 1024 * 1024, self.unfinished),
            ..self
        }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            connections_per_peer: 5_000,
            in_flight: 10_000,
            longest: Duration::from_secs(5),
            patience: Duration::from_secs(1),
            head: Duration::from_secs(5),
            idle: Duration::from_secs(65 * 60),
            message: 256 * 1024,
            header_list: 128 * 1024,
            unfinished: 4 * 1024 * 1024,
            streams: 128,
            drain_delay: Duration::ZERO,
            drain: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_bounds_what_clients_may_take_and_never_widens_it() {
        let of = |memory| {
            let limits = Limits::default().within(memory);
            (limits.connections, limits.connections_per_peer, limits.in_flight, limits.unfinished)
        };
        let whole = (10_000, 5_000, 10_000, 4 << 20);
        assert_eq!(of(None), whole);
        assert_eq!(of(Some(1 << 40)), whole);
        assert_eq!(of(Some(64 << 20)), (819, 409, 1024, 4 << 20));
        assert_eq!(of(Some(32 << 20)), (409, 204, 512, 2 << 20));
        assert_eq!(of(Some(0)), (64, 32, 256, 1 << 20));
        // All of it together leaves room for the policy and its caches.
        let Limits { connections, in_flight, unfinished, .. } = Limits::default().within(Some(64 << 20));
        let most = connections as u64 * CONNECTION + in_flight as u64 * CHECK + unfinished as u64;
        assert!(most <= (64 << 20) / 2, "{most}");
    }
}
