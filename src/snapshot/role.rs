//! Roles, with `includes` followed to the end.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::condition::member::Members;
use crate::policy::condition::role::Role;
use crate::snapshot::identity::Identities;
use crate::snapshot::unknown_name;

/// Every role by its name.
pub(super) struct Roles {
    roles: HashMap<String, Arc<Role>>,
}

impl Roles {
    /// Build the `roles` table. A holder of a role has every role it includes, so each role gathers the groups and
    /// users of all roles that include it.
    pub(super) fn build(entries: &Entries<At<tree::Role>>, identities: &Identities, problems: &mut Problems) -> Roles {
        let mut own: HashMap<&str, (Members, Members)> = HashMap::new();
        let mut included_by: HashMap<&str, Vec<&str>> = HashMap::new();
        let known: HashSet<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        for (name, role) in entries.iter() {
            if role.groups.is_none() && role.users.is_none() && role.includes.is_none() {
                let message = format!("role `{}` names no groups, users or included roles", name.value);
                problems.push(Problem::error(role.place.clone(), "", message).help("write `groups: [...]`"));
            }
            let members = |list: Option<&At<crate::config::at::OneOrMany<At<String>>>>, problems: &mut Problems| {
                identities.members(list.map_or(&[][..], |list| list), problems)
            };
            own.insert(name, (members(role.groups.as_ref(), problems), members(role.users.as_ref(), problems)));
            for included in role.includes.iter().flat_map(|list| list.iter()) {
                if known.contains(included.as_str()) {
                    included_by.entry(included).or_default().push(name);
                } else {
                    problems.push(unknown_name(included, "role", known.iter()));
                }
            }
        }
        let mut roles = HashMap::new();
        for (name, role) in entries.iter() {
            let Some(holders) = holders(name, &included_by) else {
                let place = role.includes.as_ref().map_or(&role.place, |includes| &includes.place);
                let message = format!("role `{}` includes itself, directly or through others", name.value);
                problems.push(Problem::error(place.clone(), "", message).help("remove one `includes` of the circle"));
                continue;
            };
            let mut groups = Members::default();
            let mut users = Members::default();
            for holder in holders {
                if let Some((more_groups, more_users)) = own.get(holder) {
                    groups = groups.union(more_groups);
                    users = users.union(more_users);
                }
            }
            let name: Arc<str> = name.as_str().into();
            roles.insert(name.to_string(), Arc::new(Role { name, groups, users }));
        }
        Roles { roles }
    }

    /// The roles of a list of names.
    pub(super) fn named(&self, list: &[At<String>], problems: &mut Problems) -> Vec<Arc<Role>> {
        let mut named = Vec::with_capacity(list.len());
        for name in list {
            match self.roles.get(name.as_str()) {
                Some(role) => named.push(role.clone()),
                None => problems.push(unknown_name(name, "role", self.roles.keys())),
            }
        }
        named
    }

    /// Every group that a role mentions.
    pub(super) fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.roles.values().flat_map(|role| role.groups.iter()).map(|member| &member.name)
    }
}

/// The role itself and every role that includes it, or `None` when it includes itself.
fn holders<'e>(name: &'e str, included_by: &HashMap<&'e str, Vec<&'e str>>) -> Option<Vec<&'e str>> {
    let mut holders = vec![name];
    let mut next = 0;
    while let Some(holder) = holders.get(next).copied() {
        for above in included_by.get(holder).into_iter().flatten() {
            if *above == name {
                return None;
            }
            if !holders.contains(above) {
                holders.push(above);
            }
        }
        next += 1;
    }
    Some(holders)
}
