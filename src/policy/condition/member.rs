//! Names of groups or users, bound to the source that vouches for them where more than one could.

use std::fmt;
use std::sync::Arc;

use crate::model::claim::Texts;
use crate::model::identity::Identity;

/// A set of names. A policy may have as many sets as routes, most of them of one name.
#[derive(Clone, Debug)]
pub struct Members(Names);

#[derive(Clone, Debug)]
enum Names {
    One(Member),
    Several(Box<Several>),
}

#[derive(Clone, Debug, Default)]
struct Several {
    written: Box<[Member]>,
    /// Where there are too many to go through: their numbers, by name.
    sorted: Option<Box<[u32]>>,
}

/// So many names are gone through faster than searched.
const FEW: usize = 8;

/// One name as a policy writes it: `ops`, `people/ops` or `*/ops`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// `None`: whatever the source.
    pub source: Option<Arc<str>>,
    pub name: Arc<str>,
}

impl Members {
    /// Collect names.
    pub fn new(members: impl IntoIterator<Item = Member>) -> Members {
        let written = match <[Member; 1]>::try_from(members.into_iter().collect::<Vec<_>>()) {
            Ok([only]) => return Members(Names::One(only)),
            Err(several) => several.into_boxed_slice(),
        };
        let sorted = (written.len() > FEW).then(|| {
            let mut numbers: Vec<(&str, u32)> = written.iter().map(|member| &*member.name).zip(0..).collect();
            numbers.sort_unstable();
            numbers.into_iter().map(|(_, number)| number).collect()
        });
        Members(Names::Several(Box::new(Several { written, sorted })))
    }

    /// Is `name`, as the identity's source gave it, one of these?
    pub fn name(&self, identity: &Identity, name: &str) -> bool {
        let meant = |member: &Member| {
            *member.name == *name && member.source.as_ref().is_none_or(|source| source == identity.source())
        };
        let (written, sorted) = match &self.0 {
            Names::One(only) => return meant(only),
            Names::Several(several) => (&several.written, &several.sorted),
        };
        let Some(sorted) = sorted else { return written.iter().any(meant) };
        let member = |number: &u32| written.get(*number as usize);
        let first = sorted.partition_point(|number| member(number).is_some_and(|member| *member.name < *name));
        let named = sorted.iter().skip(first).map_while(member).take_while(|member| *member.name == *name);
        named.into_iter().any(meant)
    }

    /// Is one of `names` one of these?
    pub fn name_one_of(&self, identity: &Identity, names: Texts<'_>) -> bool {
        names.iter().any(|name| self.name(identity, name))
    }

    /// The names as written.
    pub fn iter(&self) -> impl Iterator<Item = &Member> {
        match &self.0 {
            Names::One(only) => std::slice::from_ref(only),
            Names::Several(several) => &several.written,
        }
        .iter()
    }

    /// Both sets.
    pub fn union(&self, other: &Members) -> Members {
        Members::new(self.iter().chain(other.iter()).cloned())
    }
}

impl Default for Members {
    fn default() -> Members {
        Members(Names::Several(Box::default()))
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
        let names: Vec<_> = self.iter().map(Member::to_string).collect();
        write!(f, "[{}]", names.join(", "))
    }
}
