//! The headers sent upstream, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::tree::identity::SecretRef;

/// The names of the identity headers sent upstream. One that is not written here is not sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityHeaders {
    #[serde(default)]
    pub user: Option<At<String>>,
    #[serde(default)]
    pub groups: Option<At<String>>,
    #[serde(default)]
    pub email: Option<At<String>>,
    #[serde(default)]
    pub name: Option<At<String>>,
    /// Headers besides these four, by name. They are sent with an identity only, and are ours alone like the four.
    #[serde(default)]
    pub extra: Entries<At<ExtraHeader>>,
}

/// What an extra header says: exactly one of `claim`, `fact` and `value`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtraHeader {
    /// A claim of the credential: `tenant`, `realm_access.roles`.
    #[serde(default)]
    pub claim: Option<At<String>>,
    /// What the source found out: `source`, `issuer`, `subject` or `scopes`.
    #[serde(default)]
    pub fact: Option<At<HeaderFact>>,
    /// These words.
    #[serde(default)]
    pub value: Option<At<String>>,
    /// How a claim is written. `list` (default): a text, number or boolean as it is, a list with its texts separated.
    /// `json`: as JSON in ASCII.
    #[serde(default)]
    pub format: Option<At<GroupFormat>>,
    /// What stands between the texts of a list: one of `,` (default), `;`, `|` or a space.
    #[serde(default)]
    pub separator: Option<At<String>>,
    /// How text that is not printable ASCII is sent. Without it the header is left out.
    #[serde(default)]
    pub encode: Option<At<HeaderEncoding>>,
}

/// What a source knows besides claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderFact {
    /// Its own name.
    Source,
    /// Who vouches: a token's issuer, or the source's name.
    Issuer,
    /// The issuer's stable id of the caller.
    Subject,
    /// The OAuth scopes, separated by spaces.
    Scopes,
}

/// A short-lived ES256 JWT in one header. Its keys are at `/.well-known/jwks.json` of the admin listener.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assertion {
    /// The header's name.
    pub header: At<String>,
    /// Its `iss`.
    pub issuer: At<String>,
    /// Its `aud`. Default: the host of the request, so that one application cannot use it against another.
    #[serde(default)]
    pub audience: Option<At<String>>,
    /// How long it holds, `1s` to `10m`. Default: `60s`.
    #[serde(default)]
    pub lifetime: Option<At<String>>,
    /// The signing key: PKCS#8 in PEM, on the curve P-256.
    pub key: At<SecretRef>,
    /// Keys that are published and do not sign: the one before, or the one to come.
    #[serde(default)]
    pub other_keys: Option<At<Vec<At<SecretRef>>>>,
}

/// How groups are sent upstream.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupHeader {
    /// `all` (default): every group; when they do not fit `max_bytes`, those the policy mentions. `mentioned`: only
    /// those the policy mentions.
    #[serde(default)]
    pub send: Option<At<GroupChoice>>,
    /// The longest value sent, in octets. Default: 3000.
    #[serde(default)]
    pub max_bytes: Option<At<u32>>,
    /// `list` (default): with a separator; a group that holds it is left out. `json`: a JSON array.
    #[serde(default)]
    pub format: Option<At<GroupFormat>>,
    /// What stands between groups: one of `,` (default), `;`, `|` or a space.
    #[serde(default)]
    pub separator: Option<At<String>>,
}

/// How several groups become one header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupFormat {
    /// With a separator.
    #[default]
    List,
    /// A JSON array in ASCII.
    Json,
}

/// How text that is not printable ASCII is sent.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Encode {
    #[serde(default)]
    pub user: Option<At<HeaderEncoding>>,
    #[serde(default)]
    pub name: Option<At<HeaderEncoding>>,
    /// Each group by itself; a separator in it is encoded, too.
    #[serde(default)]
    pub groups: Option<At<HeaderEncoding>>,
}

/// An encoding that applications can undo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeaderEncoding {
    /// `Zo%C3%AB`; a `%` becomes `%25`.
    Percent,
    /// `=?UTF-8?B?Wm/Dqw==?=` (RFC 2047), where it is needed.
    Rfc2047,
}

/// Which groups are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupChoice {
    #[default]
    All,
    Mentioned,
}
