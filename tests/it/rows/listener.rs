//! D1–D8 where they need a process, raw frames or the lock file; the others are beside the listeners' own tests.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use crate::proxy::client;
use crate::proxy::ports;
use crate::proxy::process::Process;
use crate::server::harness::Engine;
use crate::server::harness::PATIENCE;
use crate::server::harness::Start;
use crate::server::harness::call;
use crate::server::harness::good_check;
use crate::server::harness::send;

/// An HTTP/2 frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a length").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const CONTINUATION: u8 = 9;

/// Write until the other side has had enough. `true` when it ended the connection.
async fn is_cut_off(address: std::net::SocketAddr, flood: impl Fn(u32) -> Vec<u8>) -> bool {
    let stream = tokio::net::TcpStream::connect(address).await.expect("connect");
    let (mut from, mut to) = stream.into_split();
    let ended = tokio::spawn(async move {
        let mut buffer = [0; 4096];
        while from.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    });
    let flooding = async {
        to.write_all(PREFACE).await?;
        to.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
        for number in 0..200_000 {
            to.write_all(&flood(number)).await?;
        }
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(PATIENCE, flooding).await;
    tokio::time::timeout(PATIENCE, ended).await.is_ok()
}

#[tokio::test]
async fn d1_rapid_resets_and_endless_headers_are_cut_off() {
    let server = Start::with(Engine::NeverAnswers).run();
    // `:method GET`, `:scheme http` and `:path /` of the static table (RFC 7541, appendix A).
    const HEAD: &[u8] = &[0x82, 0x86, 0x84];
    let resets = is_cut_off(server.grpc(), |number| {
        let stream = number * 2 + 1;
        [frame(HEADERS, 5, stream, HEAD), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
    });
    assert!(resets.await, "200,000 streams were opened and reset");
    let endless = is_cut_off(server.grpc(), |number| {
        if number == 0 { frame(HEADERS, 0, 1, HEAD) } else { frame(CONTINUATION, 0, 1, &[0; 1024]) }
    });
    assert!(endless.await, "a head went on for 200 MB");
    let server = Start::with(Engine::Allows).run();
    assert!(send(server.grpc(), call(good_check())).await.allowed());
}

/// A policy and its process, with its ports for gRPC, HTTP and admin.
pub(super) fn serve(
    policy: &str,
    limit: &str,
    arguments: &str,
    environment: &[(&str, &str)],
) -> (Process, [u16; 3], TempDir) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let [grpc, http, admin] = [ports::free(), ports::free(), ports::free()];
    let listen =
        format!("listen: {{grpc: '127.0.0.1:{grpc}', http: '127.0.0.1:{http}', admin: '127.0.0.1:{admin}'}}\n");
    fs::write(folder.path().join("policy.yaml"), format!("version: 1\n{listen}{policy}...\n")).expect("a policy");
    let binary = std::env::var("POSTERN_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_postern").to_owned());
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{limit} exec '{binary}' serve --config policy.yaml {arguments}")]);
    command.current_dir(folder.path()).envs(environment.iter().copied());
    let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
    process.wait_until("/livez", || ask(admin, "/livez", "").is_some_and(|(status, _)| status == 200));
    (process, [grpc, http, admin], folder)
}

/// GET with further header lines.
pub(super) fn ask(port: u16, path: &str, headers: &str) -> Option<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: postern\r\n{headers}\r\n");
    client::send(port, request.as_bytes()).ok().map(|reply| (reply.status, reply.body))
}

const OPEN: &str = "hosts: {app.test: {routes: [{path: /**, public: true}]}}\n";
const CALLERS: &str = "callers: [127.0.0.0/8]\n";

/// What nginx sends for `http://app.test/x`.
fn check(port: u16) -> Option<u16> {
    let headers = "X-Forwarded-Method: GET\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /x\r\nX-Forwarded-For: 192.0.2.1\r\n";
    ask(port, "/auth/nginx", headers).map(|(status, _)| status)
}

