//! The audit log, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;

/// One line of JSON for every decision, to a file or to stdout. It is set up at the start; a reload does not change it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The file, by its absolute path. Its folder must be there. Excludes `stdout`.
    #[serde(default)]
    pub path: Option<At<String>>,
    /// `true`: lines go to stdout.
    #[serde(default)]
    pub stdout: Option<At<bool>>,
    /// What becomes of a request whose line cannot be kept. Default: `drop`.
    #[serde(default)]
    pub when_full: Option<At<WhenFull>>,
    /// How many lines may wait for the writer, 1 to 1000000. Default: 8192.
    #[serde(default)]
    pub queue: Option<At<u32>>,
    /// When a file is put aside and another one begun. Default: never.
    #[serde(default)]
    pub rotate: Option<At<Rotate>>,
    /// When what is written is forced to the disk. Default: `second`.
    #[serde(default)]
    pub fsync: Option<At<Fsync>>,
    /// `true`: lines hold the query of the request, which may hold secrets.
    #[serde(default)]
    pub include_query: bool,
    /// `true`: each line holds the SHA-256 of the one before it. Default: `true`.
    #[serde(default)]
    pub chain: Option<At<bool>>,
    /// A private key on the curve P-256 (PKCS#8 in PEM), which signs checkpoints of the chain.
    #[serde(default)]
    pub signing_key_file: Option<At<String>>,
}

/// When a file is put aside.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotate {
    /// When it is so large: `64MiB`.
    #[serde(default)]
    pub size: Option<At<String>>,
    /// When it is so old: `24h`.
    #[serde(default)]
    pub age: Option<At<String>>,
    /// How many of those put aside are kept. Default: all.
    #[serde(default)]
    pub keep: Option<At<u32>>,
}

/// What becomes of a request whose line cannot be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// It is answered as it would be, and counted (the default).
    Drop,
    /// It does not pass: 503 `audit_unavailable`.
    Refuse,
}

/// When what is written is forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fsync {
    /// When the system sees fit.
    Never,
    /// At most a second later (the default).
    Second,
    /// Before anything else is written.
    Line,
}
