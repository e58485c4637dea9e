//! Whatever happens, Envoy gets gRPC status OK and a `CheckResponse` (F1).

use std::time::Duration;

use postern::model::reason::Reason;
use postern::telemetry::clock::instant;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::harness::Engine;
use super::harness::Start;
use super::harness::call;
use super::harness::connect;
use super::harness::framed;
use super::harness::good_check;
use super::harness::send;

#[tokio::test]
async fn a_check_is_answered_by_the_engine() {
    let server = Start::with(Engine::Allows).run();
    assert!(send(server.grpc(), call(good_check())).await.allowed());
    let server = Start::with(Engine::Denies).run();
    assert_eq!(send(server.grpc(), call(good_check())).await.denied(), 403);
}

#[tokio::test]
async fn d4_what_is_no_message_or_too_large_is_denied() {
    let server = Start::with(Engine::Allows).run();
    let large = framed(&vec![0; 300 * 1024]);
    let mut compressed = good_check();
    compressed[0] = 1;
    let mut twice = good_check();
    twice.extend(good_check());
    for (what, body) in [
        ("nothing", Vec::new()),
        ("half a prefix", vec![0, 0]),
        ("half a message", good_check()[..20].to_vec()),
        ("not protobuf", framed(b"\xff\xff\xff\xff")),
        ("compressed", compressed),
        ("two messages", twice),
        ("a length past the limit", vec![0, 255, 255, 255, 255]),
        ("a message past the limit", large),
        ("text", b"{\"attributes\":{}}".to_vec()),
        ("an empty message", framed(b"")),
    ] {
        assert_eq!(send(server.grpc(), call(body)).await.denied(), 503, "{what}");
        assert_eq!(server.engine.refused().last(), Some(&Reason::MessageMalformed), "{what}");
    }
}

#[tokio::test]
async fn a_call_that_is_no_grpc_is_denied() {
    let server = Start::with(Engine::Allows).run();
    let mut get = call(good_check());
    *get.method_mut() = http::Method::GET;
    let mut json = call(good_check());
    json.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    let mut untyped = call(good_check());
    untyped.headers_mut().remove("content-type");
    for request in [get, json, untyped] {
        let what = format!("{request:?}");
        assert_eq!(send(server.grpc(), request).await.denied(), 503, "{what}");
    }
}

#[tokio::test]
async fn f1_a_panic_is_a_denial_and_the_next_check_goes_on() {
    let server = Start::with(Engine::Panics).run();
    for _ in 0..3 {
        assert_eq!(send(server.grpc(), call(good_check())).await.denied(), 503);
    }
    assert_eq!(server.engine.refused(), [Reason::Internal; 3]);
}

#[tokio::test]
async fn f1_a_panic_while_refusing_is_a_denial_too() {
    let server = Start::with(Engine::PanicsAlways).run();
    assert_eq!(send(server.grpc(), call(good_check())).await.denied(), 503);
    assert_eq!(send(server.grpc(), call(Vec::new())).await.denied(), 503);
}

#[tokio::test]
async fn d6_the_denial_arrives_before_the_callers_deadline() {
    let server = Start::with(Engine::NeverAnswers).run();
    let mut request = call(good_check());
    request.headers_mut().insert("grpc-timeout", http::HeaderValue::from_static("1S"));
    let before = instant();
    assert_eq!(send(server.grpc(), request).await.denied(), 503);
    let took = before.elapsed();
    assert!((Duration::from_millis(850)..Duration::from_secs(1)).contains(&took), "{took:?}");
    assert_eq!(server.engine.refused(), [Reason::DeadlineExceeded]);
}

#[tokio::test]
async fn without_a_deadline_ours_holds() {
    let server = Start::with(Engine::NeverAnswers).limits(|limits| limits.longest = Duration::from_millis(100)).run();
    let mut patient = call(good_check());
    patient.headers_mut().insert("grpc-timeout", http::HeaderValue::from_static("1H"));
    for request in [call(good_check()), patient] {
        assert_eq!(send(server.grpc(), request).await.denied(), 503);
    }
    assert_eq!(server.engine.refused(), [Reason::DeadlineExceeded; 2]);
}

