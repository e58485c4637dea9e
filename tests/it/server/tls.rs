//! TLS towards the proxies.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use postern::snapshot::tls::Tls;
use rcgen::CertifiedKey;
use rcgen::generate_simple_self_signed;
use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::harness::Engine;
use super::harness::Start;
use super::harness::answer;
use super::harness::call;
use super::harness::connect_over;
use super::harness::good_check;

const NAME: &str = "postern.test";
const LIKE_CADDY: &str = "GET /auth/caddy HTTP/1.1\r\nHost: wiki.example.test\r\nX-Forwarded-Method: GET\r\n\
                          X-Forwarded-Proto: https\r\nX-Forwarded-Host: wiki.example.test\r\nX-Forwarded-Uri: /\r\n\
                          X-Forwarded-For: 192.0.2.7\r\n\r\n";

/// A server's settings, and the certificate they show.
fn settings(protocols: &[&str]) -> (Arc<ServerConfig>, CertificateDer<'static>) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([NAME.to_owned()]).expect("a certificate");
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let key = signing_key.serialize_der().try_into().expect("a key");
    let mut settings = builder.with_single_cert(vec![cert.der().clone()], key).expect("a pair");
    settings.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    (Arc::new(settings), cert.der().clone())
}

/// A connection to a server with this certificate.
async fn connect(to: SocketAddr, shows: &CertificateDer<'static>, alpn: &str) -> std::io::Result<TlsStream<TcpStream>> {
    encrypt(TcpStream::connect(to).await?, shows, alpn).await
}

async fn encrypt(
    stream: TcpStream,
    shows: &CertificateDer<'static>,
    alpn: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(shows.clone()).expect("a certificate");
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let mut client = builder.with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(client)).connect(ServerName::try_from(NAME).expect("a name"), stream).await
}

async fn is_answered(stream: &mut TlsStream<TcpStream>) -> bool {
    stream.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.expect("an answer");
    &head == b"HTTP/1.1 200"
}

#[tokio::test]
async fn both_protocols_are_spoken_over_tls() {
    let server = Start::with(Engine::Allows).callers(&["127.0.0.0/8"], false).run();
    let ((grpc, of_grpc), (http, of_http)) = (settings(&["h2"]), settings(&["http/1.1", "h2"]));
    server.engine.set_tls(Tls { grpc: Some(grpc), http: Some(http), ..Tls::default() });
    let mut stream = connect(server.http(), &of_http, "http/1.1").await.expect("a connection");
    assert!(is_answered(&mut stream).await);
    let stream = connect(server.grpc(), &of_grpc, "h2").await.expect("a connection");
    let asked = connect_over(stream).await.send_request(call(good_check())).await;
    assert!(answer(asked.expect("a response")).await.allowed());
}

