//! TLS to a server that the configuration names, with certificate authorities of its own.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;

use crate::model::secret::Secret;

/// What a client is made of: PEM texts.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// No authority besides these is trusted.
    pub authorities: Vec<u8>,
    /// The name or address that the server's certificate must have.
    pub server_name: String,
    /// That name was written, and is not that of the host: whichever host is asked must have it.
    pub any_host: bool,
    /// Our certificates and their key, where the server wants to know who we are.
    pub own: Option<(Vec<u8>, Secret<Vec<u8>>)>,
}

/// How connections to one server are encrypted.
#[derive(Clone)]
pub struct TlsClient {
    files: TlsFiles,
    name: ServerName<'static>,
    settings: Arc<ClientConfig>,
}

/// Which of the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("no certificate authority in it can be used")]
    Authorities,
    #[error("`{0}` is no name that a certificate can have")]
    ServerName(String),
    #[error("there is no certificate in it")]
    Certificate,
    #[error("there is no private key in it that can be used")]
    Key,
    #[error("certificate and key cannot be used together: {0}")]
    Pair(rustls::Error),
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl TlsClient {
    /// Build it.
    pub fn build(files: TlsFiles) -> Result<TlsClient, TlsError> {
        let mut roots = RootCertStore::empty();
        for authority in certificates(&files.authorities).ok_or(TlsError::Authorities)? {
            roots.add(authority).map_err(|_| TlsError::Authorities)?;
        }
        let name = files.server_name.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|_| TlsError::ServerName(files.server_name.clone()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(TlsError::Setup)?.with_root_certificates(roots);
        let settings = match &files.own {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = certificates(chain).ok_or(TlsError::Certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key.expose()).map_err(|_| TlsError::Key)?;
                builder.with_client_auth_cert(chain, key).map_err(TlsError::Pair)?
            }
        };
        Ok(TlsClient { files, name, settings: Arc::new(settings) })
    }

    /// The same for another host, unless the certificate's name was settled for all hosts.
    pub fn for_host(&self, host: &str) -> Result<TlsClient, TlsError> {
        if self.files.any_host {
            return Ok(self.clone());
        }
        TlsClient::build(TlsFiles { server_name: host.to_owned(), ..self.files.clone() })
    }

    /// What a connection is made with.
    pub(super) fn parts(&self) -> (Arc<ClientConfig>, ServerName<'static>) {
        (Arc::clone(&self.settings), self.name.clone())
    }

    pub(super) fn connection(&self) -> io::Result<ClientConnection> {
        ClientConnection::new(Arc::clone(&self.settings), self.name.clone()).map_err(io::Error::other)
    }
}

/// What a PEM text holds: one certificate at least.
fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty())
}

impl PartialEq for TlsClient {
    /// Made of the same files.
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

impl Eq for TlsClient {}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").field("name", &self.name).finish_non_exhaustive()
    }
}
