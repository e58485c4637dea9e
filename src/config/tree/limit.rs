//! Rate limits, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::at::OneOrMany;
use crate::config::tree::SecretRef;

/// One limit, or several that all hold.
pub type RateLimits = At<OneOrMany<At<RateLimit>>>;

/// So many requests in some time, for everybody or everything that is counted by itself. Whoever sends more is told 429.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The name in metrics, in the audit log and to clients. Default: made of where it stands and `per`.
    #[serde(default)]
    pub name: Option<At<String>>,
    /// What has a budget of its own: `address` (counted before anybody is asked who they are), `subject`, `key` (an API
    /// key), `group` (all its members together), `route` (all requests to it) or `header:NAME`. Default for a role:
    /// `subject`, for an API key: `key`; elsewhere it must be written.
    #[serde(default)]
    pub per: Option<At<String>>,
    /// `10/s`, `100/min`, `1000/h`, `10000/day`, or a list of such: all of them hold, and are taken together.
    pub rate: At<OneOrMany<At<String>>>,
    /// The most at once, one number for each rate. Default: the number of the rate.
    #[serde(default)]
    pub burst: Option<At<OneOrMany<At<u64>>>>,
    /// What a request costs, by method. Default: 1. HEAD costs what GET does; 0 is not counted.
    #[serde(default)]
    pub cost: Entries<At<u64>>,
    /// Who is not counted.
    #[serde(default)]
    pub except: Option<At<LimitExcept>>,
    /// `enforce` (default), or `shadow`: count and report, refuse nothing.
    #[serde(default)]
    pub mode: Option<At<LimitMode>>,
    /// Where its budgets are: `redis` (default where `limits.redis` is written), which all instances take from, or
    /// `local`: each instance has its own.
    #[serde(default)]
    pub store: Option<At<LimitPlace>>,
    /// What happens while Redis cannot be asked. Default: `limits.redis.when_down`.
    #[serde(default)]
    pub when_down: Option<At<LimitDown>>,
}

/// Who is not counted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitExcept {
    /// Clients in one of these networks.
    #[serde(default)]
    pub networks: Option<At<OneOrMany<At<String>>>>,
    /// Callers with one of these roles.
    #[serde(default)]
    pub roles: Option<At<OneOrMany<At<String>>>>,
}

/// What a limit does with those who are past it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitMode {
    Enforce,
    Shadow,
}

/// Where budgets are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitPlace {
    Redis,
    Local,
}

/// What becomes of a limit while Redis cannot be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitDown {
    /// Each instance counts by itself (the default).
    Local,
    /// Nobody is counted.
    Allow,
    /// Nobody passes: 503 `limits_unavailable`.
    Refuse,
}

/// A Redis server (7 or later, or one that speaks as it does) that all instances take budgets from.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitRedis {
    /// `redis://host:6379`, `rediss://host:6379` (TLS) or `unix:/run/redis/redis.sock`. With `master`: the sentinels.
    pub address: At<OneOrMany<At<String>>>,
    /// The name by which sentinels know the server; `address` lists them then.
    #[serde(default)]
    pub master: Option<At<String>>,
    /// A user of its access control list. Default: `default`.
    #[serde(default)]
    pub username: Option<At<String>>,
    #[serde(default)]
    pub password: Option<At<SecretRef>>,
    /// Who we are to the sentinels, where they want to know.
    #[serde(default)]
    pub sentinel_username: Option<At<String>>,
    #[serde(default)]
    pub sentinel_password: Option<At<SecretRef>>,
    /// The number of the database. Default: 0; a cluster has no other.
    #[serde(default)]
    pub database: Option<At<u16>>,
    /// What all keys begin with. Default: `{postern}`; the braces keep them on one node of a cluster.
    #[serde(default)]
    pub prefix: Option<At<String>>,
    /// How long an answer is waited for, `1ms` to `1s`. Default: `5ms`.
    #[serde(default)]
    pub deadline: Option<At<String>>,
    /// What happens while it cannot be asked, to limits that do not say it themselves. Default: `local`.
    #[serde(default)]
    pub when_down: Option<At<LimitDown>>,
    /// Certificate authorities (PEM) of the server; no other is trusted for it. With `rediss://` only, and then needed.
    #[serde(default)]
    pub ca_file: Option<At<String>>,
    /// The name that its certificate must have. Default: the host of `address`.
    #[serde(default)]
    pub server_name: Option<At<String>>,
    /// Certificates (PEM) to show to it, ours first.
    #[serde(default)]
    pub certificate: Option<At<String>>,
    /// Their key (PEM).
    #[serde(default)]
    pub key: Option<At<SecretRef>>,
}

/// How limits are kept.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitStore {
    /// The memory for budgets, `64KiB` to `64GiB`; a budget takes 32 octets. Default: `32MiB`, for a million.
    #[serde(default)]
    pub memory: Option<At<String>>,
    /// So many bits of an IPv6 address are one client's, 32 to 128. Default: 64.
    #[serde(default)]
    pub ipv6_prefix: Option<At<u8>>,
    /// A server that all instances take budgets from. Without it, each has its own.
    #[serde(default)]
    pub redis: Option<At<LimitRedis>>,
}
