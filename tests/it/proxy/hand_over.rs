//! A rolling restart on one machine: under continuous traffic a successor starts beside Postern, which is then told to
//! end. Not one request fails, with the shipped configurations.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::client;
use super::edge::{Edge, Proxy, Setup, patience};
use super::people::Tokens;
use super::ports;
use super::postern::{Grpc, Postern};
use super::process::{Deadline, Signal};
use super::upstream::{SCENARIO, Upstream};

const POLL: Duration = Duration::from_millis(10);
const ROUNDS: usize = 3;
const CLIENTS: usize = 4;
/// Between two restarts, and after the last one.
const REQUESTS: usize = 200;

#[test]
fn envoy_over_grpc_loses_nothing_when_postern_is_replaced() {
    replaced_under(Proxy::EnvoyGrpc, |_| Grpc::Port(ports::free()));
}

#[test]
fn envoy_over_a_unix_socket_loses_nothing_when_postern_is_replaced() {
    replaced_under(Proxy::EnvoyGrpc, |folder| Grpc::Socket(folder.join("grpc.sock")));
}

#[test]
fn envoy_over_http_loses_nothing_when_postern_is_replaced() {
    replaced_under(Proxy::EnvoyHttp, |_| Grpc::Port(ports::free()));
}

#[test]
fn nginx_loses_nothing_when_postern_is_replaced() {
    replaced_under(Proxy::Nginx, |_| Grpc::Port(ports::free()));
}

#[test]
fn caddy_loses_nothing_when_postern_is_replaced() {
    replaced_under(Proxy::Caddy, |_| Grpc::Port(ports::free()));
}

#[test]
fn traefik_loses_nothing_when_postern_is_replaced() {
    replaced_under(Proxy::Traefik, |_| Grpc::Port(ports::free()));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut postern = Postern::start_under_switches(&Tokens::mint(), &["--drain-delay", "1h"]);
    postern.signal(Signal::Terminate);
    let deadline = Deadline::after(Duration::from_secs(20));
    while !postern.log().contains("shutting down") {
        assert!(!deadline.passed(), "{}", postern.log());
        thread::sleep(POLL);
    }
    postern.signal(Signal::Terminate);
    assert_eq!(postern.wait_for_end().code(), Some(1), "{}", postern.log());
}

fn replaced_under(proxy: Proxy, grpc: impl FnOnce(&Path) -> Grpc) {
    let tokens = Tokens::mint();
    let (mut postern, upstream) = (Postern::start_to_be_replaced(&tokens, grpc), Upstream::start());
    let edits = patience(proxy, Setup::Shipped);
    let Some(edge) = Edge::start(proxy, Setup::Shipped, &edits, &postern, &upstream) else { return };
    let token = tokens.fill("{alice}");
    let (sent, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let failed = thread::scope(|scope| {
        let clients = [(); CLIENTS].map(|()| scope.spawn(|| traffic(&edge, &token, &sent, &over)));
        let over = Ends(&over);
        for _ in 0..ROUNDS {
            wait_for_more(&edge, &sent);
            postern.replace();
        }
        wait_for_more(&edge, &sent);
        drop(over);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect::<Vec<_>>()
    });
    let sent = sent.into_inner();
    assert!(failed.is_empty(), "{proxy:?}: {failed:?} of {sent}\n{}\n{}", edge.log(), postern.log());
}

/// Ask until it is over; what was answered, or not, where that was no allow.
fn traffic(edge: &Edge, token: &str, sent: &AtomicUsize, over: &AtomicBool) -> Vec<String> {
    let mut failed = Vec::new();
    while !over.load(Ordering::SeqCst) {
        let number = sent.fetch_add(1, Ordering::SeqCst);
        let request = format!(
            "GET /desk HTTP/1.1\r\nHost: app.example.test\r\n{SCENARIO}: {number}\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        match client::send(edge.port, request.as_bytes()) {
            Ok(reply) if reply.status == 200 => {}
            Ok(reply) => failed.push(format!("{number}: {}", reply.status)),
            Err(error) => failed.push(format!("{number}: {error}")),
        }
    }
    failed
}

fn wait_for_more(edge: &Edge, sent: &AtomicUsize) {
    let deadline = Deadline::after(Duration::from_secs(60));
    let before = sent.load(Ordering::SeqCst);
    while sent.load(Ordering::SeqCst) < before + REQUESTS {
        assert!(!deadline.passed(), "there is no traffic\n{}", edge.log());
        thread::sleep(POLL);
    }
}

/// Sets a flag when it goes out of scope, by whichever way.
struct Ends<'f>(&'f AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
