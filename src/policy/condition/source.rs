//! `identity: machines`: who vouched for the caller.

use std::fmt;
use std::sync::Arc;

use crate::model::identity::Identity;

/// One of these identity sources must have identified the caller.
#[derive(Debug)]
pub struct SourceNames(pub Vec<Arc<str>>);

impl SourceNames {
    /// Was it one of these?
    pub fn vouched_for(&self, identity: &Identity) -> bool {
        self.0.contains(identity.source())
    }
}

impl fmt::Display for SourceNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(", "))
    }
}
