//! The audit log, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree::SecretRef;

/// One line of JSON for every decision, to a file, stdout, a syslog receiver, an HTTP or OTLP collector. It is set up at the start;
/// a reload does not change it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Audit {
    /// The file, by its absolute path. Its folder must be there. Excludes `stdout`.
    #[serde(default)]
    pub path: Option<At<String>>,
    /// `true`: lines go to stdout.
    #[serde(default)]
    pub stdout: Option<At<bool>>,
    /// A syslog receiver that gets the lines, too, or alone.
    #[serde(default)]
    pub syslog: Option<At<Syslog>>,
    /// `true`: the collector of `telemetry.otlp` gets the lines as log records, too, or alone.
    #[serde(default)]
    pub otlp: Option<At<bool>>,
    /// An HTTP collector that gets the lines, too, or alone.
    #[serde(default)]
    pub http: Option<At<AuditHttp>>,
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
    /// `true`: lines hold what another policy needs to judge their requests again: all groups, mail address, name and those
    /// claims, header fields and parameters that the policy looks at. Default: `false`.
    #[serde(default)]
    pub replay: bool,
    /// What lines are written in. Default: `json`.
    #[serde(default)]
    pub format: Option<At<AuditFormat>>,
    /// What lines leave out; of `client_ip`, only the network is written. Default: nothing.
    #[serde(default)]
    pub redact: Option<At<OneOrMany<At<Redact>>>>,
    /// Other names for subjects and users, the same ones for the same people. Default: lines name them.
    #[serde(default)]
    pub pseudonyms: Option<At<Pseudonyms>>,
    /// `true`: each line holds the SHA-256 of the one before it. Default: `true`.
    #[serde(default)]
    pub chain: Option<At<bool>>,
    /// A private key on the curve P-256 (PKCS#8 in PEM), which signs checkpoints of the chain.
    #[serde(default)]
    pub signing_key_file: Option<At<String>>,
}

/// An HTTP collector: batches of lines are POSTed to it as `application/x-ndjson`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AuditHttp {
    /// Where to.
    pub url: At<String>,
    /// A folder where lines wait until they are acknowledged, by its absolute path.
    pub spool: At<String>,
    /// The most that waits there, `1MiB` to `1TiB`. Default: `256MiB`.
    #[serde(default)]
    pub spool_size: Option<At<String>>,
    /// A file with a token to send along. It is read again for each batch.
    #[serde(default)]
    pub bearer_file: Option<At<String>>,
    /// Certificate authorities (PEM) of the collector. No other is trusted for it. Default: those of the system.
    #[serde(default)]
    pub ca_file: Option<At<String>>,
    /// Lines of a batch at most, 1 to 10000. Default: 500.
    #[serde(default)]
    pub batch: Option<At<u32>>,
    /// How long a batch that is not whole waits for more lines, `10ms` to `60s`. Default: `1s`.
    #[serde(default)]
    pub interval: Option<At<String>>,
    /// How long an answer is waited for, `100ms` to `60s`. Default: `10s`.
    #[serde(default)]
    pub timeout: Option<At<String>>,
    /// Allow an `http://` URL, for tests and collectors on loopback.
    #[serde(default)]
    pub insecure_url: bool,
}

/// A syslog receiver (RFC 5424).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Syslog {
    /// `unix:/dev/log`, `udp://host:514`, `tcp://host:601` or `tls://host:6514`.
    pub address: At<String>,
    /// Default: `authpriv`.
    #[serde(default)]
    pub facility: Option<At<Facility>>,
    /// Who sends it. Default: `postern`.
    #[serde(default)]
    pub app_name: Option<At<String>>,
    /// From where. Default: the name of this machine.
    #[serde(default)]
    pub hostname: Option<At<String>>,
    /// Certificate authorities (PEM) of the receiver; no other is trusted for it. With `tls://` only, and then needed.
    #[serde(default)]
    pub ca_file: Option<At<String>>,
    /// The name that the receiver's certificate must have. Default: the host of `address`.
    #[serde(default)]
    pub server_name: Option<At<String>>,
    /// Certificates (PEM) to show to the receiver, ours first.
    #[serde(default)]
    pub certificate: Option<At<String>>,
    /// Their key (PEM).
    #[serde(default)]
    pub key: Option<At<SecretRef>>,
}

/// What part of a system a message is from (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Facility {
    User,
    Daemon,
    Auth,
    /// The default.
    Authpriv,
    Audit,
    Local0,
    Local1,
    Local2,
    Local3,
    Local4,
    Local5,
    Local6,
    Local7,
}

/// What lines are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditFormat {
    /// Our own members (the default).
    Json,
    /// Open Cybersecurity Schema Framework 1.3, class HTTP Activity, in JSON.
    Ocsf,
    /// Common Event Format 0, without a chain.
    Cef,
}

/// What a line leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Redact {
    Subject,
    User,
    Groups,
    ClientIp,
    Path,
}

/// Other names for people.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pseudonyms {
    /// A secret of 32 octets at least, which the names are made with.
    pub key_file: At<String>,
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
