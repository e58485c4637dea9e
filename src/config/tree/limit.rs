//! Rate limits, as written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::at::OneOrMany;

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
}
