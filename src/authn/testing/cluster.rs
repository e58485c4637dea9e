//! An https server with a certificate authority of its own that serves a discovery document and keys, and remembers who
//! asked: what a Kubernetes API server is to us.

use std::io::Read;
use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::IsCa;
use rcgen::KeyPair;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::StreamOwned;
use rustls::pki_types::PrivateKeyDer;
use serde_json::json;

use crate::authn::jwt::Algorithm;
use crate::authn::testing::Signer;
use crate::outbound::install_crypto;

pub(crate) type Authority = CertifiedIssuer<'static, KeyPair>;

pub(crate) fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

/// An https server called localhost. Threads suit it: it says one thing and is gone with the test.
pub(crate) struct Cluster {
    pub(crate) issuer: String,
    pub(crate) discovery: Arc<Mutex<String>>,
    /// Path and token of every request.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Cluster {
    pub(crate) fn start(authority: &Authority) -> Cluster {
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
        let (says, hears, keys) =
            (discovery.clone(), asked.clone(), json!({"keys": [Signer::new(Algorithm::EdDsa).jwk("one")]}).to_string());
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

    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("lock"))
    }
}
