//! Gates: request facts only, and they only close. Every gate of defaults, host and route must be open.

use std::fmt;
use std::sync::Arc;

use crate::model::client_ip::ClientAddress;
use crate::model::network::NetworkSet;
use crate::model::problem::Place;
use crate::model::reason::Reason;
use crate::policy::condition::RequestFacts;
use crate::policy::condition::header::HeaderTest;
use crate::policy::route::Methods;
use crate::policy::truth::Truth;

/// A built gate.
#[derive(Clone, Debug)]
pub struct Gate {
    /// What it stands at: `defaults`, `host` or `route`.
    pub of: &'static str,
    pub rule: GateRule,
    pub place: Place,
}

/// When a gate is open.
#[derive(Clone, Debug)]
pub enum GateRule {
    /// `network`: to clients that are known to be in one of these.
    Within(Networks),
    /// `deny.network`: to clients that are known to be in none of these.
    Outside(Networks),
    /// `deny.headers`: to requests that are known to have no such header.
    Without(HeaderTest),
    /// `deny.methods`: to other methods.
    Except(Methods),
}

/// A union of networks, tested against the client address.
#[derive(Clone, Debug)]
pub struct Networks {
    pub names: Vec<Arc<str>>,
    pub set: Arc<NetworkSet>,
}

impl Gate {
    /// Is it open? What is not known for certain closes it.
    pub fn is_open(&self, facts: &RequestFacts<'_>) -> bool {
        let open = match &self.rule {
            GateRule::Within(networks) => networks.holds(facts.address),
            GateRule::Outside(networks) => networks.holds(facts.address).not(),
            GateRule::Without(header) => header.holds(facts.headers).not(),
            GateRule::Except(methods) => Truth::from(!methods.lists(facts.method)),
        };
        open == Truth::True
    }

    /// Why a request is refused that it is closed to.
    pub fn reason(&self) -> Reason {
        match &self.rule {
            GateRule::Within(_) | GateRule::Outside(_) => Reason::NetworkDenied,
            GateRule::Without(_) => Reason::HeaderDenied,
            GateRule::Except(_) => Reason::MethodDenied,
        }
    }
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

impl fmt::Display for Gate {
    /// As the policy writes it, for `explain`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            GateRule::Within(networks) => write!(f, "network [{}] of {}", networks.names.join(", "), self.of),
            GateRule::Outside(networks) => write!(f, "deny network [{}] of {}", networks.names.join(", "), self.of),
            GateRule::Without(header) => write!(f, "deny headers {header} of {}", self.of),
            GateRule::Except(methods) => write!(f, "deny methods {methods} of {}", self.of),
        }
    }
}
