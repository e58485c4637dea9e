//! Who may ask us. Anyone else is disconnected before a single octet is read.

use std::net::IpAddr;

use crate::model::network::NetworkSet;
use crate::model::network::loopback;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Caller {
    /// A TCP peer, IPv4-mapped addresses unmapped.
    Address(IpAddr),
    /// A process on this machine, through a unix socket: the file's permissions said who.
    Unix,
}

/// The `callers` setting: loopback and unix sockets unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callers {
    pub networks: NetworkSet,
    pub unix: bool,
}

impl Callers {
    /// Is this one of them?
    pub fn admit(&self, caller: Caller) -> bool {
        match caller {
            Caller::Address(address) => self.networks.contains(address),
            Caller::Unix => self.unix,
        }
    }
}

impl Default for Callers {
    fn default() -> Callers {
        Callers { networks: NetworkSet::new(loopback()), unix: true }
    }
}

impl std::fmt::Display for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Caller::Address(address) => address.fmt(f),
            Caller::Unix => f.write_str("unix"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::network::parse_network;

    #[test]
    fn the_default_is_this_machine() {
        let callers = Callers::default();
        for (address, admitted) in
            [("127.0.0.1", true), ("127.8.9.1", true), ("::1", true), ("::ffff:127.0.0.1", true), ("10.0.0.1", false)]
        {
            let caller = Caller::Address(address.parse().expect("address"));
            assert_eq!(callers.admit(caller), admitted, "{address}");
        }
        assert!(callers.admit(Caller::Unix));
    }

    #[test]
    fn unix_is_asked_for_by_name() {
        let networks = NetworkSet::new(parse_network("0.0.0.0/0"));
        assert!(!Callers { networks, unix: false }.admit(Caller::Unix));
    }
}
