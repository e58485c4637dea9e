//! A thread that is behind turns checks away, each in its dialect's own form of a denial, and goes on when the load has
//! gone (D6).

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderValue;
use postern::model::reason::Reason;
use tokio::task::JoinSet;

use super::harness::Called;
use super::harness::Engine;
use super::harness::Running;
use super::harness::Start;
use super::harness::answer;
use super::harness::call;
use super::harness::connect;
use super::harness::exchange;
use super::harness::good_check;
use super::harness::send;

const SLOW: Engine = Engine::Takes(Duration::from_millis(10));

/// Ask for as many at once on one connection, whose checks are all one thread's.
async fn burst(address: SocketAddr, many: usize, timeout: &'static str, body: &[u8]) -> Vec<Called> {
    let sender = connect(address).await;
    let mut answers = JoinSet::new();
    for _ in 0..many {
        let mut request = call(body.to_vec());
        request.headers_mut().insert("grpc-timeout", HeaderValue::from_static(timeout));
        let mut sender = sender.clone();
        answers.spawn(async move { answer(sender.send_request(request).await.expect("an answer")).await });
    }
    answers.join_all().await
}

/// How many of these are allowed; all others must be turned away as overload is.
fn allowed(server: &Running, answers: &[Called]) -> usize {
    let allowed = answers.iter().filter(|answer| answer.allowed()).count();
    for denied in answers.iter().filter(|answer| !answer.allowed()) {
        assert_eq!(denied.denied(), 503);
    }
    assert_eq!(server.engine.refused(), vec![Reason::Overloaded; answers.len() - allowed]);
    allowed
}

#[tokio::test]
async fn d6_who_waited_for_half_of_the_deadline_is_turned_away() {
    let server = Start::with(SLOW).run();
    let answers = burst(server.grpc(), 100, "400m", &good_check()).await;
    // 200 ms are twenty checks, and one has begun before that.
    let allowed = allowed(&server, &answers);
    assert!((1..=21).contains(&allowed), "{allowed} of 100 were allowed");
    assert!(!server.telemetry.gather(&[]).contains("postern_late_checks_total 0\n"));
    let recovered = send(server.grpc(), call(good_check())).await;
    assert!(recovered.allowed(), "{:?}", recovered.0);
}

#[tokio::test]
async fn a_burst_that_is_answered_soon_is_answered_whole() {
    let server = Start::with(Engine::Takes(Duration::from_micros(100))).run();
    let answers = burst(server.grpc(), 120, "5S", &good_check()).await;
    assert_eq!(allowed(&server, &answers), 120);
    server.metric("postern_late_checks_total 0").await;
}

#[tokio::test]
async fn d6_each_dialect_has_its_own_form_of_overload() {
    for (path, stated, status) in [
        ("/auth/caddy", "", "503"),
        ("/auth/traefik", "", "503"),
        ("/auth/nginx", "", "503"),
        ("/auth/ingress-nginx", "", "503"),
        ("/auth/haproxy", "", "503"),
        ("/auth/envoy/", "X-Envoy-Expected-Rq-Timeout-Ms: 200\r\n", "403"),
    ] {
        // Who states no patience has this much; who states one has no more than this.
        let patience = Duration::from_millis(if stated.is_empty() { 200 } else { 60_000 });
        let server = Start::with(SLOW).limits(|limits| limits.patience = patience).run();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: wiki.example.test\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: wiki.example.test\r\nX-Forwarded-Uri: /\r\nX-Forwarded-For: 192.0.2.7\r\n\
             X-Original-URL: https://wiki.example.test/\r\nX-Original-Method: GET\r\nX-Real-IP: 192.0.2.7\r\n{stated}\r\n"
        );
        let mut answers = JoinSet::new();
        for _ in 0..200 {
            let (address, request) = (server.http(), request.clone());
            answers.spawn(async move { exchange(address, request.as_bytes()).await });
        }
        let answers = answers.join_all().await;
        let (allowed, denied): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.starts_with("HTTP/1.1 200 "));
        assert!((1..200).contains(&allowed.len()), "{path}: {} of 200 were allowed", allowed.len());
        for answer in &denied {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
            let folded = answer.to_ascii_lowercase().contains("\r\nx-auth-status: 503\r\n");
            assert_eq!(folded, status == "403", "{path}: {answer}");
        }
        assert_eq!(server.engine.refused(), vec![Reason::Overloaded; denied.len()], "{path}");
        let recovered = exchange(server.http(), request.as_bytes()).await;
        assert!(recovered.starts_with("HTTP/1.1 200 "), "{path}: {recovered}");
    }
}
