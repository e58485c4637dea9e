//! How a running instance is, for people and machines. Nothing in it is a secret.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

/// Everything on the status page. Of an instance of another version, members may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// `ready`, `not ready` or `stopping`.
    pub status: String,
    /// Why it is not ready.
    pub reasons: Vec<String>,
    pub version: String,
    pub uptime_seconds: f64,
    pub policy: PolicyStatus,
    /// By name: `grpc`, `http` and `admin`.
    pub listeners: BTreeMap<String, ListenerStatus>,
    /// Checks that wait for something: keys, a provider, a password to be verified.
    pub active_requests: usize,
    /// The keys of each token issuer.
    pub keys: Vec<IssuerStatus>,
    /// The providers that are asked about tokens.
    pub providers: Vec<ProviderStatus>,
    /// `None`: no store of limits is shared with other instances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_limits: Option<SharedLimitsStatus>,
    /// `None`: there is no audit log.
    pub audit: Option<AuditStatus>,
    /// The `insecure_` switches that are on.
    pub insecure: Vec<String>,
    pub log_level: Option<String>,
}

/// The policy in force, and how reading it again went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyStatus {
    /// Where it was read from.
    pub path: String,
    /// SHA-256 of its own files.
    pub digest: String,
    /// 1 for that of the start, one more with each reload.
    pub generation: u64,
    /// Since when it is in force, as RFC 3339.
    pub since: String,
    /// Its own files and those it names.
    pub files: usize,
    /// `events`, `polling` or `off`.
    pub watch: String,
    /// `None`: there was no reload yet.
    pub last_reload: Option<ReloadReport>,
}

/// One reload.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReloadReport {
    /// As RFC 3339.
    pub at: String,
    /// `accepted`, `unchanged` or `refused`.
    pub result: String,
    /// What was wrong, each with its place.
    pub problems: Vec<String>,
}

/// One listener.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ListenerStatus {
    pub address: String,
    pub connections: i64,
}

/// The keys of one issuer, and the tokens that are remembered with them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct IssuerStatus {
    pub source: String,
    pub issuer: String,
    pub keys: usize,
    /// `None`: they are not fetched, or not yet.
    pub age_seconds: Option<f64>,
    /// Failed fetches since the last good one.
    pub failures: u32,
    pub last_error: Option<String>,
    /// Verified tokens that are remembered.
    pub remembered_tokens: Option<u64>,
}

/// One provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderStatus {
    pub source: String,
    pub calls: u64,
    pub failed_calls: u64,
    pub calls_under_way: usize,
    /// It failed several times in a row and is left alone for a while.
    pub left_alone: bool,
}

/// The store that all instances take limits from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SharedLimitsStatus {
    pub address: String,
    /// It answers.
    pub up: bool,
    /// Why it did not, the last time.
    pub last_error: Option<String>,
    pub connections: u64,
    /// Requests refused without asking it.
    pub spared: u64,
}

/// The audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuditStatus {
    /// Lines that wait to be written.
    pub queued: usize,
    /// Lines that may wait.
    pub room: usize,
    pub written: u64,
    pub dropped: u64,
    pub errors: u64,
    /// It cannot be written at the moment.
    pub failing: bool,
    /// Who else gets its lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<SinkStatus>,
}

/// A collector of audit lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SinkStatus {
    /// `syslog`, …
    pub name: String,
    /// Lines that wait in memory to be sent.
    pub queued: usize,
    pub sent: u64,
    pub dropped: u64,
    pub errors: u64,
    /// It takes nothing at the moment.
    pub failing: bool,
}
