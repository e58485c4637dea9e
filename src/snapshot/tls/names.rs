//! Which certificates of a trusted authority may ask: those with a listed name.

use std::sync::Arc;

use rustls::CertificateError;
use rustls::DigitallySignedStruct;
use rustls::DistinguishedName;
use rustls::Error;
use rustls::SignatureScheme;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::ClientCertVerified;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::UnixTime;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::model::host::Host;

/// A listed name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NamePattern {
    /// A DNS name, lower-case.
    Dns(String),
    /// A whole URI.
    Uri(String),
    /// Every URI below this one, which ends in `/`.
    Below(String),
}

/// Why a text names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    #[error("`{0}` is no name: write `envoy.corp.test`, or a URI as `spiffe://corp.test/ns/edge/sa/envoy`")]
    Shape(String),
    #[error("`{0}` has a `*` where none can be: only a URI may have one, as `spiffe://corp.test/ns/edge/**`")]
    Wildcard(String),
}

impl NamePattern {
    /// Read `envoy.corp.test`, `spiffe://corp.test/ns/edge/sa/envoy` or `spiffe://corp.test/ns/edge/**`.
    pub(super) fn parse(text: &str) -> Result<NamePattern, NameError> {
        let shape = || NameError::Shape(text.to_owned());
        let Some((scheme, rest)) = text.split_once("://") else {
            if text.contains('*') {
                return Err(NameError::Wildcard(text.to_owned()));
            }
            let host = Host::parse(text).map_err(|_| shape())?;
            return if host.name() == text { Ok(NamePattern::Dns(text.to_owned())) } else { Err(shape()) };
        };
        let below = rest.strip_suffix("/**");
        let (authority, _) = below.unwrap_or(rest).split_once('/').unwrap_or((below.unwrap_or(rest), ""));
        if scheme.is_empty() || authority.is_empty() || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(shape());
        }
        match text.strip_suffix("**") {
            _ if below.unwrap_or(rest).contains('*') => Err(NameError::Wildcard(text.to_owned())),
            Some(prefix) => Ok(NamePattern::Below(prefix.to_owned())),
            None => Ok(NamePattern::Uri(text.to_owned())),
        }
    }

    fn is(&self, name: &GeneralName<'_>) -> bool {
        match (self, name) {
            (NamePattern::Dns(dns), GeneralName::DNSName(name)) => name.eq_ignore_ascii_case(dns),
            (NamePattern::Uri(uri), GeneralName::URI(name)) => name == uri,
            (NamePattern::Below(prefix), GeneralName::URI(name)) => name.strip_prefix(&**prefix).is_some_and(is_plain),
            _ => false,
        }
    }
}

fn is_spiffe(name: &GeneralName<'_>) -> bool {
    matches!(name, GeneralName::URI(uri) if uri.starts_with("spiffe://"))
}

/// Segments that mean what they say, so that nothing below a prefix is really beside it.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|segment| {
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
    })
}

/// Takes what the inner one takes, when it bears a listed name.
#[derive(Debug)]
pub(super) struct Named {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<NamePattern>,
}

impl Named {
    pub(super) fn new(inner: Arc<dyn ClientCertVerifier>, names: Vec<NamePattern>) -> Named {
        Named { inner, names }
    }

    fn bears_a_name(&self, der: &[u8]) -> bool {
        let Ok(([], certificate)) = X509Certificate::from_der(der) else { return false };
        let Ok(Some(names)) = certificate.subject_alternative_name() else { return false };
        let names = &names.value.general_names;
        // Whoever has two SPIFFE identities has none: X509-SVID §2.
        let identities = names.iter().filter(|name| is_spiffe(name)).count();
        let taken = |name: &GeneralName<'_>| identities < 2 || !is_spiffe(name);
        names.iter().any(|name| taken(name) && self.names.iter().any(|pattern| pattern.is(name)))
    }
}

impl ClientCertVerifier for Named {
    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.inner.verify_client_cert(certificate, between, now)?;
        if self.bears_a_name(certificate) {
            return Ok(verified);
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    // Everything else is as the trait has it: a certificate is asked for, and without one there is no connection.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_or_says_what_to_write() {
        for (text, want) in [
            ("envoy.corp.test", Ok(NamePattern::Dns("envoy.corp.test".into()))),
            ("spiffe://corp.test/ns/a/sa/b", Ok(NamePattern::Uri("spiffe://corp.test/ns/a/sa/b".into()))),
            ("spiffe://corp.test/**", Ok(NamePattern::Below("spiffe://corp.test/".into()))),
            ("", Err(NameError::Shape("".into()))),
            ("Envoy.corp.test", Err(NameError::Shape("Envoy.corp.test".into()))),
            ("envoy.corp.test:443", Err(NameError::Shape("envoy.corp.test:443".into()))),
            ("spiffe:///ns", Err(NameError::Shape("spiffe:///ns".into()))),
            ("spiffe:///**", Err(NameError::Shape("spiffe:///**".into()))),
            ("://corp.test", Err(NameError::Shape("://corp.test".into()))),
            ("*.corp.test", Err(NameError::Wildcard("*.corp.test".into()))),
            ("spiffe://**", Err(NameError::Wildcard("spiffe://**".into()))),
            ("spiffe://corp.test/*/b", Err(NameError::Wildcard("spiffe://corp.test/*/b".into()))),
            ("spiffe://corp.test/a**", Err(NameError::Wildcard("spiffe://corp.test/a**".into()))),
            ("spiffe://*/**", Err(NameError::Wildcard("spiffe://*/**".into()))),
        ] {
            assert_eq!(NamePattern::parse(text), want, "{text}");
        }
    }

    #[test]
    fn a_pattern_covers_its_kind_only() {
        use GeneralName::DNSName;
        use GeneralName::URI;
        for (pattern, name, covered) in [
            ("envoy.corp.test", DNSName("envoy.corp.test"), true),
            ("envoy.corp.test", DNSName("ENVOY.corp.test"), true),
            ("envoy.corp.test", DNSName("a.envoy.corp.test"), false),
            ("envoy.corp.test", DNSName("*.corp.test"), false),
            ("envoy.corp.test", URI("envoy.corp.test"), false),
            ("spiffe://corp.test/a", URI("spiffe://corp.test/a"), true),
            ("spiffe://corp.test/a", URI("spiffe://corp.test/a/b"), false),
            ("spiffe://corp.test/a", DNSName("spiffe://corp.test/a"), false),
            ("spiffe://corp.test/a/**", URI("spiffe://corp.test/a/b/c"), true),
            ("spiffe://corp.test/a/**", URI("spiffe://corp.test/a"), false),
            ("spiffe://corp.test/a/**", URI("spiffe://corp.test/a/"), false),
            ("spiffe://corp.test/a/**", URI("spiffe://corp.test/ab"), false),
            ("spiffe://corp.test/a/**", URI("spiffe://corp.test/a/../b"), false),
            ("spiffe://corp.test/a/**", URI("spiffe://corp.test/a/%2e%2e/b"), false),
        ] {
            let parsed = NamePattern::parse(pattern).expect(pattern);
            assert_eq!(parsed.is(&name), covered, "{pattern} {name:?}");
        }
    }
}
