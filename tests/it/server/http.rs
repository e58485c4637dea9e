//! Forward-auth: 2xx is an allow and nothing else is, and no body is waited for (F1, D3, D8).

use std::time::Duration;

use postern::model::reason::Reason;
use postern::telemetry::clock::instant;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::harness::Engine;
use super::harness::Start;
use super::harness::exchange;
use super::harness::read_answer;

/// A check as nginx sends it with our configuration; `more` are further header lines.
fn nginx(more: &str) -> String {
    format!(
        "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: wiki.example.test\r\nX-Forwarded-Uri: /\r\nX-Forwarded-For: 192.0.2.7\r\n{more}\r\n"
    )
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[tokio::test]
async fn a_check_is_answered_by_the_engine() {
    let server = Start::with(Engine::Allows).run();
    let answer = exchange(server.http(), nginx("").as_bytes()).await;
    assert_eq!(status(&answer), "200", "{answer}");
    assert!(answer.to_ascii_lowercase().contains("\r\ncontent-length: 0\r\n"), "{answer}");
    let server = Start::with(Engine::Denies).run();
    assert_eq!(status(&exchange(server.http(), nginx("").as_bytes()).await), "403");
}

#[tokio::test]
async fn h10_a_path_of_no_dialect_is_403_and_counted() {
    let server = Start::with(Engine::Allows).run();
    let paths = ["/", "/auth", "/auth/", "/auth/nginx/", "/auth/NGINX", "/auth/other", "//auth/nginx", "/livez", "*"];
    for path in paths {
        let answer = exchange(server.http(), nginx("").replace("/auth/nginx", path).as_bytes()).await;
        assert_eq!(status(&answer), "403", "{path}: {answer}");
        assert!(answer.contains("/auth/ingress-nginx"), "{path}: {answer}");
    }
    server.metric(&format!("postern_unknown_paths_total {}", paths.len())).await;
}

#[tokio::test]
async fn d4_no_body_is_waited_for() {
    let server = Start::with(Engine::Allows).run();
    for more in ["Content-Length: 24\r\n", "Transfer-Encoding: chunked\r\n"] {
        let before = instant();
        let answer = exchange(server.http(), nginx(more).as_bytes()).await;
        assert_eq!(status(&answer), "200", "{more}: {answer}");
        assert!(before.elapsed() < Duration::from_secs(1), "{more}: {:?}", before.elapsed());
    }
}

#[tokio::test]
async fn d8_what_follows_an_unread_body_is_no_request() {
    let server = Start::with(Engine::Denies).run();
    let smuggled = nginx("X-Smuggled: 1\r\n");
    for more in [
        format!("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        format!("Content-Length: 4000\r\n\r\n{smuggled}"),
    ] {
        let mut stream = TcpStream::connect(server.http()).await.expect("connect");
        stream.write_all(nginx("").trim_end().as_bytes()).await.expect("write");
        stream.write_all(b"\r\n").await.expect("write");
        stream.write_all(more.as_bytes()).await.expect("write");
        let mut all = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(2), stream.read_to_end(&mut all)).await;
        let text = String::from_utf8_lossy(&all);
        assert!(ended.is_ok(), "the connection stays open: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{text}");
    }
}

#[tokio::test]
async fn each_dialect_has_its_own_form_of_a_failure() {
    let server = Start::with(Engine::Panics).run();
    for (path, want) in [("/auth/nginx", "503"), ("/auth/caddy", "503"), ("/auth/envoy/", "403")] {
        let answer = exchange(server.http(), nginx("").replace("/auth/nginx", path).as_bytes()).await;
        assert_eq!(status(&answer), want, "{path}: {answer}");
    }
    let server = Start::with(Engine::PanicsAlways).run();
    for (path, want) in [("/auth/nginx", "503"), ("/auth/caddy", "503"), ("/auth/envoy/", "403")] {
        let answer = exchange(server.http(), nginx("").replace("/auth/nginx", path).as_bytes()).await;
        assert_eq!(status(&answer), want, "{path}: {answer}");
    }
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_a_denial() {
    let server = Start::with(Engine::NeverAnswers).limits(|limits| limits.longest = Duration::from_millis(100)).run();
    assert_eq!(status(&exchange(server.http(), nginx("").as_bytes()).await), "503");
    assert_eq!(server.engine.refused(), [Reason::DeadlineExceeded]);
}

#[tokio::test]
async fn a_connection_serves_many_checks() {
    let server = Start::with(Engine::Allows).run();
    let mut stream = TcpStream::connect(server.http()).await.expect("connect");
    for _ in 0..3 {
        stream.write_all(nginx("").as_bytes()).await.expect("write");
        assert_eq!(status(&read_answer(&mut stream).await), "200");
    }
    server.metric(r#"postern_connections{listener="http"} 1"#).await;
}

#[tokio::test]
async fn http_2_is_spoken_too() {
    let server = Start::with(Engine::Allows).run();
    let request = http::Request::get("http://postern/auth/nginx")
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-proto", "https")
        .header("x-forwarded-host", "wiki.example.test")
        .header("x-forwarded-uri", "/")
        .header("x-forwarded-for", "192.0.2.7")
        .body(http_body_util::Full::default())
        .expect("request");
    let response = super::harness::connect(server.http()).await.send_request(request).await.expect("response");
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn d3_a_slow_head_is_cut() {
    let server = Start::with(Engine::Allows).limits(|limits| limits.head = Duration::from_millis(200)).run();
    let mut stream = TcpStream::connect(server.http()).await.expect("connect");
    stream.write_all(b"GET /auth/nginx HTTP/1.1\r\nHost: ").await.expect("write");
    let before = instant();
    let answer = read_answer(&mut stream).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    server.metric(r#"postern_connections{listener="http"} 0"#).await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_no_allow() {
    let server = Start::with(Engine::Allows).run();
    let answer = exchange(server.http(), nginx(&format!("X-Long: {}\r\n", "a".repeat(200 * 1024))).as_bytes()).await;
    assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
}
