//! The admin listener, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;

/// Who may do what on the admin listener. Whoever reaches it may read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// A file that holds a token of 16 characters or more. Whoever brings it (`Authorization: Bearer …`) may reload and set
    /// the log level. Default: only who comes by a unix socket.
    #[serde(default)]
    pub token_file: Option<At<String>>,
    /// Host names by which it is called, besides addresses, names without a dot, and private ones as `*.svc`, `*.internal`
    /// and `*.local`.
    #[serde(default)]
    pub hosts: Vec<At<String>>,
}
