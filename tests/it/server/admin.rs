//! The admin pages read and change nothing (F9).

use super::harness::Engine;
use super::harness::Start;
use super::harness::exchange;

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
        ("POST", "/reload", "404"),
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
