//! What the admin pages may do besides reading, and what they tell of it.

use crate::server::reload::Reloads;
use crate::telemetry::log::LogLevel;

/// The levers of a running process. Without one, its page says that it is not there.
#[derive(Clone, Default)]
pub struct Control {
    /// Where the policy was read from.
    pub policy_path: String,
    pub reloads: Option<Reloads>,
    pub log_level: Option<LogLevel>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("policy_path", &self.policy_path).finish_non_exhaustive()
    }
}
