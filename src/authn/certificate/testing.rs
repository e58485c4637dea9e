//! Client certificates for tests, made at run time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::CertificateParams;
use rcgen::DnType;
use rcgen::KeyPair;
use rcgen::SanType;

/// A certificate in the forms it is handed on in.
pub(crate) struct Leaf {
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

impl Leaf {
    /// Alice's, with a name of every kind.
    pub(crate) fn alice() -> Leaf {
        Leaf::new("alice", &["spiffe://corp.test/ns/dev/sa/alice"], &["Alice.corp.test"], &["alice@corp.test"])
    }

    /// One with this URI alone.
    pub(crate) fn with_uri(uri: &str) -> Leaf {
        Leaf::new("x", &[uri], &[], &[])
    }

    pub(crate) fn new(common_name: &str, uris: &[&str], dns: &[&str], emails: &[&str]) -> Leaf {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        let text = |text: &&str| (*text).try_into().expect("an IA5 string");
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI(text(uri))));
        params.subject_alt_names.extend(dns.iter().map(|name| SanType::DnsName(text(name))));
        params.subject_alt_names.extend(emails.iter().map(|mail| SanType::Rfc822Name(text(mail))));
        let certificate = params.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        Leaf { der: certificate.der().to_vec(), pem: certificate.pem() }
    }

    /// The PEM with percent escapes, as Envoy and nginx write it.
    pub(crate) fn escaped(&self) -> String {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        self.pem
            .bytes()
            .map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
            .collect()
    }

    /// The DER in base64, as Caddy and HAProxy write it.
    pub(crate) fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }
}
