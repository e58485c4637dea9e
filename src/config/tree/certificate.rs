//! A source of client certificates as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;

/// Client certificates that the proxy verified.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Where the proxy states the certificate. `envoy` (default): in the gRPC check's `source`. `xfcc`: in
    /// `x-forwarded-client-cert`, which Envoy must be told to write anew. `{header: …}`: in a header that the named
    /// proxy writes over whatever the client sent.
    #[serde(default)]
    pub from: Option<At<CertificateFrom>>,
    /// Whose certificate it is: the first that matches.
    #[serde(rename = "match")]
    pub rules: At<Vec<At<CertificateRule>>>,
}

/// Where the certificate stands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateFrom {
    Envoy,
    Xfcc,
    Header(Box<CertificateHeader>),
}

/// A header that holds the certificate: PEM with percent escapes, or DER in base64.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateHeader {
    /// The header's name.
    pub name: At<String>,
    /// The proxy that writes it. From any other it is the client's word, and ignored.
    pub proxy: At<CertificateProxy>,
    /// Another header of that proxy, and what it must say.
    #[serde(default)]
    pub verified: Option<At<VerifiedHeader>>,
}

/// The header that says whether the certificate was verified: nginx's `$ssl_client_verify` says `SUCCESS`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifiedHeader {
    pub name: At<String>,
    pub value: At<String>,
}

/// Proxies that can be told to write a certificate into a header over whatever the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CertificateProxy {
    Caddy,
    Haproxy,
    Nginx,
    Traefik,
}

/// One rule: exactly one name to match, and who that is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateRule {
    /// The certificate's one URI: `spiffe://corp.test/ns/ci/sa/runner`; `*` for one segment, `/**` at the end for the
    /// rest.
    #[serde(default)]
    pub uri: Option<At<String>>,
    /// One of its DNS names: `db.corp.test`, or `*.corp.test` for one label.
    #[serde(default)]
    pub dns: Option<At<String>>,
    /// One of its mail addresses: `alice@corp.test`, or `*@corp.test`.
    #[serde(default)]
    pub email: Option<At<String>>,
    /// Its only common name.
    #[serde(default)]
    pub common_name: Option<At<String>>,
    /// Its SHA-256 in hex, with or without colons.
    #[serde(default)]
    pub fingerprint: Option<At<String>>,
    /// The user. Default: the name that matched.
    #[serde(default)]
    pub user: Option<At<String>>,
    /// The groups.
    #[serde(default)]
    pub groups: Option<At<OneOrMany<At<String>>>>,
}
