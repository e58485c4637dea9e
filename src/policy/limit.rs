//! Limits: which of them count a request, for whom and how much. Where the counting is done is nobody's business here.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::model::client_ip::ClientAddress;
use crate::model::header::Single;
use crate::model::identity::Identity;
use crate::model::identity::Principal;
use crate::model::limit::Rate;
use crate::model::limit::WhenDown;
use crate::model::limit::Who;
use crate::model::problem::Place;
use crate::policy::Routed;
use crate::policy::condition::RequestFacts;
use crate::policy::condition::role::Role;
use crate::policy::gate::Networks;
use crate::policy::route::Route;
use crate::policy::truth::Truth;

/// A built limit.
#[derive(Debug)]
pub struct Limit {
    /// As metrics, logs and the audit log call it.
    pub name: Arc<str>,
    /// As clients are told.
    pub label: Arc<str>,
    pub place: Place,
    /// Names what is counted: the same text in the same place of the policy, before and after a reload.
    pub definition: u128,
    pub per: Per,
    /// All of them hold. Never empty.
    pub rates: Box<[Rate]>,
    pub costs: Costs,
    /// Requests from there are not counted.
    pub except_networks: Option<Networks>,
    /// Whoever has one of these is not counted.
    pub except_roles: Vec<Arc<Role>>,
    /// It counts and reports, and refuses nothing.
    pub shadow: bool,
    /// All instances take from the same budgets, and this is done when those cannot be had; `None`: each has its own.
    pub shared: Option<WhenDown>,
}

/// What has a budget of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Per {
    Address,
    Subject,
    Key,
    Group,
    Route,
    /// The value of this header field, whose name is lower-case.
    Header(Box<str>),
}

impl Per {
    /// Is it known before the caller is?
    pub fn comes_first(&self) -> bool {
        *self == Per::Address
    }

    /// Does it need somebody who is known?
    pub fn needs_a_caller(&self) -> bool {
        match self {
            Per::Subject | Per::Key | Per::Group => true,
            Per::Address | Per::Route | Per::Header(_) => false,
        }
    }

    /// Its first word.
    pub fn word(&self) -> &'static str {
        match self {
            Per::Address => "address",
            Per::Subject => "subject",
            Per::Key => "key",
            Per::Group => "group",
            Per::Route => "route",
            Per::Header(_) => "header",
        }
    }
}

impl fmt::Display for Per {
    /// As the policy writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Per::Header(name) => write!(f, "header:{name}"),
            other => f.write_str(other.word()),
        }
    }
}

/// What a request costs.
#[derive(Clone, Debug, Default)]
pub struct Costs(pub Vec<(Box<str>, u64)>);

impl Costs {
    /// By its method; HEAD costs what GET does, and a method that is not listed one.
    pub fn of(&self, method: &str) -> u64 {
        let listed = |method: &str| self.0.iter().find(|(listed, _)| **listed == *method).map(|(_, cost)| *cost);
        listed(method).or_else(|| listed("GET").filter(|_| method == "HEAD")).unwrap_or(1)
    }
}

/// Limits in their order.
pub type LimitList = Box<[Arc<Limit>]>;

/// Every limit of a policy, by what it stands at.
#[derive(Debug, Default)]
pub struct Limits {
    /// Lists of limits; a route names its list by number. The first is empty.
    pub lists: Vec<LimitList>,
    /// Those of roles, for all who have the role.
    pub of_roles: Vec<(Arc<Role>, LimitList)>,
    /// Those of API keys, by source and id.
    pub of_keys: HashMap<(Arc<str>, Box<str>), LimitList>,
    /// The sources whose callers are API keys.
    pub key_sources: Vec<Arc<str>>,
    /// So many bits of an IPv6 address are one client's.
    pub ipv6_prefix: u8,
}

/// A limit that counts a request.
#[derive(Clone, Copy, Debug)]
pub struct Due<'r> {
    pub limit: &'r Arc<Limit>,
    pub who: Who<'r>,
    pub cost: u64,
}

/// The longest value of a header that has a budget of its own.
const LONGEST_VALUE: usize = 256;

impl Limits {
    /// Is there none at all?
    pub fn is_empty(&self) -> bool {
        self.of_roles.is_empty() && self.of_keys.is_empty() && self.lists.iter().all(|list| list.is_empty())
    }

