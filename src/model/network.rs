//! Sets of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A set of addresses: CIDRs merged into sorted, disjoint ranges. IPv4-mapped IPv6 counts as IPv4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSet {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

/// What `private` means in a network list.
pub const PRIVATE: [&str; 6] = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128", "fc00::/7"];

impl NetworkSet {
    /// Merge CIDRs. The order does not matter; host bits are ignored.
    pub fn new(networks: impl IntoIterator<Item = IpNet>) -> NetworkSet {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for network in networks {
            match unmap_network(network) {
                IpNet::V4(net) => v4.push((u32::from(net.network()), u32::from(net.broadcast()))),
                IpNet::V6(net) => v6.push((u128::from(net.network()), u128::from(net.broadcast()))),
            }
        }
        NetworkSet { v4: merge(v4), v6: merge(v6) }
    }

    /// Is this address in the set?
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => within(&self.v4, u32::from(address)),
            IpAddr::V6(address) => within(&self.v6, u128::from(address)),
        }
    }

    /// Does the set hold no address at all?
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Does the set hold every IPv4 or every IPv6 address?
    pub fn holds_everyone(&self) -> bool {
        self.v4.contains(&(u32::MIN, u32::MAX)) || self.v6.contains(&(u128::MIN, u128::MAX))
    }

    /// Is every address of this set in the other one, too?
    pub fn is_within(&self, other: &NetworkSet) -> bool {
        covers(&other.v4, &self.v4) && covers(&other.v6, &self.v6)
    }

    /// The union of two sets.
    pub fn union(&self, other: &NetworkSet) -> NetworkSet {
        NetworkSet {
            v4: merge(self.v4.iter().chain(&other.v4).copied().collect()),
            v6: merge(self.v6.iter().chain(&other.v6).copied().collect()),
        }
    }
}

/// Read one CIDR or a bare address (as /32 or /128). Text that is not canonical is refused.
pub fn parse_network(text: &str) -> Option<IpNet> {
    let network = match text.split_once('/') {
        Some((address, bits)) => {
            let canonical = !bits.is_empty() && (bits == "0" || !bits.starts_with('0'));
            if !canonical || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            IpNet::new(address.parse().ok()?, bits.parse().ok()?).ok()?
        }
        None => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    Some(network)
}

fn unmap_network(network: IpNet) -> IpNet {
    if let IpNet::V6(net) = network
        && net.prefix_len() >= 96
        && let Some(address) = net.addr().to_ipv4_mapped()
        && let Ok(mapped) = IpNet::new(IpAddr::V4(address), net.prefix_len() - 96)
    {
        return mapped;
    }
    network
}

fn merge<N: Copy + Ord + Successor>(mut ranges: Vec<(N, N)>) -> Vec<(N, N)> {
    ranges.sort_unstable();
    let mut merged: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (low, high) in ranges {
        match merged.last_mut() {
            Some(last) if low <= last.1 || last.1.successor() == Some(low) => last.1 = last.1.max(high),
            _ => merged.push((low, high)),
        }
    }
    merged
}

fn within<N: Copy + Ord>(ranges: &[(N, N)], address: N) -> bool {
    let after = ranges.partition_point(|(low, _)| *low <= address);
    after.checked_sub(1).and_then(|index| ranges.get(index)).is_some_and(|(_, high)| address <= *high)
}

/// The wider ranges are disjoint and do not touch, so each of the narrower ones fits into a single one of them.
fn covers<N: Copy + Ord>(wider: &[(N, N)], narrower: &[(N, N)]) -> bool {
    narrower.iter().all(|(low, high)| wider.iter().any(|(from, to)| from <= low && high <= to))
}

trait Successor: Sized {
    fn successor(self) -> Option<Self>;
}

impl Successor for u32 {
    fn successor(self) -> Option<u32> {
        self.checked_add(1)
    }
}

impl Successor for u128 {
    fn successor(self) -> Option<u128> {
        self.checked_add(1)
    }
}

/// The loopback addresses, the default of `callers`.
pub fn loopback() -> [IpNet; 2] {
    [
        IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
        IpNet::new_assert(IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(networks: &[&str]) -> NetworkSet {
        NetworkSet::new(networks.iter().map(|text| parse_network(text).expect("test network")))
    }

    #[test]
    fn membership_is_by_range() {
        let networks = set(&["10.0.0.0/8", "192.0.2.7", "2001:db8::/32", "::ffff:198.51.100.0/120"]);
        for (address, inside) in [
            ("10.0.0.0", true),
            ("10.255.255.255", true),
            ("9.255.255.255", false),
            ("11.0.0.0", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.1.2.3", true),
            ("198.51.100.9", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            assert_eq!(networks.contains(address.parse().expect("address")), inside, "{address}");
        }
    }

    #[test]
    fn neighbours_and_overlaps_merge() {
        assert_eq!(set(&["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16"]), set(&["10.0.0.0/8"]));
        assert_eq!(set(&["0.0.0.0/1", "128.0.0.0/1"]), set(&["0.0.0.0/0"]));
        assert!(set(&["0.0.0.0/1", "128.0.0.0/1"]).holds_everyone());
        assert!(!set(&["10.0.0.0/8"]).holds_everyone());
    }

    #[test]
    fn one_set_lies_within_another() {
        for (inner, outer, within) in [
            (vec!["10.1.0.0/16", "10.2.3.4"], vec!["10.0.0.0/8"], true),
            (vec!["10.0.0.0/8"], vec!["10.0.0.0/9", "10.128.0.0/9"], true),
            (vec!["10.0.0.0/8"], vec!["10.0.0.0/9"], false),
            (vec!["10.0.0.0/8", "::1"], vec!["10.0.0.0/8"], false),
            (vec!["::1"], vec!["::/0"], true),
        ] {
            assert_eq!(set(&inner).is_within(&set(&outer)), within, "{inner:?} {outer:?}");
        }
    }

    #[test]
    fn a4_odd_spellings_of_networks_are_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/",
            "010.0.0.0/8",
            "10.0/8",
            "0x0a.0.0.0/8",
            "fe80::1%eth0",
            "10.0.0.0/+8",
        ] {
            assert_eq!(parse_network(text), None, "{text}");
        }
    }
}
