//! Which claims of a token carry what, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;

/// Which claims carry what. A dot steps into an object; `["a.b"]` names a member with a dot.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClaimMap {
    /// The user name sent upstream and compared by `users`. Default: `sub`.
    #[serde(default)]
    pub user: Option<At<UserClaim>>,
    /// Claims whose values are merged into the groups. Default: `groups`.
    #[serde(default)]
    pub groups: Option<At<OneOrMany<At<GroupClaim>>>>,
    /// The mail address, used only where another claim says that it is verified. Default: `email`.
    #[serde(default)]
    pub email: Option<At<EmailClaim>>,
    /// Default: `name`.
    #[serde(default)]
    pub name: Option<At<String>>,
}

/// The claim that names the user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "UserClaim", untagged)]
pub enum UserClaim {
    #[serde(rename = "text")]
    Path(String),
    #[serde(rename = "map")]
    Rules(UserRules),
}

/// The claim that names the user, and what is made of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserRules {
    /// The claim.
    pub claim: At<String>,
    /// Make ASCII letters lower-case.
    #[serde(default)]
    pub lower_case: bool,
    /// Written before every name, so that users of another issuer cannot bear it.
    #[serde(default)]
    pub prefix: Option<At<String>>,
}

/// A claim that holds groups.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "GroupClaim", untagged)]
pub enum GroupClaim {
    #[serde(rename = "text")]
    Path(String),
    #[serde(rename = "map")]
    Rules(Box<GroupRules>),
}

/// A claim that holds groups, and what is made of them: split, then renamed, then lower-cased, then prefixed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupRules {
    /// The claim.
    pub claim: At<String>,
    /// How one text holds several groups. Default: it is one group.
    #[serde(default)]
    pub split: Option<At<Split>>,
    /// Keep the groups that begin with this, without it.
    #[serde(default)]
    pub strip_prefix: Option<At<String>>,
    /// Keep the groups that this expression matches whole, as `replace` says.
    #[serde(default)]
    pub regex: Option<At<String>>,
    /// The new name of what `regex` matches: `$1` is its first group.
    #[serde(default)]
    pub replace: Option<At<String>>,
    /// What becomes of groups that `strip_prefix` or `regex` does not match: `drop` (default) or `keep`.
    #[serde(default)]
    pub other: Option<At<OtherGroups>>,
    /// Make ASCII letters lower-case.
    #[serde(default)]
    pub lower_case: bool,
    /// Written before every group.
    #[serde(default)]
    pub prefix: Option<At<String>>,
}

/// How one text holds several groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// With spaces between.
    Spaces,
    /// With commas between; spaces around them do not belong to the groups.
    Commas,
    /// As a JSON array of texts.
    Json,
    /// Not a text: an object of clients, each with a list `roles`. A role becomes `client:role`.
    Clients,
}

/// What becomes of groups that a rule does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OtherGroups {
    Drop,
    Keep,
}

/// The claim that holds the mail address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "EmailClaim", untagged)]
pub enum EmailClaim {
    #[serde(rename = "text")]
    Path(String),
    #[serde(rename = "map")]
    Rules(EmailRules),
}

/// The claim that holds the mail address, and who vouches for it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmailRules {
    /// The claim.
    pub claim: At<String>,
    /// The claim that must be `true` for the address to be used. Default: `email_verified`.
    #[serde(default)]
    pub verified: Option<At<String>>,
    /// Every address of this issuer is good: users cannot choose theirs.
    #[serde(default)]
    pub trusted: Option<At<bool>>,
}
