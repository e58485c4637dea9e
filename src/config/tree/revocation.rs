//! What is revoked, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;

/// Credentials that are no good any more.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// The file that lists them: a YAML list, a mapping for each. Read again on every reload.
    pub file: At<String>,
}

/// One line of a revocation file: exactly one of `token`, `subject`, `session` and `certificate`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokedLine {
    /// The token with this `jti`.
    #[serde(default)]
    pub token: Option<At<String>>,
    /// Everything of this subject: `sub` of a token, the id of an API key, the user of a password.
    #[serde(default)]
    pub subject: Option<At<String>>,
    /// Every token with this `sid`.
    #[serde(default)]
    pub session: Option<At<String>>,
    /// The client certificate with this SHA-256 in hex, with or without colons.
    #[serde(default)]
    pub certificate: Option<At<String>>,
    /// Only what this identity source proved. Default: any.
    #[serde(default)]
    pub source: Option<At<String>>,
    /// Only what was issued before this moment, `2027-01-31T12:00:00Z`, or before this day began in UTC, `2027-01-31`.
    /// What does not say when it was issued is revoked, too.
    #[serde(default)]
    pub issued_before: Option<At<String>>,
    /// A note to yourselves.
    #[serde(default)]
    pub comment: Option<At<String>>,
}
