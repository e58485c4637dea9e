//! Client addresses. Input: the peer, then one `X-Forwarded-For` or `Forwarded` a line: each line is read as both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use postern::model::client_ip::{ClientAddress, forwarded::addresses, parse_address};
use postern::model::dialect::Dialect;
use postern::model::header::Headers;
use postern::model::network::{NetworkSet, parse_network};
use postern::model::request::{Attributes, Request, StatedAddress};
use postern::policy::address::AddressRule;
use postern::policy::trace::Silent;

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut lines = text.split('\n');
    let peer = lines.next().filter(|peer| !peer.is_empty());
    let forwarded_for: Vec<&str> = lines.collect();
    for text in peer.into_iter().chain(forwarded_for.iter().flat_map(|line| line.split(','))) {
        one(text);
    }
    let mut headers = Headers::new(false);
    for line in &forwarded_for {
        headers.push("x-address", line.as_bytes());
        headers.push("forwarded", line.as_bytes());
    }
    let stated = StatedAddress { peer, forwarded_for: forwarded_for.clone() };
    let request = Request::parse(Attributes {
        dialect: Dialect::ExtAuthz,
        method: "GET",
        scheme: None,
        host: "h.test",
        target: "/",
        address: stated,
        headers,
        certificate: postern::model::request::StatedCertificate::default(),
        ignored_forwarding: 0,
    })
    .expect("a request");

    let hops = NetworkSet::new(["10.0.0.0/8", "2001:db8::/32"].iter().filter_map(|text| parse_network(text)));
    let hops = Arc::new(hops);
    let rule = AddressRule::ForwardedFor { trusted_hops: Arc::clone(&hops) };
    let got = rule.apply(&request, &mut Silent).ip();
    assert_eq!(got, walked(peer, &forwarded_for), "{peer:?} {forwarded_for:?}");

    let rule = AddressRule::Forwarded { trusted_hops: hops };
    let got = rule.apply(&request, &mut Silent).ip();
    assert_eq!(got, forwarded::walked(peer, &forwarded_for), "Forwarded: {peer:?} {forwarded_for:?}");
    // Repeated fields mean what one field means in which they are joined.
    let joined = [forwarded_for.join(",")];
    let joined = joined.iter().map(String::as_str).filter(|_| !forwarded_for.is_empty()).collect::<Vec<_>>();
    assert_eq!(addresses(&forwarded_for), addresses(&joined), "{forwarded_for:?}");

    let got = AddressRule::Header("x-address".into()).apply(&request, &mut Silent).ip();
    let want = match forwarded_for.as_slice() {
        [only] => strict(only),
        _ => None,
    };
    assert_eq!(got, want, "{forwarded_for:?}");

    let got = AddressRule::Dialect.apply(&request, &mut Silent);
    if let Some(peer) = peer {
        assert_eq!(got.ip(), strict(peer), "{peer:?}");
    } else if let ClientAddress::Known(ip) = got {
        let last = forwarded_for.last().and_then(|line| line.split(',').next_back());
        assert_eq!(last.map(|text| text.trim_matches([' ', '\t'])).and_then(strict), Some(ip));
    }
}

/// One address: the same by a grammar written once more, and by its own text.
fn one(text: &str) {
    let parsed = parse_address(text);
    assert_eq!(parsed, strict(text), "{text:?}");
    if let Some(ip) = parsed {
        assert_eq!(parse_address(&ip.to_string()), Some(ip), "{text:?}");
        assert!(!matches!(ip, IpAddr::V6(six) if six.to_ipv4_mapped().is_some()), "{text:?}");
    }
}

/// The walk, from the peer leftwards.
fn walked(peer: Option<&str>, lines: &[&str]) -> Option<IpAddr> {
    let mut chain: Vec<Option<IpAddr>> =
        lines.iter().flat_map(|line| line.split(',')).map(|text| strict(text.trim_matches([' ', '\t']))).collect();
    if let Some(peer) = peer {
        let peer = strict(peer.trim_matches([' ', '\t']));
        // The peer may be the last element already.
        if peer.is_none() || chain.last() != Some(&peer) {
            chain.push(peer);
        }
    }
    first_untrusted(chain.into_iter().rev())
}

fn first_untrusted(elements: impl Iterator<Item = Option<IpAddr>>) -> Option<IpAddr> {
    for element in elements {
        match element? {
            IpAddr::V4(four) if four.octets()[0] == 10 => {}
            IpAddr::V6(six) if six.segments()[..2] == [0x2001, 0xdb8] => {}
            ip => return Some(ip),
        }
    }
    None
}

