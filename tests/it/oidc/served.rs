//! The binary itself asks a real provider: what `serve` and `explain` do in the background.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::house::BASIC;
use super::house::legacy;
use super::provider::Provider;
use crate::proxy::client;
use crate::proxy::client::Reply;
use crate::proxy::ports;
use crate::proxy::process::Deadline;
use crate::proxy::process::Process;

#[test]
fn the_binary_asks_the_provider_when_it_serves_and_when_it_explains() {
    let Some(mut provider) = Provider::start() else { return };
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let (http, admin) = (ports::free(), ports::free());
    let source = legacy(&provider, BASIC, "");
    let policy = format!(
        "version: 1\nlisten: {{grpc: 'unix:{}', http: '127.0.0.1:{http}', admin: '127.0.0.1:{admin}'}}\nidentity:\n{source}\
         hosts:\n  app.test: {{routes: [{{path: /**, require: {{users: [robot]}}}}]}}\n...\n",
        folder.path().join("grpc.sock").display()
    );
    std::fs::write(folder.path().join("policy.yaml"), policy).expect("a policy");
    let mut serving = Process::start("postern", &mut postern(folder.path(), &["serve"]), &folder.path().join("log"));
    serving.wait_until("/readyz", || {
        client::send(admin, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .is_ok_and(|reply| reply.status == 200)
    });

    let (token, fresh) = (provider.token(None), provider.token(None));
    assert_eq!(answered(http, &token), (200, vec!["robot".to_owned()]), "{}", serving.log());
    assert_eq!(answered(http, "made-up"), (401, vec![]));
    let metrics = client::send(admin, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let metrics = metrics.expect("metrics").body;
    for series in [
        "postern_introspection_calls_total{outcome=\"active\",source=\"legacy\"} 1\n",
        "postern_introspection_calls_total{outcome=\"refused\",source=\"legacy\"} 1\n",
        "postern_introspection_breaker_open{source=\"legacy\"} 0\n",
        "postern_insecure_switch{switch=\"identity.legacy.introspection.insecure_url\"} 1\n",
    ] {
        assert!(metrics.contains(series), "{series}{metrics}");
    }

    let explain = |token: &str| {
        let output = postern(folder.path(), &["explain", "--url", "https://app.test/x", "--token", token])
            .output()
            .expect("output");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = explain(&token);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("proven: `robot` of legacy"), "{text}");
    assert_eq!(explain("made-up").0, Some(3));
    let assumed = ["explain", "--url", "https://app.test/x", "--as", "{user: robot, identity: legacy}"];
    let status = postern(folder.path(), &assumed).output().expect("output").status;
    assert_eq!(status.code(), Some(0), "`--as` knows the source");

    provider.kill();
    assert_eq!(asked(http, &fresh), (503, vec![]));
    let (code, text) = explain(&fresh);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("upstream_unavailable"), "{text}");
}

/// The binary, told of the policy in this folder.
fn postern(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(words).args(["--config", "policy.yaml"]).current_dir(folder);
    command.env("BASIC_SECRET", "a secret: with & odd = signs %");
    command
}

/// What Traefik is told once the provider has answered: a busy machine may take longer than a request waits.
fn answered(http: u16, token: &str) -> (u16, Vec<String>) {
    let patience = Deadline::after(Duration::from_secs(10));
    loop {
        let answer = asked(http, token);
        if answer.0 != 503 || patience.passed() {
            return answer;
        }
    }
}

/// What Traefik is told.
fn asked(http: u16, token: &str) -> (u16, Vec<String>) {
    let request = format!(
        "GET /auth/traefik HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /x\r\n\
         X-Forwarded-For: 198.51.100.7\r\n\r\n"
    );
    let reply: Reply = client::send_from(std::net::Ipv4Addr::LOCALHOST, http, request.as_bytes()).expect("an answer");
    (reply.status, reply.all("remote-user").into_iter().map(str::to_owned).collect())
}
