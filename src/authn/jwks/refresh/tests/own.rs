//! An issuer with a certificate authority of its own, whose keys are told only to those it knows: a Kubernetes API server.

use std::io::Read;
use std::io::Write;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::pki_types::PrivateKeyDer;

use super::*;
use crate::authn::jwks::Bearer;
use crate::authn::jwks::EndpointError;
use crate::outbound::install_crypto;

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// An https server called localhost. Threads suit it: it says one thing and is gone with the test.
struct Cluster {
    issuer: String,
    discovery: Arc<Mutex<String>>,
    /// Path and token of every request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    fn start(authority: &Authority) -> Cluster {
        install_crypto();
        let key = KeyPair::generate().expect("a key");
        let own = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let own = own.signed_by(&key, authority).expect("a certificate").der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![own], key);
        let config = Arc::new(config.expect("a certificate with its key"));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let issuer = format!("https://localhost:{}", listener.local_addr().expect("address").port());
        let discovery =
            Arc::new(Mutex::new(json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (says, hears, keys) = (discovery.clone(), asked.clone(), keys(&["one"]));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let connection = ServerConnection::new(config.clone()).expect("a connection");
                let mut stream = StreamOwned::new(connection, stream);
                let mut request = [0; 4096];
                let Ok(length) = stream.read(&mut request) else { continue };
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                let token = request.lines().find_map(|line| line.strip_prefix("authorization: ")).unwrap_or("-");
                hears.lock().expect("lock").push(format!("{path} {token}"));
                let body = if path == "/keys" { keys.clone() } else { says.lock().expect("lock").clone() };
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Cluster { issuer, discovery, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("lock"))
    }

    fn settings(&self, authority: &Authority, bearer: Bearer) -> RemoteSettings {
        RemoteSettings {
            key_hosts: vec!["localhost".into()],
            client: Some(Client::trusting(authority.pem().as_bytes()).expect("a client")),
            bearer: Some(bearer),
            ..RemoteSettings::new("pods", &self.issuer)
        }
    }
}

fn bearer(token: &'static str) -> Bearer {
    Bearer::new(Arc::new(move || Ok(token.into())))
}

#[tokio::test]
async fn the_token_is_read_again_for_every_fetch() {
    let authority = authority();
    let cluster = Cluster::start(&authority);
    let file = Arc::new(Mutex::new(Some("first\n")));
    let reads = file.clone();
    let reader = Bearer::new(Arc::new(move || {
        reads.lock().expect("lock").map(Into::into).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }));
    let (task, first) = Task::start(cluster.settings(&authority, reader)).await;
    assert_eq!(first, FetchOutcome::Fresh, "{:?}", task.keys.status().last_error);
    assert_eq!(cluster.asked(), ["/.well-known/openid-configuration Bearer first", "/keys Bearer first"]);
    *file.lock().expect("lock") = Some("second");
    assert_eq!(task.fetch("two", NOW + 30).await, FetchOutcome::Fresh);
    assert_eq!(cluster.asked(), ["/.well-known/openid-configuration Bearer second", "/keys Bearer second"]);
    *file.lock().expect("lock") = None;
    assert_eq!(task.fetch("two", NOW + 60).await, FetchOutcome::Failed);
    assert!(task.has("one", NOW + 60) && cluster.asked().is_empty());
}

#[tokio::test]
async fn k2_the_token_is_shown_to_the_issuer_alone() {
    let authority = authority();
    let (cluster, elsewhere) = (Cluster::start(&authority), Cluster::start(&authority));
    // The same host on another port is another server.
    let away = json!({"issuer": cluster.issuer, "jwks_uri": format!("{}/keys", elsewhere.issuer)}).to_string();
    *cluster.discovery.lock().expect("lock") = away;
    let (_task, first) = Task::start(cluster.settings(&authority, bearer("secret"))).await;
    assert_eq!(first, FetchOutcome::Fresh);
    assert_eq!(cluster.asked(), ["/.well-known/openid-configuration Bearer secret"]);
    assert_eq!(elsewhere.asked(), ["/keys -"]);

    let settings = cluster.settings(&authority, bearer("secret"));
    for jwks_url in [format!("{}/keys", elsewhere.issuer), cluster.issuer.replace("https", "http")] {
        let settings = RemoteSettings { jwks_url: Some(jwks_url), insecure_http: true, ..settings.clone() };
        assert!(matches!(Keys::remote(settings), Err(EndpointError::NotForBearer(_))));
    }
}

#[tokio::test]
async fn k2_no_other_authority_is_trusted() {
    let (ours, other) = (authority(), authority());
    let cluster = Cluster::start(&ours);
    let settings = cluster.settings(&ours, bearer("secret"));
    let stranger = cluster.settings(&other, bearer("secret"));
    for settings in [stranger, RemoteSettings { client: None, ..settings.clone() }] {
        let (task, first) = Task::start(settings).await;
        assert_eq!(first, FetchOutcome::Failed);
        assert!(!task.has("one", NOW));
    }
    assert!(cluster.asked().is_empty(), "nobody unknown sees the token");
    // The host still has to be vouched for.
    let settings = RemoteSettings { key_hosts: vec![], ..settings };
    assert!(matches!(Keys::remote(settings), Err(EndpointError::Private(_))));
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Client::trusting(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Client::trusting(authority().pem().as_bytes()).is_ok());
}
