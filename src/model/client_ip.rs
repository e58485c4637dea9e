//! The client's address: a strict grammar and one walk over trusted hops.

pub mod forwarded;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::network::NetworkSet;

/// Where the client address came from, or why it is not known. Shown by `explain` and the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// Known, IPv4-mapped addresses unmapped.
    Known(IpAddr),
    /// Nothing stated it.
    Missing,
    /// An element met on the walk is not an address.
    Malformed,
    /// Every element is a trusted hop.
    AllTrusted,
}

impl ClientAddress {
    /// The address, when it is known. An unknown address matches no network rule, either way.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            ClientAddress::Known(ip) => Some(ip),
            ClientAddress::Missing | ClientAddress::Malformed | ClientAddress::AllTrusted => None,
        }
    }
}

/// Read one address as proxies write it: a canonical dotted quad or RFC 4291 text, optionally with a port
/// (`192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:443`). Zones, octal, hexadecimal and short forms are refused.
pub fn parse_address(text: &str) -> Option<IpAddr> {
    let ip = if let Some(rest) = text.strip_prefix('[') {
        let (inner, port) = rest.split_once(']')?;
        if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return None;
        }
        IpAddr::V6(inner.parse::<Ipv6Addr>().ok()?)
    } else if let Some((host, port)) = text.split_once(':')
        && !port.contains(':')
    {
        if !is_port(port) {
            return None;
        }
        IpAddr::V4(host.parse::<Ipv4Addr>().ok()?)
    } else {
        text.parse::<IpAddr>().ok()?
    };
    Some(ip.to_canonical())
}

/// Walk a forwarding chain from its right end over trusted hops. `elements` come right to left; the first
/// untrusted one is the client, and what stands left of it is not looked at.
pub fn walk<'a>(elements: impl Iterator<Item = &'a str>, trusted_hops: &NetworkSet) -> ClientAddress {
    walk_addresses(elements.map(|element| parse_address(element.trim_matches([' ', '\t']))), trusted_hops)
}

/// The same walk over elements that have been read; `None` is one that names no address.
pub fn walk_addresses(elements: impl Iterator<Item = Option<IpAddr>>, trusted_hops: &NetworkSet) -> ClientAddress {
    let mut seen = false;
    for element in elements {
        seen = true;
        match element {
            None => return ClientAddress::Malformed,
            Some(ip) if trusted_hops.contains(ip) => {}
            Some(ip) => return ClientAddress::Known(ip),
        }
    }
    if seen { ClientAddress::AllTrusted } else { ClientAddress::Missing }
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::network::parse_network;

    #[test]
    fn a4_addresses_have_one_grammar() {
        for (text, want) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("::1", Some("::1")),
            ("[::1]", Some("::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("[::ffff:192.0.2.1]:9", Some("192.0.2.1")),
            ("", None),
            ("192.0.2.01", None),
            ("192.0.2", None),
            ("0x7f.0.0.1", None),
            ("3221225985", None),
            ("192.0.2.1:", None),
            ("192.0.2.1:99999", None),
            ("192.0.2.1/32", None),
            ("fe80::1%eth0", None),
            ("[::1", None),
            ("[::1]x", None),
            ("[192.0.2.1]", None),
            ("unknown", None),
            ("\"192.0.2.1\"", None),
        ] {
            let want = want.map(|text| text.parse::<IpAddr>().expect("address"));
            assert_eq!(parse_address(text), want, "{text}");
        }
    }

    #[test]
    fn a2_the_walk_stops_at_the_first_untrusted_element() {
        let hops = NetworkSet::new(["10.0.0.0/8"].iter().filter_map(|text| parse_network(text)));
        let known = |text: &str| ClientAddress::Known(text.parse().expect("address"));
        for (chain, want) in [
            ("198.51.100.1", known("198.51.100.1")),
            ("6.6.6.6, 198.51.100.1, 10.0.0.1", known("198.51.100.1")),
            ("rubbish, 198.51.100.1, 10.0.0.1", known("198.51.100.1")),
            ("198.51.100.1, rubbish, 10.0.0.1", ClientAddress::Malformed),
            ("198.51.100.1,, 10.0.0.1", ClientAddress::Malformed),
            ("10.0.0.2, 10.0.0.1", ClientAddress::AllTrusted),
            ("10.0.0.2, ::ffff:10.0.0.1", ClientAddress::AllTrusted),
        ] {
            assert_eq!(walk(chain.rsplit(','), &hops), want, "{chain}");
        }
        assert_eq!(walk(std::iter::empty(), &hops), ClientAddress::Missing);
    }
}
