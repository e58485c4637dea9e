//! What the shipped configurations do when Postern is dead, silent or at a loss: they refuse, and afterwards they go on.
//! The limits on Postern's answer are the shipped ones here.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

use super::client;
use super::edge::{Edge, Edit, Proxy, Setup};
use super::people::Tokens;
use super::ports;
use super::postern::Postern;
use super::process::{Deadline, Signal};
use super::upstream::{SCENARIO, Upstream};

#[test]
fn envoy_over_grpc_refuses_without_postern() {
    without_postern(Proxy::EnvoyGrpc);
}

#[test]
fn envoy_over_http_refuses_without_postern() {
    without_postern(Proxy::EnvoyHttp);
}

#[test]
fn caddy_refuses_without_postern() {
    without_postern(Proxy::Caddy);
}

#[test]
fn nginx_refuses_without_postern() {
    without_postern(Proxy::Nginx);
}

#[test]
fn nginx_of_the_system_refuses_without_postern() {
    without_postern(Proxy::NginxSystem);
}

#[test]
fn traefik_refuses_without_postern() {
    without_postern(Proxy::Traefik);
}

#[test]
fn haproxy_refuses_without_postern() {
    without_postern(Proxy::Haproxy);
}

#[test]
fn f2_envoy_over_grpc_takes_no_answer_for_a_failure() {
    with_failure_mode_allow(Proxy::EnvoyGrpc);
}

#[test]
fn f2_envoy_over_http_takes_no_answer_for_a_failure() {
    with_failure_mode_allow(Proxy::EnvoyHttp);
}

/// HAProxy goes on to the next rule when a script stops with a fault; the next rule must refuse.
#[test]
fn a_fault_in_the_script_of_haproxy_refuses() {
    let tokens = Tokens::mint();
    let (postern, upstream) = (Postern::start(&tokens), Upstream::start());
    let fault = Edit::new(
        "txn:set_var(\"txn.postern\", \"deny\")",
        "if txn.sf:path() == \"/desk\" then error(\"a fault\") end",
    );
    let Some(edge) = Edge::start(Proxy::Haproxy, Setup::Shipped, &[fault], &postern, &upstream) else { return };
    assert_eq!(ask(&edge, "fault", Some(&tokens.fill("{alice}"))), 503, "{}", edge.log());
    assert!(upstream.take("fault").is_empty(), "the application was reached past a broken script");
    assert!(edge.log().contains("a fault"), "the fault was not met: {}", edge.log());
}

/// What stands between the traffic and the test.
#[derive(Default)]
struct Course {
    phase: AtomicU8,
    over: AtomicBool,
}

// Before: 0.
const DEAD: u8 = 1;
const BACK: u8 = 2;

/// One request of the traffic.
#[derive(Debug)]
struct Sent {
    id: String,
    /// The phase when it was sent, and when its answer had come.
    during: (u8, u8),
    status: u16,
}

/// Kill Postern under traffic, start it again, stop it, let it go on.
fn without_postern(proxy: Proxy) {
    let tokens = Tokens::mint();
    let (mut postern, upstream) = (Postern::start(&tokens), Upstream::start());
    let Some(edge) = Edge::start(proxy, Setup::Shipped, &[], &postern, &upstream) else { return };
    let alice = tokens.fill("{alice}");

    let course = Course::default();
    let (allowed, nobody) = thread::scope(|scope| {
        let allowed = scope.spawn(|| traffic(&edge, "alice", Some(&alice), &course));
        let nobody = scope.spawn(|| traffic(&edge, "nobody", None, &course));
        // Whatever happens below, the traffic ends, or the scope would wait for it for ever.
        let over = Ends(&course.over);
        wait_for(&edge, "an allow", || ask(&edge, "before", Some(&alice)) == 200);
        postern.kill();
        course.phase.store(DEAD, Ordering::SeqCst);
        // HAProxy takes three seconds to find out that nobody listens.
        for round in 0..2 {
            let id = format!("dead-{round}");
            assert_eq!(ask(&edge, &id, Some(&alice)), without_answer(proxy), "{proxy:?}: {}", edge.log());
            assert!(upstream.take(&id).is_empty(), "{proxy:?}: the application was reached without a check");
        }
        course.phase.store(BACK, Ordering::SeqCst);
        postern.restart();
        wait_for(&edge, "an allow once Postern is back", || ask(&edge, "back", Some(&alice)) == 200);
        drop(over);
        (allowed.join().expect("traffic"), nobody.join().expect("traffic"))
    });

    for sent in allowed.iter().chain(&nobody) {
        let arrived = !upstream.take(&sent.id).is_empty();
        // A request that was judged before the end may have been passed on after it; none is passed on unjudged.
        assert_eq!(arrived, sent.status == 200, "{proxy:?}: {sent:?}");
        assert!(sent.during != (DEAD, DEAD) || sent.status >= 500, "{proxy:?}: {sent:?}");
    }
    assert!(nobody.iter().all(|sent| sent.status != 200), "{proxy:?} let nobody in: {nobody:?}");
    assert!(allowed.iter().any(|sent| sent.status == 200), "{proxy:?}: there was no traffic: {allowed:?}");

    // Traefik waits for thirty seconds, whatever it is told.
    if proxy != Proxy::Traefik {
        postern.signal(Signal::Stop);
        // A stop reaches the threads of a process one after the other; an answer may still be under way.
        wait_for(&edge, "silence", || ask(&edge, "silence", Some(&alice)) != 200);
        assert_eq!(ask(&edge, "silent", Some(&alice)), without_answer(proxy), "{proxy:?}: {}", edge.log());
        assert!(upstream.take("silent").is_empty(), "{proxy:?}: the application was reached without an answer");
        postern.signal(Signal::Continue);
        wait_for(&edge, "an allow once Postern speaks again", || ask(&edge, "speaks", Some(&alice)) == 200);
    }

    // Not silent, but unable to say.
    postern.restart_with_keys_at(ports::free());
    wait_for(&edge, "an answer", || ask(&edge, "anybody", None) == 401);
    assert_eq!(ask(&edge, "without keys", Some(&alice)), 503, "{proxy:?}: {}", postern.log());
    assert!(upstream.take("without keys").is_empty(), "{proxy:?}: the application was reached without keys");
}