    /// What is counted before anybody is asked who they are: the address alone.
    pub fn first<'r>(&'r self, routed: &Routed<'r>, facts: &RequestFacts<'r>) -> Vec<Due<'r>> {
        let mut dues: Vec<Due<'r>> = Vec::new();
        for (_, limit) in self.of_readings(routed).filter(|(_, limit)| limit.per.comes_first()) {
            push(&mut dues, limit, self.address(facts.address), facts);
        }
        dues
    }

    /// What is counted when the caller is known and may pass. `mentioned` says of a group whether the policy names it.
    pub fn then<'r>(
        &'r self,
        routed: &Routed<'r>,
        principal: &'r Principal,
        facts: &RequestFacts<'r>,
        mentioned: impl Fn(&str) -> bool,
    ) -> Vec<Due<'r>> {
        let mut dues: Vec<Due<'r>> = Vec::new();
        let identity = principal.identity();
        let known = !routed.asks_nobody();
        let holds = |role: &Arc<Role>| identity.is_some_and(|identity| role.is_held_by(identity));
        let of_roles = self.of_roles.iter().filter(|(role, _)| holds(role)).flat_map(|(_, limits)| limits);
        let of_key = identity.and_then(|identity| self.of_key(identity)).into_iter().flatten();
        let of_caller = of_roles.chain(of_key).map(|limit| (routed.route, limit));
        for (route, limit) in self.of_readings(routed).chain(of_caller) {
            if limit.per.comes_first() || limit.except_roles.iter().any(holds) {
                continue;
            }
            match (&limit.per, identity) {
                (Per::Subject | Per::Key | Per::Group, _) if !known => {}
                (Per::Subject, Some(identity)) => push(&mut dues, limit, subject(identity), facts),
                // Somebody who may pass without a name is told apart by address.
                (Per::Subject, None) => push(&mut dues, limit, self.address(facts.address), facts),
                (Per::Key, Some(identity)) if self.key_sources.contains(identity.source()) => {
                    push(&mut dues, limit, subject(identity), facts);
                }
                (Per::Key, _) => {}
                (Per::Group, Some(identity)) => {
                    let mut named = identity.groups().iter().filter(|group| mentioned(group)).peekable();
                    if named.peek().is_none() {
                        push(&mut dues, limit, Who::NoGroup, facts);
                    }
                    for group in named {
                        push(&mut dues, limit, Who::Group { issuer: identity.issuer(), group }, facts);
                    }
                }
                (Per::Group, None) => push(&mut dues, limit, Who::NoGroup, facts),
                (Per::Route, _) => {
                    push(&mut dues, limit, Who::Route { host: &route.id.host, name: &route.id.name }, facts);
                }
                (Per::Header(name), _) => push(&mut dues, limit, header(name, facts), facts),
                (Per::Address, _) => {}
            }
        }
        dues
    }

    /// The limits of every route that a server may read the path as: another spelling is no way around one (R3).
    fn of_readings<'r>(&'r self, routed: &Routed<'r>) -> impl Iterator<Item = (&'r Route, &'r Arc<Limit>)> {
        let list = |route: &Route| self.lists.get(route.limits as usize).map_or(&[][..], |list| list);
        routed.readings().flat_map(move |route| list(route).iter().map(move |limit| (route, limit)))
    }

    fn of_key(&self, identity: &Identity) -> Option<&[Arc<Limit>]> {
        if self.of_keys.is_empty() {
            return None;
        }
        let key = (Arc::clone(identity.source()), identity.subject().into());
        self.of_keys.get(&key).map(|limits| &**limits)
    }

    fn address(&self, address: ClientAddress) -> Who<'static> {
        match address.ip().map(|ip| ip.to_canonical()) {
            None => Who::UnknownAddress,
            // As the IPv6 address that maps it, which no IPv6 client has.
            Some(IpAddr::V4(ip)) => Who::Address(u128::from(ip.to_ipv6_mapped())),
            Some(IpAddr::V6(ip)) => {
                let host_bits = 128_u32.saturating_sub(u32::from(self.ipv6_prefix));
                Who::Address(u128::from(ip) & u128::MAX.checked_shl(host_bits).unwrap_or(0))
            }
        }
    }
}

fn subject(identity: &Identity) -> Who<'_> {
    Who::Subject { issuer: identity.issuer(), subject: identity.subject() }
}

/// The one sound value of a field. A proxy may have joined several with commas: then it is none.
fn header<'r>(name: &str, facts: &RequestFacts<'r>) -> Who<'r> {
    match facts.headers.one(name) {
        Single::One(value) if (1..=LONGEST_VALUE).contains(&value.len()) && !value.contains(&b',') => {
            Who::Header(value.trim_ascii())
        }
        Single::One(_) | Single::Many | Single::Absent => Who::NoHeader,
    }
}

/// Count by this limit, once for everybody, however many readings lead to it.
fn push<'r>(dues: &mut Vec<Due<'r>>, limit: &'r Arc<Limit>, who: Who<'r>, facts: &RequestFacts<'_>) {
    let excepted = |networks: &Networks| networks.holds(facts.address) == Truth::True;
    let cost = limit.costs.of(facts.method);
    let counted = dues.iter().any(|due| Arc::ptr_eq(due.limit, limit) && due.who == who);
    if cost > 0 && !counted && !limit.except_networks.as_ref().is_some_and(excepted) {
        dues.push(Due { limit, who, cost });
    }
}

#[cfg(test)]
mod tests;
