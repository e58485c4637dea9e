//! Application roles, with everything that grants them already gathered.

use std::fmt;
use std::sync::Arc;

use crate::model::identity::Identity;
use crate::policy::condition::member::Members;

/// A role and all who hold it: its own groups and users, and those of every role that includes it.
#[derive(Debug)]
pub struct Role {
    pub name: Arc<str>,
    pub groups: Members,
    pub users: Members,
}

impl Role {
    /// Does this identity hold the role?
    pub fn is_held_by(&self, identity: &Identity) -> bool {
        self.groups.name_one_of(identity, identity.groups()) || self.users.name(identity, identity.user())
    }
}

impl fmt::Display for Role {
    /// With who holds it: the policy says so elsewhere.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |what, members: &Members| members.iter().next().map(|_| format!("{what} {members}"));
        let holders: Vec<String> =
            [part("groups", &self.groups), part("users", &self.users)].into_iter().flatten().collect();
        write!(f, "{} ({})", self.name, holders.join(", "))
    }
}
