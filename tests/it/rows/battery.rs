//! One table for every way of proving who one is: good, absent, malformed, past its end, somebody else's, with its service
//! down or slow, and revoked.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use postern::config::load::Pretend;
use postern::engine::Engine;
use postern::model::dialect::Dialect;
use postern::model::header::Headers;
use postern::model::request::Attributes;
use postern::model::request::Scheme;
use postern::model::request::StatedAddress;
use postern::model::request::StatedCertificate;
use postern::model::response::Verdict;
use postern::telemetry::Telemetry;
use postern::telemetry::clock;
use rcgen::CertificateParams;
use rcgen::KeyPair;
use rcgen::SanType;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::api_key;
use super::basic;
use super::build;
use crate::token::Issuer;
use crate::token::now;

/// A provider for opaque tokens, which says of each what its name promises, and for keys that never come.
fn provider() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = listener.local_addr().expect("address").port();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut octets = vec![0; 16 * 1024];
                let mut asked = String::new();
                // The head and the form may come apart.
                while !asked.contains("opaque-") && !asked.contains("GET /keys") {
                    match stream.read(&mut octets) {
                        Ok(read) if read > 0 => asked.push_str(&String::from_utf8_lossy(&octets[..read])),
                        Ok(_) | Err(_) => return,
                    }
                }
                let (status, body) = said(&asked);
                if status == 0 {
                    thread::sleep(Duration::from_secs(5));
                    return;
                }
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            });
        }
    });
    port
}

fn said(asked: &str) -> (u16, String) {
    let alice = json!({
        "active": true, "sub": "alice", "groups": ["staff"], "token_type": "Bearer", "exp": now() + 600,
        "iss": "https://legacy.test", "jti": "opaque",
    });
    let with = |name: &str, value: serde_json::Value| {
        let mut answer = alice.clone();
        answer[name] = value;
        (200, answer.to_string())
    };
    let is = |name: &str| asked.contains(&format!("opaque-{name}"));
    match () {
        () if is("good") => (200, alice.to_string()),
        () if is("expired") => with("exp", json!(now() - 600)),
        () if is("elsewhere") => with("iss", json!("https://other.test")),
        () if is("revoked") => with("jti", json!("t-9")),
        () if is("inactive") && asked.starts_with("GET") => (401, String::new()),
        () if is("inactive") => (200, json!({"active": false}).to_string()),
        () if is("broken") => (500, String::new()),
        () => (0, String::new()),
    }
}

const REVOKED: &str =
    "- {token: t-9}\n- {subject: lost}\n- {subject: bob}\n- {subject: spiffe://corp.test/lost}\n...\n";

/// A client certificate with this URI.
fn certificate(uri: &str, ends: Option<(i32, u8, u8)>) -> String {
    let mut params = CertificateParams::default();
    params.subject_alt_names.push(SanType::URI(uri.try_into().expect("a URI")));
    if let Some((year, month, day)) = ends {
        params.not_after = rcgen::date_time_ymd(year, month, day);
    }
    params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate").pem()
}

