//! An authority, the people it knows, and what a proxy and Postern read of them.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tempfile::TempDir;

use crate::proxy::upstream::SCENARIO;

const HOST: &str = "app.example.test";
const PATIENCE: Duration = Duration::from_secs(20);

/// Who opens a connection, and with what certificate.
pub(crate) struct Person {
    pub(crate) der: Vec<u8>,
    pem: String,
    key: Option<String>,
}

impl Person {
    /// With a certificate of this authority.
    fn of(authority: &CertifiedIssuer<'_, KeyPair>, name: &str) -> Person {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        let uri = format!("spiffe://corp.test/people/{name}");
        params.subject_alt_names.push(SanType::URI(uri.as_str().try_into().expect("an IA5 string")));
        params.extended_key_usages.push(ExtendedKeyUsagePurpose::ClientAuth);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, authority).expect("a certificate");
        Person { der: certificate.der().to_vec(), pem: certificate.pem(), key: Some(key.serialize_pem()) }
    }

    fn nobody() -> Person {
        Person { der: Vec::new(), pem: String::new(), key: None }
    }

    /// The PEM with percent escapes, as Envoy and nginx write it.
    pub(crate) fn escaped(&self) -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        let escape = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
        self.pem.bytes().map(escape).collect()
    }

    /// The status of one request of this person's.
    pub(crate) fn send(
        &self,
        files: &Files,
        port: u16,
        path: &str,
        id: &str,
        headers: &[(&'static str, String)],
    ) -> io::Result<u16> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(files.authority.clone())).expect("an authority");
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match &self.key {
            None => config.with_no_client_auth(),
            Some(key) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
                let chain = vec![CertificateDer::from(self.der.clone())];
                config.with_client_auth_cert(chain, key).expect("a certificate with its key")
            }
        };
        let name = ServerName::try_from(HOST).expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut stream = StreamOwned::new(connection, stream);
        let mut request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n{SCENARIO}: {id}\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{request}\r\n").as_bytes())?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        let status = std::str::from_utf8(&head).ok().and_then(|head| head.strip_prefix("HTTP/1.1 "));
        status.and_then(|status| status.parse().ok()).ok_or_else(|| io::Error::other("no status line"))
    }
}

/// An authority, its people, and the files that the proxies read.
pub(crate) struct Files {
    folder: TempDir,
    authority: Vec<u8>,
    pub(crate) alice: Person,
    pub(crate) bob: Person,
    pub(crate) nobody: Person,
    /// Called alice by another authority.
    pub(crate) stranger: Person,
    /// Of the authority, but in no rule of the policy.
    pub(crate) unknown: Person,
}

impl Files {
    pub(crate) fn write(from: &str) -> Files {
        postern::outbound::install_crypto();
        let (authority, other) = (authority("ours"), authority("another"));
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let key = KeyPair::generate().expect("a key");
        let edge = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
        let edge = edge.signed_by(&key, &authority).expect("a certificate");
        let policy = format!(
            "version: 1\nlisten: {{grpc: 127.0.0.1:9191, http: 127.0.0.1:9192, admin: 127.0.0.1:9193}}\n\
             identity:\n  mesh:\n    certificate:\n      from: {from}\n      match:\n\
             \x20       - {{uri: spiffe://corp.test/people/alice, user: alice}}\n\
             \x20       - {{uri: spiffe://corp.test/people/bob, user: bob}}\n\
             hosts:\n  {HOST}:\n    routes:\n      - {{path: /public/**, public: true}}\n\
             \x20     - {{path: /**, require: {{authenticated: true}}}}\n...\n"
        );
        for (name, text) in [
            ("ca.pem", authority.pem()),
            ("edge.pem", edge.pem()),
            ("edge.key", key.serialize_pem()),
            ("both.pem", edge.pem() + &key.serialize_pem()),
            ("policy.yaml", policy),
        ] {
            std::fs::write(folder.path().join(name), text).expect("a file");
        }
        Files {
            folder,
            authority: authority.der().to_vec(),
            alice: Person::of(&authority, "alice"),
            bob: Person::of(&authority, "bob"),
            nobody: Person::nobody(),
            stranger: Person::of(&other, "alice"),
            unknown: Person::of(&authority, "unknown"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        Path::display(&self.folder.path().join(name)).to_string()
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}
