//! The admin pages read and change nothing (F9).

use super::harness::Engine;
use super::harness::PATIENCE;
use super::harness::Start;
use super::harness::call;
use super::harness::connect;
use super::harness::exchange;
use super::harness::good_check;
use super::harness::send;

async fn ask(server: &super::harness::Running, method: &str, path: &str) -> (String, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: postern\r\nConnection: close\r\n\r\n");
    let answer = exchange(server.admin(), request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn the_pages_tell_how_we_are() {
    let server = Start::with(Engine::Allows).run();
    let (head, body) = ask(&server, "GET", "/livez").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, "ok\n");
    let (head, body) = ask(&server, "GET", "/readyz").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(body, "{\"ready\":true,\"reasons\":[]}\n");
    let (head, body) = ask(&server, "GET", "/metrics").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    assert!(body.contains("postern_build_info{version="), "{body}");
    assert!(body.contains("process_start_time_seconds"), "{body}");
    assert!(body.contains("postern_keys{source=\"people\"} 2\n"), "{body}");
    assert!(body.contains("postern_keys_refresh_failures{source=\"people\"} 1\n"), "{body}");
    assert!(body.contains("postern_ready 1\n"), "{body}");
    server.engine.set_obstacles(&["no keys"]);
    let (_, body) = ask(&server, "GET", "/metrics").await;
    assert!(body.contains("postern_ready 0\n"), "{body}");
}

/// Of one that has to wait, too; and not before it is over.
#[tokio::test]
async fn whole_requests_are_timed() {
    let server = Start::with(Engine::NeverAnswers).limits(|limits| limits.longest = PATIENCE / 10).run();
    let nginx = "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: wiki.test\r\nX-Forwarded-Uri: /\r\n\r\n";
    let asked = tokio::spawn(exchange(server.http(), nginx.as_bytes()));
    server.engine.asked(1).await;
    let count =
        |dialect: &str, times| format!("postern_request_duration_seconds_count{{dialect=\"{dialect}\"}} {times}");
    server.metric(&count("nginx", 0)).await;
    asked.await.expect("an answer");
    server.metric(&count("nginx", 1)).await;
    server.metric("postern_request_duration_seconds_bucket{dialect=\"nginx\",le=\"0.25\"} 0").await;
    send(server.grpc(), call(good_check())).await;
    server.metric(&count("ext_authz", 1)).await;
}

#[tokio::test]
async fn not_ready_says_why() {
    let server = Start::with(Engine::Allows).run();
    server.engine.set_obstacles(&["identity `people` has no keys yet"]);
    let (head, body) = ask(&server, "GET", "/readyz").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(body, "{\"ready\":false,\"reasons\":[\"identity `people` has no keys yet\"]}\n");
    assert!(ask(&server, "GET", "/livez").await.0.starts_with("http/1.1 200 "));
}

#[tokio::test]
async fn f9_the_pages_only_read() {
    let server = Start::with(Engine::Allows).run();
    for (method, path, want) in [
        ("HEAD", "/livez", "200"),
        ("POST", "/livez", "405"),
        ("DELETE", "/metrics", "405"),
        ("PUT", "/readyz", "405"),
        ("GET", "/", "404"),
        ("GET", "/reload", "405"),
        ("POST", "/reload", "403"),
        ("PUT", "/log-level", "403"),
        ("POST", "/log-level", "405"),
        ("POST", "/status", "405"),
        ("GET", "/log-level", "404"),
        ("GET", "/config", "404"),
    ] {
        let (head, _) = ask(&server, method, path).await;
        assert!(head.starts_with(&format!("http/1.1 {want} ")), "{method} {path}: {head}");
    }
}

#[tokio::test]
async fn probes_need_not_be_callers() {
    let server = Start::with(Engine::Allows).callers(&["192.0.2.0/24"], false).run();
    assert!(ask(&server, "GET", "/livez").await.0.starts_with("http/1.1 200 "));
}

/// A page of a stranger whose name was made to point at us gets nothing to read (DNS rebinding).
#[tokio::test]
async fn f9_a_strangers_name_reads_nothing() {
    let server = Start::with(Engine::Allows).run();
    for (host, path, want) in [
        ("rebind.test:9193", "/metrics", "421"),
        ("rebind.test:9193", "/status", "421"),
        ("rebind.test:9193", "/readyz", "421"),
        ("127.0.0.1.rebind.test", "/health", "421"),
        ("rebind.test", "/livez", "200"),
        ("rebind.test", "/.well-known/jwks.json", "404"),
        ("127.0.0.1:9193", "/metrics", "200"),
        ("localhost", "/status", "200"),
        ("postern.prod.svc", "/metrics", "200"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = exchange(server.admin(), request.as_bytes()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {want} ")), "{host} {path}: {answer}");
    }
    let absolute = "GET http://rebind.test/metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(exchange(server.admin(), absolute.as_bytes()).await.starts_with("HTTP/1.1 421 "));
}

#[tokio::test]
async fn health_is_one_object_and_startup_is_for_good() {
    let server = Start::with(Engine::NeverAnswers).run();
    server.engine.set_obstacles(&["no keys yet"]);
    let (head, body) = ask(&server, "GET", "/startupz").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert_eq!(body, "no keys yet\n");
    let health = |body: &str| {
        let mut health: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert!(health["uptime_seconds"].take().as_f64().is_some_and(|seconds| seconds >= 0.0), "{body}");
        health
    };
    let (head, body) = ask(&server, "GET", "/health").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    let version = env!("CARGO_PKG_VERSION");
    let want = |status: &str, active: u32| serde_json::json!({"status": status, "version": version, "uptime_seconds": null, "active_requests": active});
    assert_eq!(health(&body), want("not ready", 0));
    server.engine.set_obstacles(&[]);
    assert!(ask(&server, "GET", "/startupz").await.0.starts_with("http/1.1 200 "));
    let waiting = tokio::spawn(send(server.grpc(), call(good_check())));
    server.engine.asked(1).await;
    let (head, body) = ask(&server, "GET", "/health").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(health(&body), want("ready", 1));
    waiting.abort();
    server.engine.set_obstacles(&["the keys are too old"]);
    assert!(ask(&server, "GET", "/startupz").await.0.starts_with("http/1.1 200 "), "started is started");
    let (head, body) = ask(&server, "GET", "/readyz?verbose").await;
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    let want = "[-] the keys are too old\n[+] identity source `people` has 2 keys of https://sso.test\nnot ready\n";
    assert_eq!(body, want);
}

#[tokio::test]
async fn readiness_ends_first() {
    let server = Start::with(Engine::NeverAnswers).run();
    let admin = server.admin();
    let mut watched = connect(server.grpc()).await;
    watched.ready().await.expect("a connection");
    let waiting = tokio::spawn(watched.send_request(call(good_check())));
    server.engine.asked(1).await;
    let stopped = server.stop();
    let stopping = async {
        loop {
            let answer = exchange(admin, b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
            if answer.contains("\"status\":\"stopping\"") {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, stopping).await.expect("it is said while a check is under way");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    waiting.abort();
    stopped.await.expect("ended").expect("well");
}
