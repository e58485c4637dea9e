//! The `identity` table as written: who vouches for callers, and how.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree::ClaimMap;
use crate::config::tree::api_key::ApiKeys;
use crate::config::tree::basic::Basic;
use crate::config::tree::certificate::Certificate;
use crate::config::tree::introspection::Introspection;
use crate::config::tree::introspection::Userinfo;

/// One identity source: exactly one kind.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Signed tokens of one issuer.
    #[serde(default)]
    pub jwt: Option<At<Jwt>>,
    /// Opaque tokens that their provider is asked about (RFC 7662).
    #[serde(default)]
    pub introspection: Option<At<Introspection>>,
    /// Opaque tokens that the userinfo endpoint is asked with (OpenID Connect Core §5.3).
    #[serde(default)]
    pub userinfo: Option<At<Userinfo>>,
    /// Keys that we gave to machines.
    #[serde(default)]
    pub api_key: Option<At<ApiKeys>>,
    /// People with passwords.
    #[serde(default)]
    pub basic: Option<At<Basic>>,
    /// Client certificates that the proxy verified.
    #[serde(default)]
    pub certificate: Option<At<Certificate>>,
}

/// Signed JSON Web Tokens (RFC 7519) of one issuer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The exact `iss` of the tokens.
    pub issuer: At<String>,
    /// The audiences that are ours; a token must name one of them.
    pub audience: At<OneOrMany<At<String>>>,
    /// `discover` (default): find the keys through the issuer's OpenID configuration.
    #[serde(default)]
    pub keys: Option<At<KeyDiscovery>>,
    /// Fetch the keys from this URL.
    #[serde(default)]
    pub jwks_url: Option<At<String>>,
    /// Read the keys from this JWKS file.
    #[serde(default)]
    pub jwks_file: Option<At<String>>,
    /// Read one public key from this PEM file.
    #[serde(default)]
    pub pem_file: Option<At<String>>,
    /// A shared secret, only for HS256, HS384 and HS512 named in `algorithms`.
    #[serde(default)]
    pub secret: Option<At<SecretRef>>,
    /// The signature algorithms accepted. Default: RS256, ES256, EdDSA.
    #[serde(default)]
    pub algorithms: Option<At<Vec<At<String>>>>,
    /// `any` (default): access and identity tokens. `access`: no identity tokens. `id`: no access tokens.
    #[serde(default)]
    pub token_type: Option<At<TokenType>>,
    /// Take only tokens made for these parties (`azp`, or `client_id` where that is absent). Default: any.
    #[serde(default)]
    pub authorized_parties: Option<At<OneOrMany<At<String>>>>,
    /// Where the token may stand, in order. Default: `[bearer]`.
    #[serde(default)]
    pub token: Option<At<Vec<At<TokenPlace>>>>,
    /// Which claims name the user and its groups.
    #[serde(default)]
    pub claims: Option<At<ClaimMap>>,
    /// Fill `claims` for a known provider; a key in `claims` wins.
    #[serde(default)]
    pub preset: Option<At<Preset>>,
    /// Clock difference allowed on `exp`, `nbf` and `iat`. Default: `60s`.
    #[serde(default)]
    pub leeway: Option<At<String>>,
    /// The longest life of a token. Default: `24h`; with the preset `entra` `29h`.
    #[serde(default)]
    pub max_lifetime: Option<At<String>>,
    /// How many verified tokens are remembered, so that their signatures are not verified with every request; `0`: none.
    /// Default: 4096.
    #[serde(default)]
    pub token_cache: Option<At<u32>>,
    /// Take tokens that are bound to a key (`cnf`) though nobody here sees the proof of it.
    #[serde(default)]
    pub insecure_bound_tokens: bool,
    /// Hosts you vouch for: keys may be fetched from there although their addresses are private, or although the
    /// issuer is elsewhere.
    #[serde(default)]
    pub key_hosts: Option<At<OneOrMany<At<String>>>>,
    /// From one fetch of the keys to the next. Default: `10m`.
    #[serde(default)]
    pub refresh: Option<At<String>>,
    /// How long keys are used while no newer ones can be fetched. Default: `24h`.
    #[serde(default)]
    pub max_stale: Option<At<String>>,
    /// Certificate authorities (PEM) of the server that the keys are fetched from. No other is trusted for it.
    #[serde(default)]
    pub ca_file: Option<At<String>>,
    /// A token to fetch the keys with, shown to the issuer's own host alone.
    #[serde(default)]
    pub fetch_token: Option<At<FetchToken>>,
    /// Fetch keys over `http://`.
    #[serde(default)]
    pub insecure_http: bool,
}

/// The kinds of token taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenType {
    Any,
    Access,
    Id,
}

/// How keys are found when no place is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyDiscovery {
    Discover,
}

/// A secret by name: `{file: /run/secrets/x}`, `{env: NAME}` or `{credential: x}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretRef {
    /// A file holding the secret; one trailing newline is removed.
    #[serde(default)]
    pub file: Option<At<String>>,
    /// An environment variable holding the secret.
    #[serde(default)]
    pub env: Option<At<String>>,
    /// A credential that systemd hands over (`LoadCredential=`): a file in `$CREDENTIALS_DIRECTORY`.
    #[serde(default)]
    pub credential: Option<At<String>>,
}

/// A token in a file that somebody else renews: `{file: /var/run/secrets/token}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FetchToken {
    /// The file. It is read again for every fetch.
    pub file: At<String>,
}

/// Where a token stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenPlace {
    /// `Authorization: Bearer …`
    Bearer,
    /// A header of its own: the whole value is the token.
    Header(String),
    /// A cookie.
    Cookie(String),
}

/// Providers whose claim names are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    Keycloak,
    Entra,
    Authelia,
    Okta,
    Google,
    Kubernetes,
}
