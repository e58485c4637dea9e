//! `network: [office]` inside a requirement.

use std::fmt;

use crate::model::client_ip::ClientAddress;
use crate::policy::gate::Networks;
use crate::policy::truth::Truth;

/// The client's address must be in one of these networks.
#[derive(Debug)]
pub struct NetworkTest(pub Networks);

impl NetworkTest {
    /// Is it? Unknown when the address is.
    pub fn holds(&self, address: ClientAddress) -> Truth {
        self.0.holds(address)
    }
}

impl fmt::Display for NetworkTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]", self.0.names.join(", "))
    }
}
