//! What a client is told of limits behind each real proxy, with the shipped configurations.

use std::net::Ipv4Addr;

use super::client::{self, Reply};
use super::edge::{Edge, Proxy, Setup, patience};
use super::people::Tokens;
use super::postern::Postern;
use super::upstream::{SCENARIO, Upstream};

#[test]
fn limits_hold_behind_envoy_over_grpc() {
    limited(Proxy::EnvoyGrpc, true);
}

#[test]
fn limits_hold_behind_envoy_over_http() {
    limited(Proxy::EnvoyHttp, true);
}

#[test]
fn limits_hold_behind_caddy() {
    limited(Proxy::Caddy, false);
}

#[test]
fn limits_hold_behind_nginx() {
    limited(Proxy::Nginx, true);
}

#[test]
fn limits_hold_behind_nginx_of_the_system() {
    limited(Proxy::NginxSystem, true);
}

#[test]
fn limits_hold_behind_traefik() {
    limited(Proxy::Traefik, false);
}

#[test]
fn limits_hold_behind_haproxy() {
    limited(Proxy::Haproxy, false);
}

/// Two an hour, then 429. `told`: the proxy passes on how the client stands also when it passes.
fn limited(proxy: Proxy, told: bool) {
    let tokens = Tokens::mint();
    let (postern, upstream) = (Postern::start_under("tests/proxies/limits.yaml", &tokens), Upstream::start());
    let setup = Setup::Shipped;
    let Some(edge) = Edge::start(proxy, setup, &patience(proxy, setup), &postern, &upstream) else { return };
    for left in ["1", "0"] {
        let reply = ask(&edge, "/limited", "");
        assert_eq!(reply.status, 200, "{reply:?}\n{}", edge.log());
        let state = reply.all("ratelimit");
        assert_eq!(state.len(), usize::from(told), "{reply:?}");
        assert!(state.iter().all(|state| state.starts_with(&format!("\"address\";r={left};t="))), "{state:?}");
    }
    assert_eq!(upstream.take("limited").len(), 2);
    let refused = ask(&edge, "/limited", "");
    assert_eq!(refused.status, 429, "{refused:?}\n{}", edge.log());
    let wait: u64 = one(&refused, "retry-after").parse().expect("seconds");
    assert!((1700..=1800).contains(&wait), "{refused:?}");
    assert_eq!(one(&refused, "ratelimit-policy"), "\"address\";q=2;w=3600");
    assert!(one(&refused, "ratelimit").starts_with("\"address\";r=0;t="), "{refused:?}");
    assert_eq!(one(&refused, "cache-control"), "no-store");
    if proxy == Proxy::EnvoyGrpc {
        // A client of gRPC gets what it understands, and does not try again at once.
        let rpc = ask(&edge, "/limited", "Content-Type: application/grpc\r\n");
        assert_eq!((rpc.status, one(&rpc, "grpc-status")), (200, "8".to_owned()), "{rpc:?}");
    }
    assert_eq!(upstream.take("limited").len(), 0, "nothing came through");
    // Others are not concerned, and nor is what is not limited.
    let other =
        client::send_from(Ipv4Addr::new(127, 0, 0, 10), edge.port, &request("/limited", "")).expect("an answer");
    assert_eq!((other.status, ask(&edge, "/free", "").status), (200, 200), "{other:?}");
}

fn one(reply: &Reply, name: &str) -> String {
    let [value] = reply.all(name)[..] else { panic!("{name} is not there once: {reply:?}") };
    value.to_owned()
}

fn ask(edge: &Edge, target: &str, more: &str) -> Reply {
    client::send(edge.port, &request(target, more)).expect("an answer")
}

fn request(target: &str, more: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: app.example.test\r\n{SCENARIO}: limited\r\n{more}\r\n").into_bytes()
}
