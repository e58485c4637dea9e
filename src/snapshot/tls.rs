//! TLS towards the proxies: certificates in, server settings out.

mod names;

use std::sync::Arc;

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::FromDer;
use x509_parser::prelude::X509Certificate;

use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::config::tree::TlsListener;
use crate::model::listen::Listen;
use crate::model::listen::ListenAddress;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::tls::names::NamePattern;
use crate::snapshot::tls::names::Named;

/// How new connections of each listener are encrypted; without settings they are not. Unix sockets never are.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    pub grpc: Option<Arc<ServerConfig>>,
    pub http: Option<Arc<ServerConfig>>,
    /// When the first of the certificates that they show ends.
    pub not_after: Option<Timestamp>,
}

impl Tls {
    /// The listeners that show certificates, and when the first of these ends.
    pub fn ends(&self) -> impl Iterator<Item = (&'static str, Timestamp)> {
        let speaking = [("grpc", self.grpc.is_some()), ("http", self.http.is_some())].into_iter();
        let not_after = self.not_after;
        speaking.filter_map(move |(listener, speaks)| Some((listener, not_after.filter(|_| speaks)?)))
    }

    /// The listeners that spoke TLS before and do so no more.
    pub fn plainer_than(&self, before: &Tls) -> impl Iterator<Item = &'static str> {
        [("grpc", &self.grpc, &before.grpc), ("http", &self.http, &before.http)]
            .into_iter()
            .filter(|(_, now, before)| now.is_none() && before.is_some())
            .map(|(listener, ..)| listener)
    }
}

/// Build `listen.tls`.
pub(super) fn tls(
    written: Option<&At<tree::ListenTls>>,
    listen: &Listen,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Tls {
    let Some(written) = written else { return Tls::default() };
    let (grpc, http) = listeners(written, listen, problems);
    let settings = verifier(written, surroundings, problems)
        .and_then(|verifier| Ok((verifier, certificate(written, surroundings)?)))
        .and_then(|(verifier, (chain, key))| {
            let not_after = not_after(&chain);
            Ok((server(&written.certificate, verifier, chain, key)?, not_after))
        });
    match settings {
        Ok((settings, not_after)) => Tls {
            not_after,
            grpc: grpc.then(|| speaking(&settings, &[b"h2"])),
            http: http.then(|| speaking(&settings, &[b"http/1.1", b"h2"])),
        },
        Err(problem) => {
            problems.push(problem);
            Tls::default()
        }
    }
}

/// Which listeners speak it: gRPC, HTTP.
fn listeners(written: &At<tree::ListenTls>, listen: &Listen, problems: &mut Problems) -> (bool, bool) {
    let unix = |address: &Option<ListenAddress>| matches!(address, Some(ListenAddress::Unix(_)));
    let unix = |listener| match listener {
        TlsListener::Grpc => unix(&listen.grpc),
        TlsListener::Http => unix(&listen.http),
    };
    let Some(on) = &written.on else {
        if unix(TlsListener::Grpc) && unix(TlsListener::Http) {
            let message = "no listener speaks TLS: both are unix sockets";
            problems.push(Problem::warning(written.place.clone(), "", message));
        }
        return (true, true);
    };
    for listener in on.iter().filter(|listener| unix(listener.value)) {
        let message = "a unix socket carries no TLS";
        problems.push(Problem::error(listener.place.clone(), "", message).help("leave it out"));
    }
    let names = |wanted| on.iter().any(|listener| listener.value == wanted);
    (names(TlsListener::Grpc), names(TlsListener::Http))
}

/// The certificates to show, and their key.
fn certificate(
    written: &tree::ListenTls,
    surroundings: &Surroundings<'_>,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Problem> {
    let chain = certificates(&written.certificate, surroundings)?;
    let text = surroundings.secret(&written.key)?;
    let key = PrivateKeyDer::from_pem_slice(text.expose()).map_err(|_| {
        let message = "there is no private key in it that can be used";
        Problem::error(written.key.place.clone(), "", message)
            .help("name a PEM file with an unencrypted key: `openssl pkey -in key.pem -out plain.pem`")
    })?;
    Ok((chain, key))
}

/// What a PEM file holds: one certificate at least.
fn certificates(file: &At<String>, surroundings: &Surroundings<'_>) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let unfit = |why: String| {
        let message = format!("`{}` cannot be used: {why}", file.value);
        Problem::error(file.place.clone(), "", message).help("name a PEM file of certificates")
    };
    let text = surroundings.file(file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| unfit(error.to_string()))?;
    if found.is_empty() { Err(unfit("there is no certificate in it".to_owned())) } else { Ok(found) }
}

/// The certificate authorities of a PEM file, as they stand there.
pub(super) fn authorities(file: &At<String>, surroundings: &Surroundings<'_>) -> Result<Vec<u8>, Problem> {
    certificates(file, surroundings)?;
    surroundings.file(file)
}

/// When the first of these ends.
fn not_after(chain: &[CertificateDer<'_>]) -> Option<Timestamp> {
    let end = |der: &CertificateDer<'_>| {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
    };
    chain.iter().filter_map(end).min()
}

/// Who judges the certificates of proxies; nobody where none is asked for.
fn verifier(
    written: &tree::ListenTls,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, Problem> {
    let Some(authorities) = &written.client_ca else {
        return match &written.client_names {
            None => Ok(None),
            Some(names) => {
                let message = "`client_names` says nothing without `client_ca`: no proxy is asked for a certificate";
                Err(Problem::error(names.place.clone(), "", message).help("name the authorities in `client_ca`"))
            }
        };
    };
    let unfit = |why: String| {
        let message = format!("`{}` cannot be used: {why}", authorities.value);
        Problem::error(authorities.place.clone(), "", message).help("name a PEM file of CA certificates")
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates(authorities, surroundings)? {
        roots.add(authority).map_err(|error| unfit(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| unfit(error.to_string()))?;
    let Some(names) = &written.client_names else { return Ok(Some(verifier)) };
    let patterns = names.iter().filter_map(|name| match NamePattern::parse(&name.value) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            problems.push(Problem::error(name.place.clone(), "", error.to_string()));
            None
        }
    });
    Ok(Some(Arc::new(Named::new(verifier, patterns.collect()))))
}

fn server(
    at: &At<String>,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Problem> {
    let unfit = |error: rustls::Error| {
        let message = format!("certificate and key cannot be used together: {error}");
        Problem::error(at.place.clone(), "", message).help("name the key that the certificate was made for")
    };
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
    let builder = builder.map_err(unfit)?;
    let mut settings = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    }
    .with_single_cert(chain, key)
    .map_err(unfit)?;
    // A resumed session shows no certificate again. Proxies keep their connections, so nothing is lost.
    settings.session_storage = Arc::new(NoServerSessionStorage {});
    settings.send_tls13_tickets = 0;
    Ok(settings)
}

fn speaking(settings: &ServerConfig, protocols: &[&[u8]]) -> Arc<ServerConfig> {
    let mut settings = settings.clone();
    settings.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(settings)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests;
