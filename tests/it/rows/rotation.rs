//! K1, K4, K5 at full speed: two thousand requests a second while the issuer brings new keys, goes away for a minute, comes
//! back and takes a key away. It takes three and a half minutes, so it is run by hand:
//!
//! ```text
//! cargo build --release
//! POSTERN_BINARY=$PWD/target/release/postern cargo test --test it -- --ignored --nocapture two_thousand
//! ```

use std::collections::BTreeMap;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use serde_json::json;

use super::listener::ask;
use super::listener::serve;
use crate::token::Issuer;
use crate::token::now;

/// Who asks, and how often each of them does in a second.
const THREADS: usize = 4;
const PACE: u32 = 500;

/// An issuer whose keys change, and which may be away.
struct Provider {
    /// `None`: away, connections are closed unanswered.
    document: Mutex<Option<String>>,
    fetches: AtomicUsize,
}

impl Provider {
    fn start() -> (Arc<Provider>, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let provider = Arc::new(Provider { document: Mutex::new(None), fetches: AtomicUsize::new(0) });
        let own = Arc::clone(&provider);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                own.fetches.fetch_add(1, Ordering::Relaxed);
                let Some(document) = own.document.lock().expect("keys").clone() else { continue };
                let _ = stream.read(&mut [0; 4096]);
                let length = document.len();
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
                let _ = stream.write_all(format!("{head}{document}").as_bytes());
            }
        });
        (provider, port)
    }

    fn publish(&self, keys: &[&Issuer]) {
        let keys: Vec<Value> = keys
            .iter()
            .map(|key| serde_json::from_str::<Value>(&key.jwks()).expect("JSON")["keys"][0].clone())
            .collect();
        *self.document.lock().expect("keys") = Some(json!({"keys": keys}).to_string());
    }

    fn go_away(&self) {
        *self.document.lock().expect("keys") = None;
    }
}

