//! `listen` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree::SecretRef;

/// Listening addresses: `host:port`, `unix:/path/to.sock`, or a mapping with who may open the socket.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Envoy's gRPC `ext_authz`. Default: `127.0.0.1:9191`.
    #[serde(default)]
    pub grpc: Option<At<ListenAt>>,
    /// HTTP forward-auth for Caddy, nginx, Traefik, HAProxy and Envoy's HTTP service. Default: `127.0.0.1:9192`.
    #[serde(default)]
    pub http: Option<At<ListenAt>>,
    /// Health and metrics. Default: `127.0.0.1:9193`.
    #[serde(default)]
    pub admin: Option<At<ListenAt>>,
    /// Speak TLS with the proxies, and ask for their certificates.
    #[serde(default)]
    pub tls: Option<At<ListenTls>>,
}

/// A place to listen at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "ListenAt", untagged)]
pub enum ListenAt {
    /// `127.0.0.1:9191`, `localhost:9191` or `unix:/run/postern/grpc.sock`.
    #[serde(rename = "text")]
    Address(String),
    #[serde(rename = "map")]
    Unix(Box<ListenUnix>),
}

/// A unix socket, and who may connect to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenUnix {
    /// Its path: `/run/postern/grpc.sock`.
    pub unix: At<String>,
    /// The mode of its file in octal. Default: `0660`.
    #[serde(default)]
    pub mode: Option<At<String>>,
    /// The user it belongs to, as a name or a number. Default: the one we run as. Another one needs root.
    #[serde(default)]
    pub owner: Option<At<String>>,
    /// The group it belongs to. Default: the one we run as. Another one must be one of ours, or needs root.
    #[serde(default)]
    pub group: Option<At<String>>,
    /// Only processes of these users and groups may connect. Default: whoever may by the mode.
    #[serde(default)]
    pub peers: Option<At<ListenPeers>>,
}

/// Processes on this machine, by what they run as when they connect; one of the two is enough.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenPeers {
    /// Names or numbers.
    #[serde(default)]
    pub users: Option<At<OneOrMany<At<String>>>>,
    /// Names or numbers of primary groups; others that a process is in are not seen.
    #[serde(default)]
    pub groups: Option<At<OneOrMany<At<String>>>>,
}

/// TLS on the listeners that proxies ask. Certificate, key, authorities and names are read again on reload, and hold for
/// every connection that begins afterwards.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// A PEM file: the certificate shown to proxies, then those between it and its authority.
    pub certificate: At<String>,
    /// Its private key as PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: At<SecretRef>,
    /// A PEM file of the authorities that proxies' certificates come from. With it, a proxy without a certificate of
    /// theirs is turned away (mutual TLS).
    #[serde(default)]
    pub client_ca: Option<At<String>>,
    /// Only proxies with one of these names may ask: a DNS or URI subject alternative name, as `envoy.corp.test` or
    /// `spiffe://corp.test/ns/edge/sa/envoy`. A URI may end in `/**`.
    #[serde(default)]
    pub client_names: Option<At<OneOrMany<At<String>>>>,
    /// The listeners that speak it. Default: both. A unix socket never does.
    #[serde(default)]
    pub on: Option<At<OneOrMany<At<TlsListener>>>>,
}

/// A listener that can speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TlsListener {
    Grpc,
    Http,
}