#[tokio::test]
async fn overload_is_a_denial() {
    let server = Start::with(Engine::NeverAnswers)
        .limits(|limits| {
            limits.in_flight = 2;
            limits.longest = Duration::from_secs(2);
        })
        .run();
    // One place on each of the two threads; a connection stays on its thread.
    let mut sender = connect(server.grpc()).await;
    let waiting = tokio::spawn(sender.send_request(call(good_check())));
    server.engine.asked(1).await;
    let refused = sender.send_request(call(good_check()));
    let response = tokio::time::timeout(Duration::from_millis(500), refused).await.expect("at once").expect("answer");
    assert_eq!(response.status(), 200);
    assert_eq!(server.engine.refused(), [Reason::Overloaded]);
    waiting.abort();
}

#[tokio::test]
async fn unknown_methods_are_unimplemented() {
    let server = Start::with(Engine::Allows).run();
    let mut request = call(good_check());
    *request.uri_mut() = "http://postern/envoy.service.auth.v3.Authorization/Other".parse().expect("uri");
    let response = connect(server.grpc()).await.send_request(request).await.expect("response");
    assert_eq!(response.headers()["grpc-status"], "12");
}

#[tokio::test]
async fn the_health_service_says_serving() {
    let server = Start::with(Engine::Allows).limits(|limits| limits.drain = Duration::from_secs(10)).run();
    let channel =
        Channel::from_shared(format!("http://{}", server.grpc())).expect("uri").connect().await.expect("connect");
    let mut health = HealthClient::new(channel);
    for service in ["", "envoy.service.auth.v3.Authorization"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let status = health.check(request).await.expect("health").into_inner().status();
        assert_eq!(status, ServingStatus::Serving, "{service:?}");
    }
    let watched = HealthCheckRequest { service: String::new() };
    let mut statuses = health.watch(watched).await.expect("watch").into_inner();
    assert_eq!(statuses.message().await.expect("first").expect("first").status(), ServingStatus::Serving);
    let before = instant();
    let stopped = server.stop();
    assert_eq!(statuses.message().await.expect("second").expect("second").status(), ServingStatus::NotServing);
    assert_eq!(statuses.message().await.expect("an orderly end"), None);
    stopped.await.expect("task").expect("run");
    assert!(before.elapsed() < Duration::from_secs(5), "who watches does not hold up the end: {:?}", before.elapsed());
}

/// Clients that give up make Envoy reset their checks, many at once; the checks beside them must go on.
#[tokio::test]
async fn checks_that_are_given_up_do_not_end_the_others() {
    use tokio::io::AsyncReadExt;
    use tokio::io::AsyncWriteExt;
    const HEADERS: u8 = 1;
    const RESET: u8 = 3;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GO_AWAY: u8 = 7;
    let frame = |kind: u8, flags: u8, stream: u8, payload: &[u8]| {
        [&[0, 0, u8::try_from(payload.len()).expect("short"), kind, flags, 0, 0, 0, stream][..], payload].concat()
    };
    let server = Start::with(Engine::Allows).run();
    let mut octets = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    octets.extend(frame(SETTINGS, 0, 0, &[]));
    for stream in (1..=199).step_by(2) {
        // `:method POST`, `:scheme http`, `:path /` of the static table; CANCEL.
        octets.extend(frame(HEADERS, 4, stream, &[0x83, 0x86, 0x84]));
        octets.extend(frame(RESET, 0, stream, &[0, 0, 0, 8]));
    }
    octets.extend(frame(PING, 0, 0, &[7; 8]));
    let mut stream = tokio::net::TcpStream::connect(server.grpc()).await.expect("connect");
    stream.write_all(&octets).await.expect("write");
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.expect("a frame");
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        stream.read_exact(&mut payload).await.expect("a payload");
        assert_ne!(head[3], GO_AWAY, "the connection is given up: {payload:?}");
        if head[3] == PING && payload == [7; 8] {
            break;
        }
    }
}