#[tokio::test]
async fn what_is_no_tls_is_not_served_and_counted() {
    let server = Start::with(Engine::Allows).callers(&["127.0.0.0/8"], false).run();
    let (http, shows) = settings(&["http/1.1"]);
    server.engine.set_tls(Tls { grpc: None, http: Some(http), ..Tls::default() });
    let mut plain = TcpStream::connect(server.http()).await.expect("connect");
    plain.write_all(LIKE_CADDY.as_bytes()).await.expect("write");
    let mut said = Vec::new();
    let _ = plain.read_to_end(&mut said).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
    server.metric(r#"postern_connections_refused_total{cause="handshake",listener="http"} 1"#).await;
    assert!(connect(server.http(), &shows, "spdy/3").await.is_err(), "nothing in common to speak");
    server.metric(r#"postern_connections_refused_total{cause="handshake",listener="http"} 2"#).await;
    server.metric(r#"postern_connections{listener="http"} 0"#).await;
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_ends() {
    let start = Start::with(Engine::Allows).callers(&["127.0.0.0/8"], false);
    let server = start.limits(|limits| limits.head = Duration::from_millis(50)).run();
    server.engine.set_tls(Tls { grpc: None, http: Some(settings(&["http/1.1"]).0), ..Tls::default() });
    let mut stream = TcpStream::connect(server.http()).await.expect("connect");
    stream.write_all(&[22, 3, 1]).await.expect("the first octets of a greeting");
    let mut octet = [0; 1];
    assert!(matches!(stream.read(&mut octet).await, Ok(0) | Err(_)));
    server.metric(r#"postern_connections_refused_total{cause="handshake",listener="http"} 1"#).await;
}

#[tokio::test]
async fn new_connections_see_new_certificates_and_old_ones_go_on() {
    let server = Start::with(Engine::Allows).callers(&["127.0.0.0/8"], false).run();
    let ((first, shown_first), (second, shown_second)) = (settings(&["http/1.1"]), settings(&["http/1.1"]));
    server.engine.set_tls(Tls { grpc: None, http: Some(first), ..Tls::default() });
    let mut old = connect(server.http(), &shown_first, "http/1.1").await.expect("a connection");
    assert!(is_answered(&mut old).await);
    server.engine.set_tls(Tls { grpc: None, http: Some(second), ..Tls::default() });
    assert!(connect(server.http(), &shown_first, "http/1.1").await.is_err(), "it is not shown any more");
    let mut new = connect(server.http(), &shown_second, "http/1.1").await.expect("a connection");
    assert!(is_answered(&mut new).await);
    let mut rest = vec![0; 1024];
    let _ = old.read(&mut rest).await.expect("what is left of the answer");
    assert!(is_answered(&mut old).await, "a connection that began before goes on");
}

/// Or it would show certificates to the authorities of a policy that is long gone.
#[tokio::test]
async fn whoever_was_silent_meets_the_settings_of_the_moment_in_which_it_speaks() {
    let server = Start::with(Engine::Allows).callers(&["127.0.0.0/8"], false).run();
    let ((first, shown_first), (second, shown_second)) = (settings(&["http/1.1"]), settings(&["http/1.1"]));
    server.engine.set_tls(Tls { grpc: None, http: Some(first), ..Tls::default() });
    let silent = [TcpStream::connect(server.http()).await, TcpStream::connect(server.http()).await];
    server.metric(r#"postern_connections{listener="http"} 2"#).await;
    server.engine.set_tls(Tls { grpc: None, http: Some(second), ..Tls::default() });
    let [one, other] = silent.map(|stream| stream.expect("a connection"));
    assert!(encrypt(one, &shown_first, "http/1.1").await.is_err(), "it is not shown any more");
    let mut stream = encrypt(other, &shown_second, "http/1.1").await.expect("a connection");
    assert!(is_answered(&mut stream).await);
}

/// A peer that is told to wait keeps what it has begun; many of them must not keep much.
#[tokio::test]
async fn d1_greetings_that_are_not_whole_have_one_store() {
    const PEERS: usize = 100;
    const OCTETS: usize = 48 * 1024;
    let start = Start::with(Engine::Allows).callers(&["127.0.0.0/8"], false);
    let server = start
        .limits(|limits| (limits.unfinished, limits.message, limits.head) = (0, 8 * 1024, Duration::from_secs(60)))
        .run();
    let (http, shows) = settings(&["http/1.1"]);
    server.engine.set_tls(Tls { grpc: None, http: Some(http), ..Tls::default() });
    // The beginning of a greeting of 60,000 octets, in records of 12 KiB.
    let mut greeting = vec![1, 0, 0xea, 0x60, 3, 3];
    greeting.resize(OCTETS, b'x');
    let records: Vec<u8> =
        greeting.chunks(12 * 1024).flat_map(|part| [&[22, 3, 1, 0x30, 0][..], part].concat()).collect();
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        let mut peer = TcpStream::connect(server.http()).await.expect("connect");
        let _ = peer.write_all(&records).await;
        peers.push(peer);
    }
    let mut cut = 0;
    for peer in &mut peers {
        let ended = tokio::time::timeout(Duration::from_millis(200), peer.read(&mut [0; 64])).await;
        cut += usize::from(ended.is_ok());
    }
    // A store is as large as four messages at least, and each thread has one.
    assert!(cut >= PEERS * 9 / 10, "{cut} of {PEERS} were cut off");
    let mut stream = connect(server.http(), &shows, "http/1.1").await.expect("a common greeting needs no place");
    assert!(is_answered(&mut stream).await);
}
