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