/// What a caller brings.
#[derive(Clone, Debug)]
enum Brings {
    Nothing,
    Header(&'static str, String),
    Certificate(String),
}

fn bearer(token: impl AsRef<str>) -> Brings {
    Brings::Header("authorization", format!("Bearer {}", token.as_ref()))
}

fn session(token: &str) -> Brings {
    Brings::Header("cookie", format!("session={token}"))
}

#[test]
fn every_kind_of_credential_stands_the_same_battery() {
    let (issuer, stranger) = (Issuer::new("k1"), Issuer::new("k1"));
    let token = |changes: &serde_json::Value| {
        let mut claims = json!({
            "iss": "https://sso.test", "aud": "app", "sub": "alice", "iat": now() - 60, "exp": now() + 600,
            "groups": ["staff"], "jti": "t-1",
        });
        for (name, value) in changes.as_object().expect("an object") {
            claims[name] = value.clone();
        }
        claims
    };
    let jwt = |changes: serde_json::Value| bearer(issuer.sign(&token(&changes)));
    let [(ci, ci_key), (old, old_key), (lost, lost_key)] =
        [api_key::key("ci", ""), api_key::key("old", ", expires: 2020-01-01"), api_key::key("lost", "")];
    let forged = api_key::key("ci", "").1;
    let port = provider();
    let legacy =
        |path: &str| format!("url: 'http://127.0.0.1:{port}/{path}', insecure_url: true, issuer: https://legacy.test");
    let far = |name: &str, port: u16| {
        format!(
            "jwt: {{issuer: https://{name}.test, audience: app, jwks_url: 'http://127.0.0.1:{port}/keys', key_hosts: [127.0.0.1], insecure_http: true}}"
        )
    };
    let closed = crate::proxy::ports::free();
    let policy = format!(
        "revocation: {{file: revoked.yaml}}
identity:
  jwt: {{jwt: {{issuer: https://sso.test, audience: app, jwks_file: keys.json, algorithms: [ES256]}}}}
  away: {{{}}}
  slow: {{{}}}
  introspection: {{introspection: {{{}, client: {{id: postern, secret: {{env: PEPPER}}}}}}}}
  userinfo: {{userinfo: {{{}, token: [{{cookie: session}}]}}}}
  api_key: {{api_key: {{keys: keys.yaml, pepper: {{env: PEPPER}}}}}}
  basic: {{basic: {{htpasswd: users, groups: {{staff: [alice, bob]}}}}}}
  certificate: {{certificate: {{match: [{{uri: spiffe://corp.test/*, groups: [staff]}}]}}}}
hosts:
  app.test:
    routes:
{}",
        far("away", closed),
        far("slow", port),
        legacy("introspect"),
        legacy("userinfo"),
        ["jwt", "away", "slow", "introspection", "userinfo", "api_key", "basic", "certificate"]
            .map(|kind| format!("      - {{path: /{kind}, identity: {kind}, require: {{authenticated: true}}}}\n"))
            .concat(),
    );
    let world = Pretend::new()
        .file("keys.json", issuer.jwks())
        .file("revoked.yaml", REVOKED)
        .file("keys.yaml", format!("{ci}{old}{lost}...\n"))
        .file("users", format!("{}{}", *basic::LINE, basic::LINE.replacen("alice", "bob", 1)))
        .variable("PEPPER", api_key::PEPPER);
    let snapshot = Arc::new(build(&policy, world).unwrap_or_else(|problems| panic!("{problems:?}")));
    let password = |user: &str, word: &str| Brings::Header("authorization", basic::basic(user, word));
    let (good, cut) = (certificate("spiffe://corp.test/alice", None), certificate("spiffe://corp.test/alice", None));
    let cut = cut.split_at(cut.len() / 2).0.to_owned();
    let table = [
        // Signed tokens.
        ("jwt", "good", jwt(json!({})), "permitted"),
        ("jwt", "absent", Brings::Nothing, "credential_missing"),
        ("jwt", "malformed", bearer("a.b.c"), "token_unclaimed"),
        ("jwt", "malformed", jwt(json!({"aud": {}})), "token_claims"),
        ("jwt", "expired", jwt(json!({"exp": now() - 600, "iat": now() - 900})), "token_expired"),
        ("jwt", "of another issuer", jwt(json!({"iss": "https://other.test"})), "token_unclaimed"),
        ("jwt", "of another key", bearer(stranger.sign(&token(&json!({})))), "token_signature"),
        ("jwt", "revoked", jwt(json!({"jti": "t-9"})), "revoked"),
        ("away", "service down", jwt(json!({"iss": "https://away.test"})), "keys_unavailable"),
        ("slow", "service slow", jwt(json!({"iss": "https://slow.test"})), "keys_unavailable"),
        // Opaque tokens.
        ("introspection", "good", bearer("opaque-good"), "permitted"),
        ("introspection", "absent", Brings::Nothing, "credential_missing"),
        ("introspection", "not opaque", jwt(json!({})), "token_unclaimed"),
        ("introspection", "expired", bearer("opaque-expired"), "token_expired"),
        ("introspection", "of another issuer", bearer("opaque-elsewhere"), "token_claims"),
        ("introspection", "inactive", bearer("opaque-inactive"), "token_inactive"),
        ("introspection", "service down", bearer("opaque-broken"), "upstream_unavailable"),
        ("introspection", "service slow", bearer("opaque-slow"), "upstream_unavailable"),
        ("introspection", "revoked", bearer("opaque-revoked"), "revoked"),
        ("userinfo", "good", session("opaque-good"), "permitted"),
        ("userinfo", "absent", Brings::Nothing, "credential_missing"),
        ("userinfo", "inactive", session("opaque-inactive"), "token_inactive"),
        ("userinfo", "of another issuer", session("opaque-elsewhere"), "token_claims"),
        ("userinfo", "service down", session("opaque-broken"), "upstream_unavailable"),
        ("userinfo", "service slow", session("opaque-slow"), "upstream_unavailable"),
        ("userinfo", "revoked", session("opaque-revoked"), "revoked"),
        // What needs no service: files and certificates.
        ("api_key", "good", bearer(&ci_key), "permitted"),
        ("api_key", "absent", Brings::Nothing, "credential_missing"),
        ("api_key", "malformed", bearer("postern_ci_x"), "api_key_invalid"),
        ("api_key", "expired", bearer(&old_key), "api_key_expired"),
        ("api_key", "of another", bearer(&forged), "api_key_invalid"),
        ("api_key", "revoked", bearer(&lost_key), "revoked"),
        ("basic", "good", password("alice", basic::PASSWORD), "permitted"),
        ("basic", "absent", Brings::Nothing, "credential_missing"),
        ("basic", "malformed", Brings::Header("authorization", "Basic !".to_owned()), "password_invalid"),
        ("basic", "of another", password("alice", "guess"), "password_invalid"),
        ("basic", "revoked", password("bob", basic::PASSWORD), "revoked"),
        ("certificate", "good", Brings::Certificate(good), "permitted"),
        ("certificate", "absent", Brings::Nothing, "credential_missing"),
        ("certificate", "malformed", Brings::Certificate(cut), "certificate_invalid"),
        (
            "certificate",
            "expired",
            Brings::Certificate(certificate("spiffe://corp.test/alice", Some((2020, 1, 1)))),
            "certificate_invalid",
        ),
        (
            "certificate",
            "of another domain",
            Brings::Certificate(certificate("spiffe://evil.test/alice", None)),
            "credential_missing",
        ),
        ("certificate", "revoked", Brings::Certificate(certificate("spiffe://corp.test/lost", None)), "revoked"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stop = CancellationToken::new();
        let _stop = stop.clone().drop_guard();
        snapshot.keep_keys_fresh(clock::now, &stop).expect("a client");
        snapshot.ask_providers(clock::now, &stop).expect("a client");
        let engine = Engine::new(snapshot, Arc::new(Telemetry::new().expect("telemetry")));
        for (kind, case, brings, want) in table {
            let mut reason = ask(&engine, kind, &brings, Duration::from_millis(400)).await;
            // A password takes longer than a caller may wait; the next one has the answer.
            if kind == "basic" && reason == "upstream_unavailable" {
                reason = ask(&engine, kind, &brings, Duration::from_secs(60)).await;
            }
            assert_eq!(reason, want, "{kind}: {case}");
        }
    });
}

async fn ask(engine: &Engine, kind: &str, brings: &Brings, deadline: Duration) -> &'static str {
    let target = format!("/{kind}");
    let mut headers = Headers::new(false);
    let mut certificate = StatedCertificate::default();
    match brings {
        Brings::Nothing => {}
        Brings::Header(name, value) => {
            headers.push(name, value.as_bytes());
        }
        Brings::Certificate(pem) => certificate.pem = Some(pem),
    }
    let attributes = Attributes {
        dialect: Dialect::ExtAuthz,
        method: "GET",
        scheme: Some(Scheme::Https),
        host: "app.test",
        target: &target,
        address: StatedAddress { peer: Some("192.0.2.7"), forwarded_for: vec![] },
        certificate,
        headers,
        ignored_forwarding: 0,
    };
    let response = engine.authorize(Ok(attributes), Some(deadline)).await;
    match &response.verdict {
        Verdict::Allow(allow) => allow.reason.code(),
        Verdict::Deny(denial) => denial.reason.code(),
    }
}