/// Envoy told to allow when the check fails: nothing that Postern answers is taken for that. Without keys it answers late,
/// and that it cannot say.
fn with_failure_mode_allow(proxy: Proxy) {
    let tokens = Tokens::mint();
    let (mut postern, upstream) = (Postern::start(&tokens), Upstream::start());
    let edits = [
        Edit::new("failure_mode_allow: false", "failure_mode_allow: true"),
        // Half of it is how long Postern waits for keys, and the other half is for a busy machine.
        Edit::new(" timeout: 0.5s", " timeout: 4s"),
        Edit::new("max_interval: 0.25s", "max_interval: 4s"),
    ];
    let edits = if proxy == Proxy::EnvoyGrpc { &edits[..] } else { &edits[..2] };
    let Some(edge) = Edge::start(proxy, Setup::Shipped, edits, &postern, &upstream) else { return };
    let alice = tokens.fill("{alice}");
    // A server that takes connections and never says a word.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let keys =
        [("nobody has the keys", ports::free()), ("keys never come", silent.local_addr().expect("a port").port())];
    for (what, port) in keys {
        postern.restart_with_keys_at(port);
        for (who, token, status) in [("alice", Some(alice.as_str()), 503), ("nobody", None, 401)] {
            let id = format!("{who}: {what}");
            assert_eq!(ask(&edge, &id, token), status, "{proxy:?} {id}\n{}", postern.log());
            assert!(upstream.take(&id).is_empty(), "{proxy:?} {id}: the application was reached");
        }
    }
    // That the switch is on is seen when nobody answers at all.
    postern.kill();
    assert_eq!(ask(&edge, "open", None), 200, "{proxy:?}: failure_mode_allow is not in force");
}

/// What a client is told when Postern does not answer.
fn without_answer(proxy: Proxy) -> u16 {
    // Traefik knows no other word for it.
    if proxy == Proxy::Traefik { 500 } else { 503 }
}

/// Send requests one after the other until the test is over.
fn traffic(edge: &Edge, name: &str, token: Option<&str>, course: &Course) -> Vec<Sent> {
    let mut sent = Vec::new();
    while !course.over.load(Ordering::SeqCst) {
        let id = format!("{name}-{}", sent.len());
        let before = course.phase.load(Ordering::SeqCst);
        let status = ask(edge, &id, token);
        sent.push(Sent { id, during: (before, course.phase.load(Ordering::SeqCst)), status });
    }
    sent
}

/// The status of one request for a page that only staff may see.
fn ask(edge: &Edge, id: &str, token: Option<&str>) -> u16 {
    let credential = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let request = format!("GET /desk HTTP/1.1\r\nHost: app.example.test\r\n{SCENARIO}: {id}\r\n{credential}\r\n");
    match client::send(edge.port, request.as_bytes()) {
        Ok(reply) => reply.status,
        Err(error) => panic!("{id}: no answer: {error}\n{}", edge.log()),
    }
}

fn wait_for(edge: &Edge, what: &str, mut come: impl FnMut() -> bool) {
    let deadline = Deadline::after(Duration::from_secs(20));
    while !come() {
        assert!(!deadline.passed(), "{what} did not come\n{}", edge.log());
    }
}

/// Sets a flag when it goes out of scope, by whichever way.
struct Ends<'f>(&'f AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