#[test]
fn d2_a_process_out_of_file_descriptors_recovers() {
    let (mut process, [_, http, admin], _folder) =
        serve(&format!("{CALLERS}{OPEN}"), "ulimit -n 64;", "--threads 2", &[]);
    assert_eq!(check(http), Some(200));
    let held: Vec<TcpStream> = (0..200).filter_map(|_| TcpStream::connect(("127.0.0.1", http)).ok()).collect();
    assert!(held.len() > 64, "{} connections", held.len());
    drop(held);
    process.wait_until("an answer after the drought", || check(http) == Some(200));
    let (_, metrics) = ask(admin, "/metrics", "").expect("metrics");
    let refused = r#"postern_connections_refused_total{cause="system",listener="http"} "#;
    let refused = metrics.lines().find_map(|line| line.strip_prefix(refused)).expect("a counter");
    assert_ne!(refused, "0", "{metrics}");
}

#[test]
fn d5_libraries_are_above_their_known_faults() {
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).expect("a lock file");
    let mut found = 0;
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")))?;
            Some(line.trim_matches('"'))
        };
        let (Some(name), Some(version)) = (value("name"), value("version")) else { continue };
        let numbers: Vec<u32> = version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect();
        let floor: &[u32] = match name {
            "h2" => &[0, 4, 16],
            "tonic" => &[0, 12, 3],
            "hyper" => &[1, 0, 0],
            "rustls" => &[0, 23, 18],
            "rustls-webpki" => &[0, 103, 13],
            "jsonwebtoken" => &[10, 3, 0],
            "idna" => &[1, 0, 0],
            "serde_yml" | "serde_yaml" | "rsa" => panic!("`{name}` is not to be used"),
            _ => continue,
        };
        found += 1;
        assert!(numbers.as_slice() >= floor, "{name} {version} is below {floor:?}");
    }
    assert!(found >= 6, "{found} of them are used");
}

#[test]
fn a5_weakening_switches_are_logged_and_shown_and_secrets_are_not() {
    const POLICY: &str = "callers: [0.0.0.0/0]
insecure_any_caller: true
spoof_guard: insecure_report
client_ip: {from: xff, trusted_hops: [0.0.0.0/0], insecure_any_hop: true}
identity:
  people: {jwt: {issuer: 'http://127.0.0.1:1', audience: app, insecure_http: true, key_hosts: [127.0.0.1]}}
  machines: {jwt: {issuer: https://m.test, audience: app, algorithms: [HS256], secret: {env: MACHINES}}}
hosts: {app.test: {identity: [people, machines], routes: [{path: /**, require: {groups: [people/staff]}}]}}
";
    let secret = "canary-of-the-environment-8b-8b-8b-8b";
    let (process, [_, http, admin], _folder) = serve(POLICY, "", "--log-level trace", &[("MACHINES", secret)]);
    let (_, metrics) = ask(admin, "/metrics", "").expect("metrics");
    let log = process.log();
    for switch in [
        "insecure_any_caller",
        "client_ip.insecure_any_hop",
        "spoof_guard: insecure_report",
        "identity.people.jwt.insecure_http",
    ] {
        assert!(metrics.contains(&format!("postern_insecure_switch{{switch=\"{switch}\"}} 1")), "{metrics}");
        let logged =
            log.lines().any(|line| line.contains("WARN") && line.contains(&format!("\"switch\":\"{switch}\"")));
        assert!(logged, "{log}");
    }
    // The same process at trace level, asked with all sorts of credentials (F6).
    let canary = "canary-of-a-client-9c";
    for credential in ["Authorization: Bearer", "Authorization: Basic", "X-Api-Key:", "Cookie: session=", "X-Other:"] {
        let headers = format!(
            "X-Forwarded-Method: GET\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /x\r\n{credential} {canary}\r\n"
        );
        for path in ["/auth/nginx", "/auth/caddy", "/nowhere"] {
            let (status, body) = ask(http, path, &headers).expect("an answer");
            assert!(matches!(status, 400..=503) && !body.contains(canary), "{path}: {status} {body}");
        }
    }
    std::thread::sleep(Duration::from_millis(50));
    let said = format!("{}{}", process.log(), ask(admin, "/metrics", "").expect("metrics").1);
    assert!(said.contains("request decided"), "{said}");
    for secret in [secret, canary] {
        assert!(!said.contains(secret), "`{secret}` is said:\n{said}");
    }
}
