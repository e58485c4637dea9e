//! Keys of an issuer that comes and goes, and a process that does too.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use serde_json::json;
use tempfile::TempDir;

use super::listener::ask;
use super::listener::serve;
use crate::token::Issuer;
use crate::token::now;

/// Publishes one key set until it is dropped; then the port is closed.
struct Published {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Published {
    fn start(document: String) -> Published {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let port = listener.local_addr().expect("address").port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request);
                let head =
                    format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", document.len());
                let _ = stream.write_all(format!("{head}{document}").as_bytes());
            }
        });
        Published { port, stop, thread: Some(thread) }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

#[test]
fn k4_a_restart_is_ready_at_once_though_the_issuer_is_away() {
    let issuer = Issuer::new("k1");
    let published = Published::start(issuer.jwks());
    let state = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let policy = format!(
        "state_dir: {}\ncallers: [127.0.0.0/8]\nidentity:\n  people:\n    jwt: {{issuer: https://sso.test, audience: app, \
         algorithms: [ES256], jwks_url: 'http://127.0.0.1:{}/keys', insecure_http: true, key_hosts: 127.0.0.1}}\n\
         hosts: {{app.test: {{routes: [{{path: /**, require: {{groups: staff}}}}]}}}}\n",
        state.path().join("postern").display(),
        published.port
    );
    let claims =
        json!({"iss": "https://sso.test", "aud": "app", "sub": "alice", "exp": now() + 600, "groups": ["staff"]});
    let headers = format!(
        "X-Forwarded-Method: GET\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /x\r\nAuthorization: Bearer {}\r\n",
        issuer.sign(&claims)
    );
    let ready = |admin| ask(admin, "/readyz", "").is_some_and(|(status, _)| status == 200);

    let (mut process, [_, http, admin], _folder) = serve(&policy, "", "", &[]);
    process.wait_until("/readyz", || ready(admin));
    assert_eq!(ask(http, "/auth/nginx", &headers).map(|(status, _)| status), Some(200));
    let kept = || {
        std::fs::read_dir(state.path().join("postern")).is_ok_and(|mut files| {
            files.any(|file| file.is_ok_and(|file| file.file_name().as_encoded_bytes().starts_with(b"keys-")))
        })
    };
    process.wait_until("the kept keys", kept);
    process.kill();
    drop(published);

    let (mut process, [_, http, admin], _folder) = serve(&policy, "", "", &[]);
    // It answers, so it is ready: there is nothing to wait for.
    assert!(ready(admin), "{:?}", ask(admin, "/readyz", ""));
    assert_eq!(ask(http, "/auth/nginx", &headers).map(|(status, _)| status), Some(200));
    process.wait_until("a failed fetch", || {
        ask(admin, "/metrics", "").is_some_and(|(_, text)| {
            text.lines().any(|line| {
                line.starts_with("postern_keys_refresh_failures{source=\"people\"}") && !line.ends_with(" 0")
            })
        })
    });
    assert!(ready(admin));
    process.kill();

    // Without its state it knows nobody, and says whose keys are missing.
    std::fs::remove_dir_all(state.path().join("postern")).expect("removed");
    let (_process, [_, http, admin], _folder) = serve(&policy, "", "", &[]);
    let (status, body) = ask(admin, "/readyz", "").expect("an answer");
    assert_eq!(status, 503);
    assert!(body.contains("identity source `people` has no keys of https://sso.test"), "{body}");
    assert_eq!(ask(http, "/auth/nginx", &headers).map(|(status, _)| status), Some(503));
}
