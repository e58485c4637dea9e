//! What we tell others on the operator's behalf: a POST to a server that the policy names, wherever it is.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;
use http_body_util::BodyExt;
use http_body_util::Limited;
use url::Url;

use crate::outbound::OutboundError;
use crate::outbound::builder;
use crate::outbound::failed;
use crate::outbound::install_crypto;
use crate::outbound::shown;

/// How to reach one server.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// Trust these certificate authorities (PEM) and no other, instead of the system's.
    pub authorities: Option<Vec<u8>>,
    /// Speak HTTP/2 from the first octet, as gRPC does.
    pub http2: bool,
    /// Nothing is encrypted, so that no authority is needed.
    pub plain: bool,
}

/// A client for one server.
#[derive(Clone, Debug)]
pub struct Uplink {
    client: reqwest::Client,
}

/// What came back, whatever its status.
#[derive(Clone, Debug)]
pub struct Receipt {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub trailers: HeaderMap,
}

/// The largest answer, in octets.
const LARGEST: usize = 64 * 1024;

impl Uplink {
    /// A client that goes this way.
    pub fn new(way: &Way) -> Result<Uplink, OutboundError> {
        install_crypto();
        let mut builder = builder(&super::Settings::default(), !way.plain)?;
        if let Some(authorities) = &way.authorities {
            let roots = reqwest::Certificate::from_pem_bundle(authorities).map_err(OutboundError::Build)?;
            if roots.is_empty() {
                return Err(OutboundError::NoCertificates);
            }
            builder = builder.tls_certs_only(roots);
        }
        if way.http2 {
            builder = builder.http2_prior_knowledge();
        }
        Ok(Uplink { client: builder.build().map_err(OutboundError::Build)? })
    }

    /// Send this, and hear the answer whole, within `total`.
    pub async fn post(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
        total: Duration,
    ) -> Result<Receipt, OutboundError> {
        match tokio::time::timeout(total, self.exchange(url, headers, body)).await {
            Ok(receipt) => receipt,
            Err(_) => Err(OutboundError::TooSlow { url: shown(url), total }),
        }
    }

    async fn exchange(&self, url: &Url, headers: HeaderMap, body: Bytes) -> Result<Receipt, OutboundError> {
        let response = self.client.post(url.clone()).headers(headers).body(body).send().await;
        let response: http::Response<reqwest::Body> = response.map_err(|error| failed(url, error))?.into();
        let (parts, body) = response.into_parts();
        let whole = Limited::new(body, LARGEST).collect().await;
        let whole = whole.map_err(|error| match error.downcast::<reqwest::Error>() {
            Ok(error) => failed(url, *error),
            Err(_) => OutboundError::TooLarge { url: shown(url), size: LARGEST },
        })?;
        let trailers = whole.trailers().cloned().unwrap_or_default();
        Ok(Receipt { status: parts.status, headers: parts.headers, body: whole.to_bytes(), trailers })
    }
}