/// `Forwarded` (RFC 7239) written once more: one text, cut at what stands outside of quotation marks.
mod forwarded {
    use super::{IpAddr, first_untrusted, strict};

    /// The walk, from the peer leftwards. Only who asks through a trusted hop is believed anything.
    pub(super) fn walked(peer: Option<&str>, lines: &[&str]) -> Option<IpAddr> {
        let peer = std::iter::once(strict(peer?));
        let text = lines.join(",");
        let elements = cut(&text, b',');
        match elements {
            // A quotation mark is open: nothing behind the peer counts.
            None => first_untrusted(peer.chain([None])),
            Some(_) if lines.is_empty() => first_untrusted(peer),
            Some(elements) => first_untrusted(peer.chain(elements.into_iter().rev().map(address))),
        }
    }

    /// The pieces between separators, or `None` when a quotation mark is left open.
    fn cut(text: &str, separator: u8) -> Option<Vec<&str>> {
        let (mut pieces, mut start, mut at, mut quoted) = (Vec::new(), 0, 0, false);
        let octets = text.as_bytes();
        while at < octets.len() {
            match octets[at] {
                // What is escaped is one character, however many octets it has: none of them is an ASCII one.
                b'\\' if quoted => at += 1,
                b'"' => quoted = !quoted,
                octet if octet == separator && !quoted => {
                    pieces.push(text.get(start..at)?);
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        pieces.push(text.get(start..)?);
        (!quoted).then_some(pieces)
    }

    fn address(element: &str) -> Option<IpAddr> {
        let pairs = cut(element.trim_matches([' ', '\t']), b';')?;
        let mut names: Vec<String> = Vec::new();
        let mut found = None;
        for pair in &pairs {
            let (name, value) = pair.split_once('=')?;
            let value = unquoted(value)?;
            if !is_token(name) {
                return None;
            }
            let name = name.to_ascii_lowercase();
            if name == "for" {
                found = Some(node(&value)?);
            }
            names.push(name);
        }
        let count = names.len();
        names.sort();
        names.dedup();
        if count > 16 || names.len() < count { None } else { found }
    }

    fn unquoted(value: &str) -> Option<String> {
        let Some(rest) = value.strip_prefix('"') else { return is_token(value).then(|| value.to_owned()) };
        let (mut text, mut escaped, mut ended) = (String::new(), false, false);
        for character in rest.chars() {
            match character {
                _ if ended => return None,
                _ if escaped => {
                    text.push(character);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => ended = true,
                _ => text.push(character),
            }
        }
        ended.then_some(text)
    }

    /// An address as everywhere else, but IPv6 stands in brackets, and a port may have a made-up name.
    fn node(text: &str) -> Option<IpAddr> {
        if text.matches(':').count() > 1 && !text.starts_with('[') {
            return None;
        }
        match text.rsplit_once(":_") {
            Some((host, name)) if !host.contains(":_") => {
                let sound = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'_' | b'-');
                let bare = host.ends_with(']') || !host.contains(':');
                (bare && !name.is_empty() && name.bytes().all(sound)).then(|| strict(host))?
            }
            Some(_) => None,
            None => strict(text),
        }
    }

    fn is_token(text: &str) -> bool {
        let sign = |octet: u8| octet.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&octet);
        !text.is_empty() && text.bytes().all(sign)
    }
}

fn strict(text: &str) -> Option<IpAddr> {
    let port = |text: &str| {
        matches!(text.len(), 1..=5)
            && text.bytes().all(|digit| digit.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|port| port <= 65535)
    };
    let four = |text: &str| -> Option<IpAddr> {
        let mut octets = [0; 4];
        let parts: Vec<&str> = text.split('.').collect();
        if parts.len() != 4 {
            return None;
        }
        for (octet, part) in octets.iter_mut().zip(parts) {
            let plain = matches!(part.len(), 1..=3) && part.bytes().all(|digit| digit.is_ascii_digit());
            if !plain || part.len() > 1 && part.starts_with('0') {
                return None;
            }
            *octet = part.parse().ok()?;
        }
        Some(IpAddr::V4(Ipv4Addr::from(octets)))
    };
    let six = |text: &str| -> Option<IpAddr> {
        let address: Ipv6Addr = text.parse().ok()?;
        Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        return if rest.is_empty() || rest.strip_prefix(':').is_some_and(port) { six(address) } else { None };
    }
    match text.bytes().filter(|octet| *octet == b':').count() {
        0 => four(text),
        1 => text.split_once(':').filter(|(_, number)| port(number)).and_then(|(address, _)| four(address)),
        _ => six(text),
    }
}
