//! A steady load of all kinds, with reloads, for some time: the memory of the process stays as it is.
//!
//! Half a minute by default. For longer: `POSTERN_SOAK_MINUTES=10 cargo test --release --test it -- soak --nocapture`.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::proxy::client;
use super::proxy::people::Tokens;
use super::proxy::postern::Postern;
use super::proxy::process::{Deadline, Signal};

const MINUTES: &str = "POSTERN_SOAK_MINUTES";
const CLIENTS: usize = 3;
/// Between two requests of one client, and between two looks at the memory.
const PAUSE: Duration = Duration::from_millis(2);
const LOOK: Duration = Duration::from_secs(1);
/// A reload every so many looks.
const RELOAD: usize = 5;

#[test]
fn memory_stays_as_it_is_under_a_steady_load() {
    #[expect(clippy::disallowed_methods, reason = "the harness is told from outside how long")]
    let minutes = std::env::var(MINUTES).ok().map(|text| text.parse::<u64>().expect("minutes"));
    let length = minutes.map_or(Duration::from_secs(30), |minutes| Duration::from_secs(60 * minutes));
    let tokens = Tokens::mint();
    let mut postern = Postern::start_under_switches(&tokens, &[]);
    let (port, id) = (postern.http, postern.id());
    let token = tokens.fill("{alice}");
    let (sent, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut sizes = Vec::new();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| load(port, &token, &sent, &over));
        }
        let deadline = Deadline::after(length);
        while !deadline.passed() {
            thread::sleep(LOOK);
            sizes.push(resident(id));
            if sizes.len() % RELOAD == 0 {
                postern.signal(Signal::Hangup);
            }
        }
        over.store(true, Ordering::SeqCst);
    });
    let (before, after) = verdict(&sizes);
    let mut err = std::io::stderr();
    let _ = writeln!(err, "soak: {} requests in {length:?}; resident KiB: {sizes:?}", sent.into_inner());
    let _ = writeln!(err, "soak: {before} KiB in the second quarter, {after} KiB in the last");
    // What an allocator keeps for a while; a leak of ten octets a request is more in ten minutes.
    assert!(after <= before + before / 20 + 2048, "it grows: {before} KiB, then {after} KiB: {sizes:?}");
}

/// Good and bad requests, on new connections, one after the other.
fn load(port: u16, token: &str, sent: &AtomicUsize, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        let number = sent.fetch_add(1, Ordering::SeqCst);
        let (host, path, credential, want) = match number % 5 {
            0 => ("app.example.test".to_owned(), "/public/ready".to_owned(), String::new(), 200),
            1 => ("app.example.test".to_owned(), format!("/desk?n={number}"), format!("Bearer {token}"), 200),
            2 => ("app.example.test".to_owned(), "/desk".to_owned(), format!("Bearer {token}{number}"), 401),
            3 => (format!("host-{number}.example.test"), "/".to_owned(), String::new(), 403),
            _ => ("app.example.test".to_owned(), format!("/desk?n={number}"), String::new(), 401),
        };
        let credential = if credential.is_empty() { credential } else { format!("Authorization: {credential}\r\n") };
        let check = format!(
            "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nX-Forwarded-Method: GET\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Uri: {path}\r\n\
             X-Forwarded-For: 192.0.2.{}\r\n{credential}\r\n",
            number % 256
        );
        let reply = client::send_from(Ipv4Addr::LOCALHOST, port, check.as_bytes()).expect("an answer");
        assert!(reply.status == want || reply.status == 503, "{check}{reply:?}");
        thread::sleep(PAUSE);
    }
}

/// The resident size of a process in KiB.
fn resident(id: u32) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "what the system says of a child of ours")]
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The median of the second quarter, when all is warm, and of the last one.
fn verdict(sizes: &[u64]) -> (u64, u64) {
    let quarter = sizes.len() / 4;
    let median = |sizes: &[u64]| {
        let mut sizes = sizes.to_vec();
        sizes.sort_unstable();
        sizes[sizes.len() / 2]
    };
    (median(&sizes[quarter..2 * quarter]), median(&sizes[3 * quarter..]))
}

#[test]
fn a_leak_would_show() {
    let flat: Vec<u64> = (0..100).map(|look| 20_000 + look % 7).collect();
    let leak: Vec<u64> = (0..100).map(|look| 20_000 + look * 80).collect();
    assert_eq!(verdict(&flat), (20_003, 20_003));
    assert_eq!(verdict(&leak), (20_000 + 37 * 80, 20_000 + 87 * 80));
}
