//! Which of the stated addresses is the client's.

use std::sync::Arc;

use crate::model::client_ip::ClientAddress;
use crate::model::client_ip::forwarded;
use crate::model::client_ip::parse_address;
use crate::model::client_ip::walk;
use crate::model::client_ip::walk_addresses;
use crate::model::header::Single;
use crate::model::network::NetworkSet;
use crate::model::request::Request;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;

/// The `client_ip` setting, built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressRule {
    /// What the asking proxy states about its own peer; no hop is trusted.
    Dialect,
    /// A walk over `X-Forwarded-For` from its right end.
    ForwardedFor { trusted_hops: Arc<NetworkSet> },
    /// A walk over `Forwarded` (RFC 7239) from its right end.
    Forwarded { trusted_hops: Arc<NetworkSet> },
    /// This header's one address.
    Header(Box<str>),
}

impl AddressRule {
    /// The client's address by this rule.
    pub fn apply(&self, request: &Request<'_>, trace: &mut impl Trace) -> ClientAddress {
        let address = match self {
            AddressRule::Dialect => match (request.address.peer, request.address.forwarded_for.last()) {
                (Some(peer), _) => single(peer),
                (None, Some(line)) => walk(line.rsplit(',').take(1), &NetworkSet::default()),
                (None, None) => ClientAddress::Missing,
            },
            AddressRule::ForwardedFor { trusted_hops } => {
                let forwarded = || request.address.forwarded_for.iter().rev().flat_map(|line| line.rsplit(','));
                // Envoy has already appended its peer when it is the last element; count it once.
                let peer = request.address.peer.filter(|peer| {
                    let last = forwarded().next().unwrap_or_default().trim_matches([' ', '\t']);
                    let address = parse_address(last);
                    address.is_none() || (last != *peer && address != parse_address(peer))
                });
                walk(peer.into_iter().chain(forwarded()), trusted_hops)
            }
            AddressRule::Forwarded { trusted_hops } => forwarded_by(request, trusted_hops),
            AddressRule::Header(name) => match request.headers.one(name) {
                Single::Absent => ClientAddress::Missing,
                Single::Many => ClientAddress::Malformed,
                Single::One(value) => std::str::from_utf8(value).map_or(ClientAddress::Malformed, single),
            },
        };
        trace.note(Station::Address, None, || match address {
            ClientAddress::Known(ip) => format!("client address {ip}, from {}", self.name()),
            ClientAddress::Missing => format!("client address unknown: {} states none", self.name()),
            ClientAddress::Malformed => format!("client address unknown: {} is not an address", self.name()),
            ClientAddress::AllTrusted => format!("client address unknown: every hop of {} is trusted", self.name()),
        });
        address
    }

    fn name(&self) -> &str {
        match self {
            AddressRule::Dialect => "the proxy's own statement",
            AddressRule::ForwardedFor { .. } => "X-Forwarded-For",
            AddressRule::Forwarded { .. } => "Forwarded",
            AddressRule::Header(name) => name,
        }
    }
}

/// Few proxies write `Forwarded`, and a client can always send one. So it is read only where the asking proxy names its
/// peer, which must be a trusted hop.
fn forwarded_by(request: &Request<'_>, trusted_hops: &NetworkSet) -> ClientAddress {
    let Some(peer) = request.address.peer else { return ClientAddress::Missing };
    let peer = parse_address(peer);
    if !peer.is_some_and(|peer| trusted_hops.contains(peer)) {
        return walk_addresses(std::iter::once(peer), trusted_hops);
    }
    let lines: Result<Vec<&str>, _> = request.headers.all("forwarded").map(std::str::from_utf8).collect();
    match lines.map(|lines| (lines.is_empty(), forwarded::addresses(&lines))) {
        Ok((true, _)) => ClientAddress::AllTrusted,
        Ok((false, Ok(addresses))) => walk_addresses(addresses.into_iter(), trusted_hops),
        Ok((false, Err(_))) | Err(_) => ClientAddress::Malformed,
    }
}

