//! The conditions a requirement is made of. To add one: a file here, an arm in each match below.

pub mod authenticated;
pub mod claim;
pub mod header;
pub mod member;
pub mod network;
pub mod query;
pub mod role;
pub mod schedule;
pub mod scope;
pub mod source;

use std::fmt;

use jiff::Timestamp;

use crate::model::client_ip::ClientAddress;
use crate::model::header::Headers;
use crate::model::identity::Identity;
use crate::model::identity::Principal;
use crate::policy::truth::Truth;

/// One test of the caller or the request. What few routes ask for stands apart, so that the others stay small.
#[derive(Debug)]
pub enum Condition {
    Groups(member::Members),
    Roles(Vec<std::sync::Arc<role::Role>>),
    Users(member::Members),
    Scopes(scope::Scopes),
    Source(source::SourceNames),
    Claim(Box<claim::ClaimTest>),
    Network(network::NetworkTest),
    Header(Box<header::HeaderTest>),
    Query(Box<query::QueryTest>),
    Schedule(Box<schedule::Schedule>),
    Authenticated,
}

/// What conditions may look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    pub principal: &'f Principal,
    pub request: RequestFacts<'f>,
}

/// The facts of a request, whoever sent it: all that a gate may look at.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'f> {
    pub address: ClientAddress,
    pub method: &'f str,
    pub query: Option<&'f str>,
    pub headers: &'f Headers<'f>,
    pub now: Timestamp,
}

impl Facts<'_> {
    /// An identity fact: unknown of an anonymous caller.
    fn of_identity(&self, test: impl FnOnce(&Identity) -> bool) -> Truth {
        match self.principal.identity() {
            Some(identity) => Truth::from(test(identity)),
            None => Truth::Unknown,
        }
    }
}

impl Condition {
    /// Does it hold?
    pub fn holds(&self, facts: &Facts<'_>) -> Truth {
        match self {
            Condition::Groups(members) => {
                facts.of_identity(|identity| members.name_one_of(identity, identity.groups()))
            }
            Condition::Roles(roles) => facts.of_identity(|identity| roles.iter().any(|role| role.is_held_by(identity))),
            Condition::Users(members) => facts.of_identity(|identity| members.name(identity, identity.user())),
            Condition::Scopes(scopes) => facts.of_identity(|identity| scopes.granted_to(identity)),
            Condition::Source(sources) => facts.of_identity(|identity| sources.vouched_for(identity)),
            Condition::Claim(test) => match facts.principal.identity() {
                Some(identity) if test.asks_for_unverified_mail(identity) => Truth::Unknown,
                _ => facts.of_identity(|identity| test.holds(identity)),
            },
            Condition::Network(test) => test.holds(facts.request.address),
            Condition::Header(test) => test.holds(facts.request.headers),
            Condition::Query(test) => test.holds(facts.request.query),
            Condition::Schedule(schedule) => schedule.holds(facts.request.now),
            Condition::Authenticated => authenticated::holds(facts.principal),
        }
    }
}

impl fmt::Display for Condition {
    /// As the policy writes it, for `explain`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::Groups(members) => write!(f, "groups {members}"),
            Condition::Roles(roles) => {
                let roles: Vec<_> = roles.iter().map(|role| role.to_string()).collect();
                write!(f, "roles [{}]", roles.join(", "))
            }
            Condition::Users(members) => write!(f, "users {members}"),
            Condition::Scopes(scopes) => write!(f, "scopes {scopes}"),
            Condition::Source(sources) => write!(f, "identity {sources}"),
            Condition::Claim(test) => write!(f, "claims {test}"),
            Condition::Network(test) => write!(f, "network {test}"),
            Condition::Header(test) => write!(f, "headers {test}"),
            Condition::Query(test) => write!(f, "query {test}"),
            Condition::Schedule(schedule) => write!(f, "schedule {schedule}"),
            Condition::Authenticated => f.write_str("authenticated"),
        }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) mod testing {
    use std::sync::Arc;

    use serde_json::json;

    use crate::model::identity::Claims;
    use crate::model::identity::Identity;

    /// An identity of the source `people`.
    pub(crate) fn identity(user: &str, groups: &[&str]) -> Arc<Identity> {
        let raw = json!({"dept": "eng", "level": 3, "deep": {"list": ["a", "b"]}});
        Arc::new(
            Identity::verified(Claims {
                source: "people".into(),
                issuer: "https://sso.test".into(),
                subject: "1".into(),
                user: user.into(),
                groups: groups.iter().map(|group| (*group).into()).collect(),
                email: None,
                email_verified: false,
                name: None,
                scopes: vec!["read".into()],
                raw: raw.as_object().expect("an object").clone(),
                expires: None,
            })
            .expect("an identity"),
        )
    }
}
