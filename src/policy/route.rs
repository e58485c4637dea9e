//! One route: which requests it is for, and what it demands.

use std::sync::Arc;

use crate::model::client_ip::ClientAddress;
use crate::model::decision::RouteId;
use crate::model::network::NetworkSet;
use crate::model::problem::Place;
use crate::policy::pattern::PathPattern;
use crate::policy::requirement::Requirement;
use crate::policy::truth::Truth;

/// A built route.
#[derive(Debug)]
pub struct Route {
    pub id: Arc<RouteId>,
    pub pattern: PathPattern,
    pub methods: Methods,
    pub access: Access,
    pub sources: Sources,
    /// The network gates of defaults, host and route: all must be open.
    pub gates: Vec<Gate>,
    /// Paths with `%2f` or double encoding may use this route.
    pub keeps_encoded_slash: bool,
}

/// Who may use a route.
#[derive(Debug)]
pub enum Access {
    /// Everyone; credentials are ignored and no identity is sent.
    Public,
    Require(Requirement),
}

/// The identity sources of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// Which list of sources, by its number in the snapshot.
    pub list: usize,
    /// There is at least one: a caller who is not known may become known.
    pub asks: bool,
    /// The list ends in `anonymous`: callers without a credential are judged too.
    pub anonymous: bool,
}

impl Route {
    /// Is the route open to everyone?
    pub fn is_public(&self) -> bool {
        matches!(self.access, Access::Public)
    }
}

impl PartialEq for Route {
    /// Routes are one of a kind: equal only to themselves.
    fn eq(&self, other: &Route) -> bool {
        std::ptr::eq(self, other)
    }
}

/// A network gate: request facts only, and it only closes.
#[derive(Clone, Debug)]
pub struct Gate {
    /// What the gate stands at: `defaults`, `host` or `route`.
    pub of: &'static str,
    pub networks: Networks,
    pub place: Place,
}

/// A union of networks, tested against the client address.
#[derive(Clone, Debug)]
pub struct Networks {
    pub names: Vec<Arc<str>>,
    pub set: Arc<NetworkSet>,
}

impl Networks {
    /// Is the client in one of these networks? Unknown when its address is.
    pub fn holds(&self, address: ClientAddress) -> Truth {
        match address.ip() {
            Some(ip) => Truth::from(self.set.contains(ip)),
            None => Truth::Unknown,
        }
    }
}

/// The methods a route lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    any: bool,
    listed: Vec<Box<str>>,
}

/// The methods of RFC 9110 and RFC 5789: what a route without `methods` lists.
pub const REGISTERED: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

impl Methods {
    /// The registered nine.
    pub fn registered() -> Methods {
        Methods::listed(REGISTERED)
    }

    /// Every method there is or may ever be.
    pub fn any() -> Methods {
        Methods { any: true, listed: Vec::new() }
    }

    /// These methods; `GET` brings `HEAD` with it.
    pub fn listed<'a>(methods: impl IntoIterator<Item = &'a str>) -> Methods {
        let mut listed: Vec<Box<str>> = methods.into_iter().map(Box::from).collect();
        if listed.iter().any(|method| &**method == "GET") && !listed.iter().any(|method| &**method == "HEAD") {
            listed.push("HEAD".into());
        }
        Methods { any: false, listed }
    }

    /// Does the route list this method? Compared by octet: `get` is not `GET`.
    pub fn lists(&self, method: &str) -> bool {
        self.any || self.listed.iter().any(|listed| &**listed == method)
    }

    /// Is there a method that both list?
    pub fn overlaps(&self, other: &Methods) -> bool {
        self.any || other.any || self.listed.iter().any(|method| other.listed.contains(method))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::policy::pattern::PathPattern;

    /// A public route; `methods` is empty for the registered nine, `any`, or a comma-separated list.
    pub(crate) fn route(name: &str, path: &str, methods: &str) -> Route {
        Route {
            id: Arc::new(RouteId { host: "test".into(), name: name.into(), place: Place::whole("test.yaml") }),
            pattern: PathPattern::parse(path).expect(path),
            methods: match methods {
                "" => Methods::registered(),
                "any" => Methods::any(),
                list => Methods::listed(list.split(',')),
            },
            access: Access::Public,
            sources: Sources { list: 0, asks: true, anonymous: false },
            gates: Vec::new(),
            keeps_encoded_slash: false,
        }
    }
}
