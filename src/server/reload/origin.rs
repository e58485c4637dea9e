//! Where policies come from.

use std::path::PathBuf;

use crate::model::problem::Problems;
use crate::server::reload::Cause;
use crate::snapshot::Snapshot;

/// What a look at the files of a policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// They are what the policy in force was made from.
    InForce,
    /// They are what was read last, which is not in force.
    Tried,
    /// They are something else.
    New,
    /// There is nothing to look at.
    Unknown,
}

/// The files of a policy. Each call may wait for the disk.
pub trait Origin: Send + 'static {
    /// Read them, and build a policy. What is surely meant if somebody asks for it may be a mistake where nobody does.
    fn load(&mut self, cause: Cause) -> Result<Snapshot, Problems>;

    /// What was loaded last is in force now.
    fn keep(&mut self) {}

    /// What was loaded last is no more; what is in force lies there again.
    fn forget(&mut self) {}

    /// Look at them.
    fn look(&mut self) -> Look {
        Look::Unknown
    }

    /// Did the last two looks see the same?
    fn saw_the_same(&mut self) -> bool {
        true
    }

    /// Did the load read what the last look before it saw?
    fn read_what_was_seen(&mut self) -> bool {
        true
    }

    /// Did the load read files that no look had seen?
    fn read_more(&mut self) -> bool {
        false
    }

    /// What to watch: files and folders, whether they are there or not.
    fn paths(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// How many files the policy in force was made from.
    fn files(&self) -> usize {
        0
    }
}

/// Policies out of nowhere.
impl<F: FnMut() -> Result<Snapshot, Problems> + Send + 'static> Origin for F {
    fn load(&mut self, _: Cause) -> Result<Snapshot, Problems> {
        self()
    }
}
