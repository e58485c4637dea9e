//! People with passwords in a policy, and the file they are kept in.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::at::OneOrMany;
use crate::config::tree::TextValues;

/// People with passwords, by HTTP Basic: a file of `users`, or an `htpasswd` file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// A YAML file of users with password, groups, email and name.
    #[serde(default)]
    pub users: Option<At<String>>,
    /// A file of lines `user:hash`, as `htpasswd -B -C 12` writes them.
    #[serde(default)]
    pub htpasswd: Option<At<String>>,
    /// The groups of the users in an `htpasswd` file: the users of each group.
    #[serde(default)]
    pub groups: Option<At<TextValues>>,
    /// How long a right password is remembered: `1s` to `1h`. Default: `5m`.
    #[serde(default)]
    pub cache: Option<At<String>>,
}

/// A file of users.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserFile {
    /// Users by name.
    pub users: At<Entries<At<UserEntry>>>,
}

/// One user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserEntry {
    /// The argon2id or bcrypt hash of the password.
    pub password: At<String>,
    #[serde(default)]
    pub groups: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub email: Option<At<String>>,
    #[serde(default)]
    pub name: Option<At<String>>,
}
