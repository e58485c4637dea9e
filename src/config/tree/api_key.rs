//! API keys in a policy, and the file they are kept in.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree::RateLimits;
use crate::config::tree::SecretRef;
use crate::model::problem::Place;

/// Keys for machines, made with `postern key new`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeys {
    /// The file with a line for every key.
    pub keys: At<String>,
    /// What the keys were hashed with, at least 32 octets: `postern key pepper` makes one.
    #[serde(default)]
    pub pepper: Option<At<SecretRef>>,
    /// Where a key may stand, in order. Default: `[bearer]`.
    #[serde(default)]
    pub token: Option<At<Vec<At<KeyPlace>>>>,
    /// Short for `token: [{header: …}]`.
    #[serde(default)]
    pub header: Option<At<String>>,
}

/// Where an API key stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KeyPlace {
    /// `Authorization: Bearer …`
    Bearer,
    /// The password of `Authorization: Basic …`; the user name is empty or the key's id.
    Basic,
    /// A header of its own: the whole value is the key.
    Header(String),
}

impl SecretRef {
    /// A reference that stands elsewhere than in a policy: on `line`.
    pub fn named(file: Option<&str>, env: Option<&str>, line: &str) -> At<SecretRef> {
        let place = Place::whole(line);
        let at = |name: &str| At { value: name.to_owned(), place: place.clone() };
        At { value: SecretRef { file: file.map(at), env: env.map(at), credential: None }, place: place.clone() }
    }
}

/// One line of a key file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyLine {
    /// The public name of the key, part of its text: `a`–`z`, `0`–`9` and `-`.
    pub id: At<String>,
    /// The hash of the key.
    pub hash: At<String>,
    /// The user the key acts for. Two keys may have the same one, while one takes the other's place.
    pub owner: At<String>,
    #[serde(default)]
    pub groups: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub scopes: Option<At<OneOrMany<At<String>>>>,
    /// Where the key may be used from: CIDRs or network names of the policy. Default: anywhere.
    #[serde(default)]
    pub networks: Option<At<OneOrMany<At<String>>>>,
    /// The key ends at this time, `2027-01-31T12:00:00Z`, or as this day begins in UTC, `2027-01-31`.
    #[serde(default)]
    pub expires: Option<At<String>>,
    /// When the key was made, in the same form.
    #[serde(default)]
    pub created: Option<At<String>>,
    /// Limits of whoever shows the key.
    #[serde(default)]
    pub limit: Option<RateLimits>,
    /// A note to yourselves.
    #[serde(default)]
    pub comment: Option<At<String>>,
}
