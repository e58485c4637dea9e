//! Who gets in, how many, and how it all ends (D2, D3, D7).

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use postern::model::listen::Account;
use postern::model::listen::ListenAddress;
use postern::model::listen::Peers;
use postern::model::listen::UnixSocket;
use postern::telemetry::clock::instant;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::UnixStream;

use super::harness::Engine;
use super::harness::Running;
use super::harness::Start;
use super::harness::call;
use super::harness::connect;
use super::harness::exchange;
use super::harness::good_check;
use super::harness::read_answer;
use super::harness::send;

const LIKE_CADDY: &str = "GET /auth/caddy HTTP/1.1\r\nHost: wiki.example.test\r\nX-Forwarded-Method: GET\r\n\
                          X-Forwarded-Proto: https\r\nX-Forwarded-Host: wiki.example.test\r\nX-Forwarded-Uri: /\r\n\
                          X-Forwarded-For: 192.0.2.7\r\n\r\n";

async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 1];
    matches!(tokio::time::timeout(Duration::from_secs(2), stream.read(&mut buffer)).await, Ok(Ok(0) | Err(_)))
}

#[tokio::test]
async fn d7_a_stranger_is_disconnected_and_counted() {
    let server = Start::with(Engine::Allows).callers(&["192.0.2.0/24"], true).run();
    for address in [server.grpc(), server.http()] {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        assert!(is_closed(&mut stream).await, "{address}");
    }
    server.metric(r#"postern_connections_refused_total{cause="caller",listener="grpc"} 1"#).await;
    server.metric(r#"postern_connections_refused_total{cause="caller",listener="http"} 1"#).await;
    server.metric(r#"postern_connections{listener="http"} 0"#).await;
}

#[tokio::test]
async fn d3_a_peer_has_only_so_many_connections() {
    let server = Start::with(Engine::Allows).limits(|limits| limits.connections_per_peer = 2).run();
    let first = TcpStream::connect(server.http()).await.expect("connect");
    let mut second = TcpStream::connect(server.http()).await.expect("connect");
    server.metric(r#"postern_connections{listener="http"} 2"#).await;
    let mut third = TcpStream::connect(server.http()).await.expect("connect");
    assert!(is_closed(&mut third).await);
    server.metric(r#"postern_connections_refused_total{cause="peer_limit",listener="http"} 1"#).await;
    drop(first);
    server.metric(r#"postern_connections{listener="http"} 1"#).await;
    assert!(exchange(server.http(), LIKE_CADDY.as_bytes()).await.starts_with("HTTP/1.1 200 "));
    second.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
    assert!(read_answer(&mut second).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_unix_socket_works_and_its_file_goes_at_the_end() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("http.sock");
    let start = |unix| {
        let mut start = Start::with(Engine::Allows).callers(&[], unix);
        start.listen.http = Some(ListenAddress::Unix(UnixSocket::at(&path)));
        start.run()
    };
    let server = start(true);
    let mut stream = UnixStream::connect(&path).await.expect("connect");
    stream.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    server.stop().await.expect("task").expect("run");
    assert!(!path.exists());

    let server = start(false);
    let mut stream = UnixStream::connect(&path).await.expect("connect");
    let mut buffer = [0; 1];
    assert_eq!(stream.read(&mut buffer).await.ok(), Some(0), "unix is no caller here");
    server.metric(r#"postern_connections_refused_total{cause="caller",listener="http"} 1"#).await;
}

#[tokio::test]
async fn only_those_processes_are_heard_that_may_be_peers() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("http.sock");
    let ourselves = UnixStream::pair().expect("a pair").0.peer_cred().expect("credentials");
    let (user, group) = (Account::Number(ourselves.uid()), Account::Number(ourselves.gid()));
    let other = Account::Number(ourselves.uid() + 1);
    for (users, groups, heard) in
        [(vec![other.clone(), user], vec![], true), (vec![], vec![group], true), (vec![other], vec![], false)]
    {
        let peers = Peers { users, groups };
        let mut start = Start::with(Engine::Allows).callers(&[], true);
        let socket = UnixSocket { mode: 0o600, peers: Some(peers.clone()), ..UnixSocket::at(&path) };
        start.listen.http = Some(ListenAddress::Unix(socket));
        let server = start.run();
        assert_eq!(path.metadata().expect("a socket").permissions().mode() & 0o777, 0o600);
        let mut stream = UnixStream::connect(&path).await.expect("connect");
        let _ = stream.write_all(LIKE_CADDY.as_bytes()).await;
        let mut first = [0; 12];
        let answered = stream.read_exact(&mut first).await.is_ok_and(|_| &first == b"HTTP/1.1 200");
        assert_eq!(answered, heard, "{peers:?}");
        let refused = u8::from(!heard);
        server
            .metric(&format!(r#"postern_connections_refused_total{{cause="caller",listener="http"}} {refused}"#))
            .await;
        drop(stream);
        server.stop().await.expect("task").expect("run");
    }
}

#[tokio::test]
async fn a_drain_ends_resting_connections_at_once() {
    let server = Start::with(Engine::Allows).limits(|limits| limits.drain = Duration::from_secs(10)).run();
    assert!(send(server.grpc(), call(good_check())).await.allowed());
    let _grpc = connect(server.grpc()).await;
    let mut http = TcpStream::connect(server.http()).await.expect("connect");
    http.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
    assert!(read_answer(&mut http).await.starts_with("HTTP/1.1 200 "));
    let _silent = TcpStream::connect(server.http()).await.expect("connect");
    server.metric(r#"postern_connections{listener="http"} 2"#).await;
    let before = instant();
    server.stop().await.expect("task").expect("run");
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    assert!(is_closed(&mut http).await);
}

#[tokio::test]
async fn a_drain_serves_whom_it_told_too_late() {
    let server = Start::with(Engine::Allows).limits(|limits| limits.drain_delay = Duration::from_secs(1)).run();
    let (http, admin) = (server.http(), server.admin());
    let mut kept = TcpStream::connect(http).await.expect("connect");
    kept.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
    assert!(!read_answer(&mut kept).await.contains("connection: close"), "not yet");
    let before = instant();
    let stopped = server.stop();
    while !exchange(admin, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.contains("shutting down") {}
    for mut stream in [kept, TcpStream::connect(http).await.expect("still accepted")] {
        stream.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
        let answer = read_answer(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("connection: close\r\n"), "{answer}");
        assert!(is_closed(&mut stream).await);
    }
    stopped.await.expect("task").expect("run");
    assert!(before.elapsed() >= Duration::from_secs(1), "{:?}", before.elapsed());
}

#[tokio::test]
async fn a_drain_hears_who_came_in_the_last_moment() {
    let server = Start::with(Engine::Allows).limits(|limits| limits.drain = Duration::from_secs(10)).run();
    let mut streams = Vec::new();
    for _ in 0..50 {
        streams.push(TcpStream::connect(server.http()).await.expect("connect"));
    }
    let stopped = server.stop();
    for stream in &mut streams {
        stream.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
        let answer = read_answer(stream).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    stopped.await.expect("task").expect("run");
}

#[tokio::test]
async fn a_drain_lets_checks_finish() {
    let server = Start::with(Engine::NeverAnswers).limits(|limits| limits.longest = Duration::from_millis(400)).run();
    let address = server.grpc();
    let check = tokio::spawn(send(address, call(good_check())));
    server.engine.asked(1).await;
    let stopped = server.stop();
    assert_eq!(check.await.expect("answered").denied(), 503);
    stopped.await.expect("task").expect("run");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

#[tokio::test]
async fn a_drain_does_not_wait_for_the_system() {
    let server =
        Start::with(Engine::WaitsForTheSystem).limits(|limits| limits.drain = Duration::from_millis(200)).run();
    let mut stream = TcpStream::connect(server.http()).await.expect("connect");
    stream.write_all(LIKE_CADDY.as_bytes()).await.expect("asked");
    server.engine.asked(1).await;
    let ended = tokio::time::timeout(Duration::from_secs(5), server.stop()).await.expect("ends in time");
    ended.expect("no panic").expect("served");
}

#[tokio::test]
async fn a_drain_is_bounded() {
    let server = Start::with(Engine::NeverAnswers)
        .limits(|limits| {
            limits.longest = Duration::from_secs(60);
            limits.drain = Duration::from_millis(200);
        })
        .run();
    let mut sender = connect(server.grpc()).await;
    let check = tokio::spawn(sender.send_request(call(good_check())));
    server.engine.asked(1).await;
    let before = instant();
    server.stop().await.expect("task").expect("run");
    assert!(before.elapsed() < Duration::from_secs(2), "{:?}", before.elapsed());
    assert!(check.await.expect("task").is_err());
}

#[tokio::test]
async fn connections_are_dealt_evenly() {
    // Two threads and one place for a check on each: two waiting connections must not share a thread.
    let server = Start::with(Engine::NeverAnswers)
        .limits(|limits| {
            limits.in_flight = 2;
            limits.longest = Duration::from_millis(300);
        })
        .run();
    let both = [tokio::spawn(wait(&server)), tokio::spawn(wait(&server))];
    for one in both {
        one.await.expect("answered");
    }
    assert_eq!(server.engine.refused(), [postern::model::reason::Reason::DeadlineExceeded; 2]);
}

fn wait(server: &Running) -> impl Future<Output = ()> + use<> {
    let address = server.grpc();
    async move {
        assert_eq!(send(address, call(good_check())).await.denied(), 503);
    }
}