/// The tokens in turn, each by its name, and what became of them so far.
#[derive(Default)]
struct Load {
    tokens: Mutex<Vec<(&'static str, String)>>,
    /// By name: allowed, refused, refused after it had been allowed.
    seen: Mutex<BTreeMap<&'static str, [usize; 3]>>,
    stop: AtomicBool,
}

impl Load {
    fn run(&self, port: u16) {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", port)).expect("a connection"));
        let (started, mut asked) = (Instant::now(), 0_u32);
        while !self.stop.load(Ordering::Relaxed) {
            let (name, token) = {
                let tokens = self.tokens.lock().expect("tokens");
                tokens[asked as usize % tokens.len()].clone()
            };
            let request = format!(
                "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /x\r\nAuthorization: Bearer {token}\r\n\r\n"
            );
            stream.get_mut().write_all(request.as_bytes()).expect("sent");
            let status = answer(&mut stream);
            let mut seen = self.seen.lock().expect("answers");
            let counts = seen.entry(name).or_default();
            match status {
                200 => counts[0] += 1,
                _ if counts[0] > 0 => counts[2] += 1,
                _ => counts[1] += 1,
            }
            drop(seen);
            asked += 1;
            let due = Duration::from_secs(1) / PACE * asked;
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
    }

    fn of(&self, name: &str) -> [usize; 3] {
        self.seen.lock().expect("answers").get(name).copied().unwrap_or_default()
    }
}

/// The status of the next answer, which is read whole.
fn answer(stream: &mut BufReader<TcpStream>) -> u16 {
    let (mut status, mut length) = (0, 0);
    for number in 0.. {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a line");
        let line = line.trim_end().to_ascii_lowercase();
        if number == 0 {
            status = line.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
        } else if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().expect("a length");
        } else if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).expect("a body");
    status
}

#[test]
#[ignore = "takes three and a half minutes: run it by hand"]
fn k5_two_thousand_requests_a_second_while_the_issuer_rotates() {
    let (provider, port) = Provider::start();
    let [one, two, three] = ["k1", "k2", "k3"].map(Issuer::new);
    let forger = Issuer::new("k1");
    let stranger = Issuer::new("k9");
    // Of each kind many, so that few are remembered as verified when the keys change.
    let tokens = |name: &'static str, issuer: &Issuer| -> Vec<(&'static str, String)> {
        let claims = |number: usize| {
            json!({
                "iss": "https://sso.test", "aud": "app", "sub": "alice", "iat": now() - 60, "exp": now() + 3600,
                "groups": ["staff"], "jti": number,
            })
        };
        (0..50).map(|number| (name, issuer.sign(&claims(number)))).collect()
    };
    provider.publish(&[&one]);
    let policy = format!(
        "identity: {{people: {{jwt: {{issuer: https://sso.test, audience: app, jwks_url: 'http://127.0.0.1:{port}/keys', key_hosts: [127.0.0.1], insecure_http: true, refresh: 1m}}}}}}\nhosts: {{app.test: {{routes: [{{path: /**, require: {{groups: [staff]}}}}]}}}}\n"
    );
    let (process, [_, http, admin], _folder) = serve(&policy, "", "--threads 2 --log-level error", &[]);
    while ask(admin, "/readyz", "").is_none_or(|(status, _)| status != 200) {
        thread::sleep(Duration::from_millis(20));
    }
    let load = Arc::new(Load::default());
    let forged = [tokens("forged", &forger), tokens("stranger", &stranger)].concat();
    let bring = |good: &[(&'static str, &Issuer)]| {
        let good = good.iter().flat_map(|(name, issuer)| tokens(name, issuer));
        *load.tokens.lock().expect("tokens") = good.chain(forged.clone()).collect();
    };
    bring(&[("k1", &one)]);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let load = Arc::clone(&load);
            thread::spawn(move || load.run(http))
        })
        .collect();
    let started = Instant::now();
    let until = |second: u64| thread::sleep(Duration::from_secs(second).saturating_sub(started.elapsed()));
    let allowed_by = |name: &str, second: u64| {
        while load.of(name)[0] == 0 {
            assert!(started.elapsed() < Duration::from_secs(second), "{name} is not known after {second} s");
            thread::sleep(Duration::from_millis(50));
        }
    };
    until(35);
    provider.publish(&[&one, &two]);
    bring(&[("k1", &one), ("k2", &two)]);
    allowed_by("k2", 100);
    until(45);
    provider.go_away();
    until(105);
    provider.publish(&[&one, &two, &three]);
    bring(&[("k1", &one), ("k2", &two), ("k3", &three)]);
    allowed_by("k3", 170);
    assert_eq!(["k1", "k2", "k3"].map(|name| load.of(name)[2]), [0; 3], "a good token was refused");
    let fetches = provider.fetches.load(Ordering::Relaxed);
    // From here on `k1` is another's affair: it is asked by itself.
    bring(&[("k2", &two), ("k3", &three), ("gone", &one)]);
    allowed_by("gone", 200);
    provider.publish(&[&two, &three]);
    while load.of("gone")[2] < 100 {
        assert!(started.elapsed() < Duration::from_secs(280), "a withdrawn key still counts");
        thread::sleep(Duration::from_millis(50));
    }
    let after = load.of("gone")[0];
    thread::sleep(Duration::from_secs(2));
    load.stop.store(true, Ordering::Relaxed);
    for thread in threads {
        thread.join().expect("an asker");
    }
    let seen = load.seen.lock().expect("answers").clone();
    let total: usize = seen.values().flatten().sum();
    let report = format!(
        "{total} answers in {:.0?}, {fetches} connections to the issuer before the last change; by token (allowed, refused, refused after allowed): {seen:?}\n",
        started.elapsed(),
    );
    let _ = std::io::stderr().write_all(report.as_bytes());
    assert_eq!((seen["forged"][0], seen["stranger"][0]), (0, 0), "a wrong allow");
    assert_eq!([seen["k1"][2], seen["k2"][2], seen["k3"][2]], [0; 3], "a good token was refused");
    assert_eq!(seen["gone"][0], after, "a withdrawn key came back");
    assert!(fetches <= 12, "{fetches} fetches in two minutes");
    drop(process);
}
