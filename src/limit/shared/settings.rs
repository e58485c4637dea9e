//! Where the shared store is, and how it is spoken to.

use std::fmt;
use std::time::Duration;

use crate::model::secret::Secret;
use crate::outbound::socket::Endpoint;

/// Everything that the policy says of the store. Two that are equal are one store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub servers: Servers,
    pub login: Login,
    /// The number of a database; on a cluster there is only 0.
    pub database: u16,
    /// What all keys begin with.
    pub prefix: String,
    /// How long an answer is waited for.
    pub deadline: Duration,
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    One(Endpoint),
    /// Sentinels, who know which server is the master now.
    Sentinels {
        master: String,
        sentinels: Vec<Endpoint>,
        login: Login,
    },
}

/// Who we are, to the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Login {
    /// A user of its access control list; without one it is `default`.
    pub user: Option<String>,
    pub password: Option<Secret<String>>,
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Servers::One(endpoint) => endpoint.fmt(f),
            Servers::Sentinels { master, sentinels, .. } => {
                write!(f, "{master} by ")?;
                for (number, sentinel) in sentinels.iter().enumerate() {
                    write!(f, "{}{sentinel}", if number > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}
