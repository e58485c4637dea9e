//! OAuth scopes (RFC 6749 §3.3).

use std::fmt;

use crate::model::identity::Identity;

/// One of these scopes must have been granted.
#[derive(Debug)]
pub struct Scopes(pub Vec<String>);

impl Scopes {
    /// Was one of them granted?
    pub fn granted_to(&self, identity: &Identity) -> bool {
        self.0.iter().any(|scope| identity.scopes().contains(scope))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.join(", "))
    }
}
