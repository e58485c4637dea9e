//! How a line says things: its format, and what it says only in part.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::audit::cef;
use crate::audit::line;
use crate::audit::ocsf;
use crate::audit::pseudonym::Naming;
use crate::audit::pseudonym::Pseudonyms;
use crate::model::client_ip::ClientAddress;
use crate::model::record::Record;

/// What lines are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Our own members, in JSON.
    #[default]
    Json,
    /// Open Cybersecurity Schema Framework, in JSON.
    Ocsf,
    /// ArcSight Common Event Format, version 0.
    Cef,
}

/// What a line does not say, or only in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redact {
    Subject,
    User,
    Groups,
    /// Of the address, only the network is said: /24 or /48.
    ClientIp,
    Path,
}

/// How decisions become lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Form {
    pub format: Format,
    /// Lines hold the query of the request.
    pub include_query: bool,
    pub redact: Vec<Redact>,
    /// Subjects and users are called by other names.
    pub pseudonyms: Option<Pseudonyms>,
}

impl Form {
    /// The body of the line of one decision. Nothing in it is a credential.
    pub fn decision(&self, record: &Record<'_>) -> String {
        let shown = Shown::of(self, record);
        match self.format {
            Format::Json => line::decision(&shown),
            Format::Ocsf => ocsf::decision(&shown),
            Format::Cef => cef::decision(&shown),
        }
    }

    fn hides(&self, part: Redact) -> bool {
        self.redact.contains(&part)
    }
}

/// What a line may say of a decision.
pub(super) struct Shown<'r> {
    pub(super) record: &'r Record<'r>,
    pub(super) path: Option<&'r str>,
    pub(super) query: Option<&'r str>,
    pub(super) client: Option<Client>,
    pub(super) subject: Option<Cow<'r, str>>,
    pub(super) user: Option<Cow<'r, str>>,
    pub(super) groups: Option<Vec<&'r str>>,
}

/// The client's address, as far as it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Ip(IpAddr),
    /// The first address of its network, and how long the network's prefix is.
    Network(IpAddr, u8),
    /// Why it is not known.
    Unknown(&'static str),
}

impl<'r> Shown<'r> {
    fn of(form: &Form, record: &'r Record<'r>) -> Shown<'r> {
        let path = record.path.filter(|_| !form.hides(Redact::Path));
        let query = record.query.filter(|_| form.include_query && path.is_some());
        let client = record.client.map(|client| match client.address {
            ClientAddress::Known(ip) if form.hides(Redact::ClientIp) => network(ip),
            ClientAddress::Known(ip) => Client::Ip(ip),
            ClientAddress::Missing => Client::Unknown("missing"),
            ClientAddress::Malformed => Client::Unknown("malformed"),
            ClientAddress::AllTrusted => Client::Unknown("all_trusted"),
        });
        let identity = record.decision.principal.identity();
        let called = |naming, part, name: &'r str| {
            let issuer = identity.map(|identity| &**identity.issuer()).unwrap_or_default();
            (!form.hides(part)).then(|| match &form.pseudonyms {
                Some(pseudonyms) => Cow::Owned(pseudonyms.of(naming, issuer, name)),
                None => Cow::Borrowed(name),
            })
        };
        let used = |group: &&str| record.mentioned.is_some_and(|mentioned| mentioned.contains(*group));
        Shown {
            record,
            path,
            query,
            client,
            subject: identity.and_then(|identity| called(Naming::Subject, Redact::Subject, identity.subject())),
            user: identity.and_then(|identity| called(Naming::User, Redact::User, identity.user())),
            groups: identity
                .filter(|_| !form.hides(Redact::Groups))
                .map(|identity| identity.groups().iter().filter(used).collect()),
        }
    }
}

/// Whose neighbours an address is among, and no more.
fn network(ip: IpAddr) -> Client {
    match ip {
        IpAddr::V4(ip) => Client::Network(IpAddr::V4((ip.to_bits() & !0xFF).into()), 24),
        IpAddr::V6(ip) => Client::Network(IpAddr::V6((ip.to_bits() & !(u128::MAX >> 48)).into()), 48),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_the_network_is_said() {
        for (ip, want, length) in
            [("192.0.2.77", "192.0.2.0", 24), ("2001:db8:7:1:2:3:4:5", "2001:db8:7::", 48), ("::1", "::", 48)]
        {
            let want: IpAddr = want.parse().expect("an address");
            assert_eq!(network(ip.parse().expect("an address")), Client::Network(want, length), "{ip}");
        }
    }
}