fn single(text: &str) -> ClientAddress {
    parse_address(text).map_or(ClientAddress::Malformed, ClientAddress::Known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::dialect::Dialect;
    use crate::model::header::Headers;
    use crate::model::network::parse_network;
    use crate::model::request::Attributes;
    use crate::model::request::StatedAddress;
    use crate::model::request::StatedCertificate;
    use crate::policy::trace::Silent;

    fn applied(rule: &AddressRule, peer: Option<&str>, forwarded_for: &[&str], headers: &[(&str, &str)]) -> String {
        let mut list = Headers::new(false);
        for (name, value) in headers {
            list.push(name, value.as_bytes());
        }
        let request = Request::parse(Attributes {
            dialect: Dialect::ExtAuthz,
            method: "GET",
            scheme: None,
            host: "h.test",
            target: "/",
            address: StatedAddress { peer, forwarded_for: forwarded_for.to_vec() },
            headers: list,
            certificate: StatedCertificate::default(),
            ignored_forwarding: 0,
        })
        .expect("a request");
        match rule.apply(&request, &mut Silent) {
            ClientAddress::Known(ip) => ip.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a7_dialect_takes_only_the_proxys_own_word() {
        let rule = AddressRule::Dialect;
        assert_eq!(applied(&rule, Some("192.0.2.1"), &["6.6.6.6"], &[]), "192.0.2.1");
        assert_eq!(applied(&rule, None, &["6.6.6.6, 192.0.2.1"], &[]), "192.0.2.1");
        assert_eq!(applied(&rule, None, &["6.6.6.6", "192.0.2.1"], &[]), "192.0.2.1");
        assert_eq!(applied(&rule, None, &["192.0.2.1, x"], &[]), "Malformed");
        assert_eq!(applied(&rule, Some("x"), &["192.0.2.1"], &[]), "Malformed");
        assert_eq!(applied(&rule, None, &[], &[("x-real-ip", "6.6.6.6")]), "Missing");
    }

    #[test]
    fn a2_xff_walks_from_the_asking_proxys_peer() {
        let hops = NetworkSet::new(parse_network("10.0.0.0/8"));
        let rule = AddressRule::ForwardedFor { trusted_hops: Arc::new(hops) };
        for (peer, forwarded_for, want) in [
            (Some("10.0.0.1"), vec!["198.51.100.1"], "198.51.100.1"),
            (Some("10.0.0.1"), vec!["6.6.6.6, 198.51.100.1, 10.0.0.1"], "198.51.100.1"),
            (Some("10.0.0.1"), vec!["6.6.6.6, 198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            (Some("192.0.2.9"), vec!["198.51.100.1"], "192.0.2.9"),
            (Some("10.0.0.1"), vec![], "AllTrusted"),
            (None, vec!["198.51.100.1, 10.0.0.1"], "198.51.100.1"),
            (None, vec![], "Missing"),
            (Some("10.0.0.1"), vec!["oops"], "Malformed"),
        ] {
            assert_eq!(applied(&rule, peer, &forwarded_for, &[]), want, "{peer:?} {forwarded_for:?}");
        }
    }

    #[test]
    fn a1_forwarded_is_believed_of_a_trusted_peer_only() {
        let rule = AddressRule::Forwarded { trusted_hops: Arc::new(NetworkSet::new(parse_network("10.0.0.0/8"))) };
        for (peer, forwarded, want) in [
            (Some("10.0.0.1"), vec!["for=198.51.100.1"], "198.51.100.1"),
            (Some("10.0.0.1"), vec!["for=6.6.6.6, for=198.51.100.1;proto=https, for=10.0.0.2"], "198.51.100.1"),
            (Some("10.0.0.1"), vec!["for=6.6.6.6", "for=198.51.100.1"], "198.51.100.1"),
            (Some("10.0.0.1"), vec!["rubbish", "for=198.51.100.1"], "198.51.100.1"),
            (Some("10.0.0.1"), vec!["for=198.51.100.1", "for=unknown"], "Malformed"),
            (Some("10.0.0.1"), vec!["for=198.51.100.1;x=\"", "for=10.0.0.2"], "Malformed"),
            (Some("10.0.0.1"), vec!["for=10.0.0.2"], "AllTrusted"),
            (Some("10.0.0.1"), vec![], "AllTrusted"),
            (Some("192.0.2.9"), vec!["for=198.51.100.1"], "192.0.2.9"),
            (Some("x"), vec!["for=198.51.100.1"], "Malformed"),
            (None, vec!["for=198.51.100.1"], "Missing"),
        ] {
            let headers: Vec<_> = forwarded.iter().map(|line| ("forwarded", *line)).collect();
            assert_eq!(applied(&rule, peer, &[], &headers), want, "{peer:?} {forwarded:?}");
        }
    }

    #[test]
    fn a_named_header_holds_exactly_one_address() {
        let rule = AddressRule::Header("x-real-ip".into());
        assert_eq!(applied(&rule, Some("10.0.0.1"), &[], &[("x-real-ip", "198.51.100.1")]), "198.51.100.1");
        assert_eq!(applied(&rule, None, &[], &[("x-real-ip", "198.51.100.1, 6.6.6.6")]), "Malformed");
        assert_eq!(applied(&rule, None, &[], &[("x-real-ip", "1.1.1.1"), ("x-real-ip", "2.2.2.2")]), "Malformed");
        assert_eq!(applied(&rule, Some("10.0.0.1"), &[], &[]), "Missing");
    }
}
