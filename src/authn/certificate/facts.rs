//! What a client certificate says about its holder, read from the certificate itself wherever the proxy hands it on:
//! proxies spell one subject six ways.

use aws_lc_rs::digest::SHA256;
use aws_lc_rs::digest::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

/// The longest text a certificate may be handed on as, in octets. Envoy's escaped PEM of a 4096-bit RSA certificate is
/// about 3 kB.
const LONGEST: usize = 32 * 1024;

/// A certificate's names. Every text is sound: not empty, no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// `URI` subject alternative names, in order.
    pub(super) uris: Vec<String>,
    /// `DNS` subject alternative names, in order.
    pub(super) dns: Vec<String>,
    /// `email` subject alternative names, in order.
    pub(super) emails: Vec<String>,
    /// The subject's common name, when it has exactly one.
    pub(super) common_name: Option<String>,
    /// SHA-256 of the DER, in lower-case hex.
    pub(super) fingerprint: Option<String>,
    /// Not before and not after, in seconds since 1970.
    pub(super) validity: Option<(i64, i64)>,
}

/// Why a text is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("it is longer than {LONGEST} octets")]
    TooLong,
    #[error("it is neither one PEM certificate nor base64 of one in DER")]
    NotACertificate,
    #[error("a name in the certificate is empty or holds a control character")]
    Unsound,
    #[error("the certificate is not valid at this time")]
    NotValidNow,
}

impl Facts {
    /// Read a certificate as proxies hand it on: PEM with percent escapes (Envoy's `source.certificate`, nginx's
    /// `$ssl_client_escaped_cert`), or DER in base64 (Caddy, HAProxy; Traefik adds the chain after a comma).
    pub(super) fn parse(text: &str) -> Result<Facts, CertificateError> {
        if text.len() > LONGEST {
            return Err(CertificateError::TooLong);
        }
        if text.trim_start().starts_with("-----") {
            let pem = unescape(text).ok_or(CertificateError::NotACertificate)?;
            let mut blocks = CertificateDer::pem_slice_iter(&pem);
            return match (blocks.next(), blocks.next()) {
                (Some(Ok(der)), None) => Facts::from_der(&der),
                _ => Err(CertificateError::NotACertificate),
            };
        }
        let first = text.split(',').next().unwrap_or_default();
        let der = STANDARD.decode(first.trim()).map_err(|_| CertificateError::NotACertificate)?;
        Facts::from_der(&der)
    }

    /// Read the DER. The proxy has verified the signature; nothing of it is verified here.
    pub(super) fn from_der(der: &[u8]) -> Result<Facts, CertificateError> {
        let Ok(([], certificate)) = X509Certificate::from_der(der) else {
            return Err(CertificateError::NotACertificate);
        };
        let mut facts = Facts { fingerprint: Some(hex(digest(&SHA256, der).as_ref())), ..Facts::default() };
        let names = certificate.subject_alternative_name().map_err(|_| CertificateError::NotACertificate)?;
        for name in names.map(|names| names.value.general_names.as_slice()).unwrap_or_default() {
            match name {
                GeneralName::URI(text) => facts.uris.push(sound(text)?),
                GeneralName::DNSName(text) => facts.dns.push(sound(text)?.to_ascii_lowercase()),
                GeneralName::RFC822Name(text) => facts.emails.push(sound(text)?),
                GeneralName::Invalid(..) => return Err(CertificateError::Unsound),
                _ => {}
            }
        }
        let mut common_names = certificate.subject().iter_common_name();
        if let (Some(only), None) = (common_names.next(), common_names.next()) {
            facts.common_name = Some(sound(only.as_str().map_err(|_| CertificateError::Unsound)?)?);
        }
        let validity = certificate.validity();
        facts.validity = Some((validity.not_before.timestamp(), validity.not_after.timestamp()));
        Ok(facts)
    }

    /// Is it within its time? A connection may outlive the certificate it was opened with. Without the certificate
    /// itself, the proxy's word stands.
    pub(super) fn check_time(&self, now: Timestamp) -> Result<(), CertificateError> {
        match self.validity {
            Some((from, to)) if !(from..=to).contains(&now.as_second()) => Err(CertificateError::NotValidNow),
            Some(_) | None => Ok(()),
        }
    }
}

/// A name that may be compared and sent: a NUL ends it early elsewhere (I8).
pub(super) fn sound(text: &str) -> Result<String, CertificateError> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(CertificateError::Unsound);
    }
    Ok(text.to_owned())
}

/// Percent escapes undone; `+` stays, it is base64.
fn unescape(text: &str) -> Option<Vec<u8>> {
    let digit =
        |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16)).and_then(|n| u8::try_from(n).ok());
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        octets.push(if byte == b'%' { digit(bytes.next())? << 4 | digit(bytes.next())? } else { byte });
    }
    Some(octets)
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::certificate::testing::Leaf;

    #[test]
    fn a_certificate_reads_the_same_in_every_form() {
        let leaf = Leaf::alice();
        let facts = Facts::from_der(&leaf.der).expect("a certificate");
        assert_eq!(facts.uris, ["spiffe://corp.test/ns/dev/sa/alice"]);
        assert_eq!(facts.dns, ["alice.corp.test"], "lower case");
        assert_eq!(facts.emails, ["alice@corp.test"]);
        assert_eq!(facts.common_name.as_deref(), Some("alice"));
        assert_eq!(facts.fingerprint.as_ref().map(String::len), Some(64));
        for text in [leaf.pem.clone(), leaf.escaped(), leaf.base64(), format!("{},{}", leaf.base64(), leaf.base64())] {
            assert_eq!(Facts::parse(&text).as_ref(), Ok(&facts), "{text}");
        }
    }

    #[test]
    fn what_is_not_exactly_one_certificate_is_refused() {
        let leaf = Leaf::alice();
        let tail = format!("{}AAAA", leaf.base64().trim_end_matches('='));
        for text in [
            "",
            "MA==",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN%2",
            &format!("{}{}", leaf.pem, leaf.pem),
            &tail,
            leaf.base64().get(..400).expect("400 octets"),
            "-----BEGIN PUBLIC KEY-----\nMA==\n-----END PUBLIC KEY-----",
        ] {
            assert_eq!(Facts::parse(text), Err(CertificateError::NotACertificate), "{text}");
        }
        assert_eq!(Facts::parse(&"A".repeat(LONGEST + 1)), Err(CertificateError::TooLong));
    }

    #[test]
    fn i8_a_name_with_a_nul_refuses_the_certificate() {
        let leaf = Leaf::with_uri("spiffe://corp.test/a\u{0}b");
        assert_eq!(Facts::from_der(&leaf.der), Err(CertificateError::Unsound));
    }

    #[test]
    fn a_certificate_ends() {
        let facts = Facts { validity: Some((100, 200)), ..Facts::default() };
        for (second, valid) in [(99, false), (100, true), (200, true), (201, false)] {
            let now = Timestamp::from_second(second).expect("a time");
            assert_eq!(facts.check_time(now).is_ok(), valid, "{second}");
        }
    }
}
