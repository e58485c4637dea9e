//! One route: which requests it is for, and what it demands.

use std::sync::Arc;

use crate::model::decision::RouteId;
use crate::policy::gate::Gate;
use crate::policy::pattern::PathPattern;
use crate::policy::regex::PathRegex;
use crate::policy::requirement::Requirement;

/// A built route.
#[derive(Debug)]
pub struct Route {
    pub id: Arc<RouteId>,
    pub methods: Methods,
    pub access: Access,
    pub sources: Sources,
    /// The gates of defaults, host and route: all must be open. Routes without gates of their own share them.
    pub gates: Arc<[Gate]>,
    /// The limits of defaults, host and route: which list, by its number among the policy's limits.
    pub limits: u32,
    /// Paths with `%2f` or double encoding may use this route.
    pub keeps_encoded_slash: bool,
}

/// Which paths a route is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoutePattern {
    Path(PathPattern),
    Regex(Arc<PathRegex>),
}

impl RoutePattern {
    /// Is an upper-case ASCII letter written in it?
    pub fn mentions_upper_case(&self) -> bool {
        match self {
            RoutePattern::Path(pattern) => pattern.mentions_upper_case(),
            RoutePattern::Regex(regex) => regex.mentions_upper_case(),
        }
    }
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

/// The methods a route lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Methods {
    any: bool,
    /// One bit for each of [`REGISTERED`]: few routes list any others, and there are many routes.
    registered: u16,
    others: Box<[Box<str>]>,
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
        Methods { any: true, registered: 0, others: Box::default() }
    }

    /// These methods; `GET` brings `HEAD` with it.
    pub fn listed<'a>(methods: impl IntoIterator<Item = &'a str>) -> Methods {
        let (mut registered, mut others) = (0, Vec::new());
        for method in methods {
            match bit(method) {
                Some(bit) => registered |= bit,
                None => others.push(method.into()),
            }
        }
        if bit("GET").is_some_and(|get| registered & get != 0) {
            registered |= bit("HEAD").unwrap_or_default();
        }
        Methods { any: false, registered, others: others.into() }
    }

    /// Does the route list this method? Compared by octet: `get` is not `GET`.
    pub fn lists(&self, method: &str) -> bool {
        self.any
            || match bit(method) {
                Some(bit) => self.registered & bit != 0,
                None => self.others.iter().any(|listed| **listed == *method),
            }
    }

    /// Is there a method that both list?
    pub fn overlaps(&self, other: &Methods) -> bool {
        self.any
            || other.any
            || self.registered & other.registered != 0
            || self.others.iter().any(|method| other.others.contains(method))
    }
}

/// The bit of a registered method.
fn bit(method: &str) -> Option<u16> {
    REGISTERED.iter().position(|registered| *registered == method).map(|position| 1 << position)
}

impl std::fmt::Display for Methods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.any {
            return f.write_str("any");
        }
        let registered = REGISTERED.into_iter().filter(|method| self.lists(method));
        let listed: Vec<&str> = registered.chain(self.others.iter().map(|method| &**method)).collect();
        write!(f, "[{}]", listed.join(", "))
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::model::problem::Place;
    use crate::policy::pattern::PathPattern;

    /// A public route; `methods` is empty for the registered nine, `any`, or a comma-separated list.
    pub(crate) fn route(name: &str, path: &str, methods: &str) -> (RoutePattern, Route) {
        let pattern = RoutePattern::Path(PathPattern::parse(path).expect(path));
        let route = Route {
            id: Arc::new(RouteId { host: "test".into(), name: name.into(), place: Place::whole("test.yaml") }),
            methods: match methods {
                "" => Methods::registered(),
                "any" => Methods::any(),
                list => Methods::listed(list.split(',')),
            },
            access: Access::Public,
            sources: Sources { list: 0, asks: true, anonymous: false },
            gates: Arc::default(),
            limits: 0,
            keeps_encoded_slash: false,
        };
        (pattern, route)
    }
}
