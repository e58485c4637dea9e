//! How reading the policy again went.

use jiff::Timestamp;

/// What became of one reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// A new policy is in force.
    Accepted,
    /// What was read is what is in force.
    Unchanged,
    /// What was read is bad; the old policy stays.
    Refused,
}

impl ReloadResult {
    /// Every result, in the order of their numbers.
    pub const ALL: [ReloadResult; 3] = [ReloadResult::Accepted, ReloadResult::Unchanged, ReloadResult::Refused];

    /// The label in metrics and JSON.
    pub fn name(self) -> &'static str {
        match self {
            ReloadResult::Accepted => "accepted",
            ReloadResult::Unchanged => "unchanged",
            ReloadResult::Refused => "refused",
        }
    }
}

/// Who notices that files change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchMode {
    /// Nobody: a reload must be asked for.
    #[default]
    Off,
    /// The system tells.
    Events,
    /// We look, every few seconds: the system cannot tell.
    Polling,
}

impl WatchMode {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            WatchMode::Off => "off",
            WatchMode::Events => "events",
            WatchMode::Polling => "polling",
        }
    }
}

/// The last reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastReload {
    pub at: Timestamp,
    pub result: ReloadResult,
    /// What was wrong, each with its place; not all of very many.
    pub problems: Vec<String>,
}

/// How the policy in force stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadStatus {
    /// 1 for the policy of the start, and one more with each that takes its place.
    pub generation: u64,
    /// SHA-256 of the policy's own files.
    pub policy: String,
    /// Since when it is in force.
    pub since: Timestamp,
    /// `None`: there was no reload yet.
    pub last: Option<LastReload>,
    pub watch: WatchMode,
    /// Files that the policy was made from.
    pub files: usize,
}
