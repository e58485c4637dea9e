//! Where we call others: the one HTTP client, and sockets for what speaks no HTTP ([`socket`], [`dial`],
//! [`tls`]).
//!
//! Everything we fetch comes through here, so every answer has a deadline and a size cap, no
//! redirect is followed, no proxy is taken from the environment, and no private address is dialled by surprise.

pub mod dial;
mod reach;
pub mod socket;
pub mod tls;
pub mod upload;

use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use url::Host;
use url::Url;

pub use reach::Reach;
pub use reach::is_public;

/// What the client is built from.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Certificate authorities to trust next to the system's, as PEM text.
    pub extra_roots: Vec<Vec<u8>>,
}

/// The bounds of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the start to the last octet of the body.
    pub total: Duration,
    /// The largest body, in octets.
    pub size: usize,
    /// Which addresses may be dialled.
    pub reach: Reach,
    /// Allow `http:`. The setting behind it is spelled `insecure_…`.
    pub insecure_http: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { total: Duration::from_secs(5), size: 1024 * 1024, reach: Reach::Public, insecure_http: false }
    }
}

/// Why a fetch gave nothing. Texts carry no credentials: a URL with user information is refused first.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    #[error("the HTTP client cannot be built")]
    Build(#[source] reqwest::Error),
    #[error("there is no certificate in it")]
    NoCertificates,
    #[error("`{0}` is not an https URL")]
    NotHttps(String),
    #[error("a URL with a user name or password is not fetched")]
    Credentials,
    #[error("`{0}` has no host")]
    NoHost(String),
    #[error("`{0}` is not a public address, and only those may be reached unless the host is listed")]
    NotPublic(String),
    #[error("no certificate authority is installed on this machine, so no https URL can be fetched")]
    NoRoots,
    #[error("`{url}` answered {status} with a redirect, which is not followed")]
    Redirect { url: String, status: u16 },
    #[error("`{url}` answered {status}")]
    Status { url: String, status: u16 },
    #[error("the answer of `{url}` is larger than {size} octets")]
    TooLarge { url: String, size: usize },
    #[error("`{url}` did not answer within {total:?}")]
    TooSlow { url: String, total: Duration },
    #[error("`{url}` cannot be fetched: {cause}")]
    Failed {
        url: String,
        /// The innermost cause, which is the one an operator can act on.
        cause: String,
        #[source]
        source: reqwest::Error,
    },
}

/// What is asked.
pub enum Asked {
    Get,
    /// A POST of this `application/x-www-form-urlencoded` text.
    Form(String),
    /// A POST of a body of this media type.
    Post {
        media: HeaderValue,
        body: Bytes,
    },
}

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Never a redirect.
    pub status: StatusCode,
    /// Read only with status 200; empty otherwise.
    pub body: Bytes,
}

/// The client. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct Client {
    public: reqwest::Client,
    any: reqwest::Client,
    has_roots: bool,
}

impl Client {
    /// Build the client and install the process's TLS provider.
    pub fn new(settings: &Settings) -> Result<Client, OutboundError> {
        install_crypto();
        match Client::with_system_roots(settings, true) {
            Ok(client) => Ok(client),
            // A machine without any certificate authority can still fetch what needs none.
            Err(_) if settings.extra_roots.is_empty() => Client::with_system_roots(settings, false),
            Err(error) => Err(error),
        }
    }

    /// A client that trusts these certificate authorities (PEM) and no other, for a server with an authority of its own.
    pub fn trusting(authorities: &[u8]) -> Result<Client, OutboundError> {
        install_crypto();
        let roots = reqwest::Certificate::from_pem_bundle(authorities).map_err(OutboundError::Build)?;
        if roots.is_empty() {
            return Err(OutboundError::NoCertificates);
        }
        let builder = || builder(&Settings::default(), true).map(|builder| builder.tls_certs_only(roots.clone()));
        Client::build(builder()?.dns_resolver(reach::PublicOnly), builder()?, true)
    }

    /// Fetch one URL whole. Only status 200 is an answer.
    pub async fn get(&self, url: &Url, headers: HeaderMap, limits: &Limits) -> Result<Bytes, OutboundError> {
        match self.ask(url, Asked::Get, headers, limits).await? {
            Reply { status: StatusCode::OK, body } => Ok(body),
            Reply { status, .. } => Err(OutboundError::Status { url: shown(url), status: status.as_u16() }),
        }
    }

