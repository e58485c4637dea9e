//! Sources that ask a provider about opaque tokens, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree::ClaimMap;
use crate::config::tree::Preset;
use crate::config::tree::SecretRef;
use crate::config::tree::TokenPlace;

/// Opaque tokens that their provider is asked about (RFC 7662).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Introspection {
    /// The provider's introspection endpoint.
    pub url: At<String>,
    /// Who we are to the provider.
    pub client: At<IntrospectionClient>,
    /// The provider's issuer: an answer that has `iss` must name exactly this.
    #[serde(default)]
    pub issuer: Option<At<String>>,
    /// The audiences that are ours; an answer must name one of them. Without it any active token of the provider will do.
    #[serde(default)]
    pub audience: Option<At<OneOrMany<At<String>>>>,
    /// Where the token may stand, in order. Default: `[bearer]`.
    #[serde(default)]
    pub token: Option<At<Vec<At<TokenPlace>>>>,
    /// Which members of the answer name the user and its groups.
    #[serde(default)]
    pub claims: Option<At<ClaimMap>>,
    /// Fill `claims` for a known provider; a key in `claims` wins.
    #[serde(default)]
    pub preset: Option<At<Preset>>,
    /// Clock difference allowed on `exp`, `nbf` and `iat`. Default: `60s`.
    #[serde(default)]
    pub leeway: Option<At<String>>,
    /// How long answers are used again. Default: `{positive: 10s, negative: 5s}`. `off`: every request is asked about.
    #[serde(default)]
    pub cache: Option<At<IntrospectionCache>>,
    /// How long a call may take. Default: `2s`. Requests wait less: half of their caller's deadline.
    #[serde(default)]
    pub timeout: Option<At<String>>,
    /// `true`: also ask about signed tokens that name `issuer`, instead of verifying them.
    #[serde(default)]
    pub jwts: bool,
    /// Accept answers that do not say what kind of token it is (`token_type`): then refresh tokens pass, too.
    #[serde(default)]
    pub insecure_untyped: bool,
    /// Allow an `http://` URL, for tests and loopback providers.
    #[serde(default)]
    pub insecure_url: bool,
}

/// Opaque tokens that the userinfo endpoint is asked with (OpenID Connect Core §5.3). It tells whose a token is, not
/// whom it is for: any token of the provider will do.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Userinfo {
    /// The provider's userinfo endpoint.
    pub url: At<String>,
    /// The provider's issuer.
    #[serde(default)]
    pub issuer: Option<At<String>>,
    /// Where the token may stand, in order. Default: `[bearer]`.
    #[serde(default)]
    pub token: Option<At<Vec<At<TokenPlace>>>>,
    /// Which members of the answer name the user and its groups.
    #[serde(default)]
    pub claims: Option<At<ClaimMap>>,
    /// Fill `claims` for a known provider; a key in `claims` wins.
    #[serde(default)]
    pub preset: Option<At<Preset>>,
    /// How long answers are used again. Default: `{positive: 10s, negative: 5s}`. `off`: every request is asked about.
    #[serde(default)]
    pub cache: Option<At<IntrospectionCache>>,
    /// How long a call may take. Default: `2s`. Requests wait less: half of their caller's deadline.
    #[serde(default)]
    pub timeout: Option<At<String>>,
    /// `true`: also ask with signed tokens that name `issuer`, instead of verifying them.
    #[serde(default)]
    pub jwts: bool,
    /// Allow an `http://` URL, for tests and loopback providers.
    #[serde(default)]
    pub insecure_url: bool,
}

/// Who we are to a provider, and how we prove it: by a secret or a private key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntrospectionClient {
    /// The client id.
    pub id: At<String>,
    /// The client secret.
    #[serde(default)]
    pub secret: Option<At<SecretRef>>,
    /// A private key as PEM (PKCS #8): RSA for RS256, or P-256 for ES256.
    #[serde(default)]
    pub key: Option<At<SecretRef>>,
    /// The `kid` of that key at the provider, if it wants one.
    #[serde(default)]
    pub kid: Option<At<String>>,
    /// The `aud` of assertions signed with that key. Default: `issuer`, or else `url`.
    #[serde(default)]
    pub audience: Option<At<String>>,
    /// Default: `client_secret_basic` with a secret, `private_key_jwt` with a key.
    #[serde(default)]
    pub method: Option<At<ClientMethod>>,
}

/// How a client proves who it is (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientMethod {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

/// How long answers are used again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "IntrospectionCache", untagged)]
pub enum IntrospectionCache {
    /// `off`: not at all.
    #[serde(rename = "text")]
    Off(String),
    #[serde(rename = "map")]
    Lifetimes(AnswerLifetimes),
}

/// How long answers are used again, by what they say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AnswerLifetimes {
    /// That a token is good: `0s` to `60s`, and never past its `exp`. A revoked token passes for so long.
    #[serde(default)]
    pub positive: Option<At<String>>,
    /// That a token is bad: `0s` to `60s`.
    #[serde(default)]
    pub negative: Option<At<String>>,
}
