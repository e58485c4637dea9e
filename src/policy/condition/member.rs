//! Names of groups or users, bound to the source that vouches for them where more than one could.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::model::identity::Identity;

/// A set of names.
#[derive(Clone, Debug, Default)]
pub struct Members {
    written: Vec<Member>,
    /// Names good from any source.
    anywhere: HashSet<String>,
    /// Names good only from one source.
    from: HashSet<(Arc<str>, String)>,
}

/// One name as a policy writes it: `ops`, `people/ops` or `*/ops`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// `None`: whatever the source.
    pub source: Option<Arc<str>>,
    pub name: String,
}

impl Members {
    /// Collect names.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Members {
        let mut set = Members::default();
        for member in members {
            set.written.push(member.clone());
            match member.source {
                Some(source) => set.from.insert((source, member.name)),
                None => set.anywhere.insert(member.name),
            };
        }
        set
    }

    /// Is `name`, as the identity's source gave it, one of these?
    pub fn name(&self, identity: &Identity, name: &str) -> bool {
        self.anywhere.contains(name)
            || !self.from.is_empty() && self.from.contains(&(identity.source.clone(), name.to_owned()))
    }

    /// Is one of `names` one of these?
    pub fn name_one_of(&self, identity: &Identity, names: &[String]) -> bool {
        names.iter().any(|name| self.name(identity, name))
    }

    /// The names as written.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        self.written.iter()
    }

    /// Both sets.
    pub fn union(&self, other: &Members) -> Members {
        Members::new(self.written.iter().chain(&other.written).cloned())
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{source}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.written.iter().map(Member::to_string).collect();
        write!(f, "[{}]", names.join(", "))
    }
}