    /// Ask, and hear whatever status the answer has. Only an answer of status 200 comes with its body.
    pub async fn ask(
        &self,
        url: &Url,
        asked: Asked,
        headers: HeaderMap,
        limits: &Limits,
    ) -> Result<Reply, OutboundError> {
        self.admit(url, limits)?;
        let client = match limits.reach {
            Reach::Public => &self.public,
            Reach::Any => &self.any,
        };
        let request = match asked {
            Asked::Get => client.get(url.clone()),
            Asked::Form(form) => client.post(url.clone()).header(CONTENT_TYPE, FORM).body(form),
            Asked::Post { media, body } => client.post(url.clone()).header(CONTENT_TYPE, media).body(body),
        };
        match tokio::time::timeout(limits.total, exchange(request.headers(headers), url, limits.size)).await {
            Ok(answer) => answer,
            Err(_) => Err(OutboundError::TooSlow { url: shown(url), total: limits.total }),
        }
    }

    /// What can be refused before anything is sent. An address written into the URL never meets the resolver, so it
    /// is judged here.
    fn admit(&self, url: &Url, limits: &Limits) -> Result<(), OutboundError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(OutboundError::Credentials);
        }
        match url.scheme() {
            "https" if self.has_roots => {}
            "https" => return Err(OutboundError::NoRoots),
            "http" if limits.insecure_http => {}
            _ => return Err(OutboundError::NotHttps(shown(url))),
        }
        let address = match url.host() {
            None => return Err(OutboundError::NoHost(shown(url))),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
        };
        match address {
            Some(address) if limits.reach == Reach::Public && !is_public(address) => {
                Err(OutboundError::NotPublic(address.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn with_system_roots(settings: &Settings, has_roots: bool) -> Result<Client, OutboundError> {
        let public = builder(settings, has_roots)?.dns_resolver(reach::PublicOnly);
        Client::build(public, builder(settings, has_roots)?, has_roots)
    }

    fn build(
        public: reqwest::ClientBuilder,
        any: reqwest::ClientBuilder,
        has_roots: bool,
    ) -> Result<Client, OutboundError> {
        Ok(Client {
            public: public.build().map_err(OutboundError::Build)?,
            any: any.build().map_err(OutboundError::Build)?,
            has_roots,
        })
    }
}

/// Make aws-lc the TLS provider of the process. Harmless when one is already installed.
pub fn install_crypto() {
    let _already_installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that builds an HTTP client")]
fn builder(settings: &Settings, has_roots: bool) -> Result<reqwest::ClientBuilder, OutboundError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("postern/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .connect_timeout(Duration::from_secs(3))
        .pool_max_idle_per_host(8)
        .pool_idle_timeout(Duration::from_secs(30));
    if !has_roots {
        builder = builder.tls_certs_only([]);
    }
    for pem in &settings.extra_roots {
        builder = builder.tls_certs_merge(reqwest::Certificate::from_pem_bundle(pem).map_err(OutboundError::Build)?);
    }
    Ok(builder)
}

async fn exchange(request: reqwest::RequestBuilder, url: &Url, size: usize) -> Result<Reply, OutboundError> {
    let failed = |error: reqwest::Error| failed(url, error);
    let too_large = || OutboundError::TooLarge { url: shown(url), size };
    let mut response = request.send().await.map_err(failed)?;
    let status = response.status();
    if status.is_redirection() {
        return Err(OutboundError::Redirect { url: shown(url), status: status.as_u16() });
    }
    if status != StatusCode::OK {
        return Ok(Reply { status, body: Bytes::new() });
    }
    if response.content_length().is_some_and(|length| length > size as u64) {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if chunk.len() > size.saturating_sub(body.len()) {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, body: body.freeze() })
}

/// A URL as texts may have it: a query may hold a key.
pub fn shown(url: &Url) -> String {
    let mut shown = url[..url::Position::AfterPath].to_owned();
    if url.query().is_some() {
        shown.push_str("?…");
    }
    shown
}

fn failed(url: &Url, error: reqwest::Error) -> OutboundError {
    let source = error.without_url();
    let mut innermost: &dyn std::error::Error = &source;
    while let Some(deeper) = innermost.source() {
        innermost = deeper;
    }
    OutboundError::Failed { url: shown(url), cause: innermost.to_string(), source }
}

#[cfg(test)]
mod tests;
