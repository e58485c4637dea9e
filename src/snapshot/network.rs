//! Networks by name, and lists that mix names and CIDRs.

use std::collections::HashMap;
use std::sync::Arc;

use ipnet::IpNet;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::load::Surroundings;
use crate::config::tree::Network;
use crate::model::network::NetworkSet;
use crate::model::network::PRIVATE;
use crate::model::network::parse_network;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::gate::Networks;
use crate::snapshot::unknown_name;

/// The names that mean something without being configured.
const RESERVED: [&str; 2] = ["private", "any"];

/// Every network by its name, `private` among them.
pub(super) struct NetworkNames {
    sets: HashMap<String, Arc<NetworkSet>>,
    /// The proxies that are walked over, whose addresses are never a client's.
    hops: Arc<NetworkSet>,
}

impl NetworkNames {
    /// Build the `networks` table.
    pub(super) fn build(
        entries: &Entries<At<Network>>,
        surroundings: &Surroundings<'_>,
        problems: &mut Problems,
    ) -> NetworkNames {
        let mut sets = HashMap::from([("private".to_owned(), Arc::new(private()))]);
        for (name, network) in entries.iter() {
            if RESERVED.contains(&name.as_str()) || parse_network(name).is_some() {
                let message = format!("a network cannot be called `{}`", name.value);
                problems.push(Problem::error(name.place.clone(), "", message).help("choose another name"));
                continue;
            }
            let networks = match &network.value {
                Network::List(items) => items.iter().flat_map(|item| cidr(item, problems)).collect(),
                Network::Env(env) => from_environment(env, surroundings, problems),
            };
            let set = NetworkSet::new(networks);
            if set.holds_everyone() {
                let message = format!("network `{}` holds every address", name.value);
                problems.push(
                    Problem::warning(network.place.clone(), "", message)
                        .help("an allowlist of everyone closes nothing"),
                );
            }
            sets.insert(name.value.clone(), Arc::new(set));
        }
        NetworkNames { sets, hops: Arc::default() }
    }

    /// From now on a list of nothing but these is a mistake: no client's address is ever one of them.
    pub(super) fn walk_over(&mut self, hops: Arc<NetworkSet>) {
        self.hops = hops;
    }

    /// The union of a list of names and CIDRs.
    pub(super) fn union(&self, list: &[At<String>], problems: &mut Problems) -> Networks {
        let mut named = Vec::new();
        let mut networks = Vec::new();
        for item in list {
            if let Some(set) = self.sets.get(item.as_str()) {
                named.push(set);
            } else if let Some(network) = parse_network(item) {
                networks.push(network);
            } else if looks_like_address(item) {
                problems.push(bad_cidr(item));
            } else {
                problems.push(unknown_name(item, "network", self.sets.keys()));
            }
        }
        let set = match (named.as_slice(), networks.as_slice()) {
            // A long list has one copy, however many routes name it.
            ([only], []) => Arc::clone(only),
            _ => Arc::new(named.iter().fold(NetworkSet::new(networks), |set, named| set.union(named))),
        };
        if let Some(first) = list.first()
            && !set.is_empty()
            && set.is_within(&self.hops)
        {
            let message = "no client is ever in these networks: all of them are `trusted_hops`";
            problems.push(
                Problem::error(first.place.clone(), "", message)
                    .help("write the clients' addresses, or take them out of `client_ip.trusted_hops`"),
            );
        }
        Networks { names: list.iter().map(|item| item.as_str().into()).collect(), set }
    }
}

/// The private address ranges.
fn private() -> NetworkSet {
    NetworkSet::new(PRIVATE.into_iter().filter_map(parse_network))
}

fn cidr(item: &At<String>, problems: &mut Problems) -> Vec<IpNet> {
    if item.value == "private" {
        return PRIVATE.into_iter().filter_map(parse_network).collect();
    }
    let network = parse_network(item);
    if network.is_none() {
        problems.push(bad_cidr(item));
    }
    network.into_iter().collect()
}

fn bad_cidr(item: &At<String>) -> Problem {
    Problem::error(item.place.clone(), "", format!("`{}` is not an address or CIDR", item.value))
        .help("write `198.51.100.0/24`, `2001:db8::/32`, one address, or `private`")
}

fn looks_like_address(text: &str) -> bool {
    text.contains(['/', ':']) || text.starts_with(|first: char| first.is_ascii_digit())
}

/// An address list in a variable: separated by spaces or commas; one bad item refuses it all.
fn from_environment(
    env: &crate::config::tree::EnvNetwork,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<IpNet> {
    let text = surroundings.env(&env.env).unwrap_or_default();
    let items: Vec<&str> = text.split([' ', ',', '\t', '\n', '\r']).filter(|item| !item.is_empty()).collect();
    if items.is_empty() {
        let (networks, named) = match &env.default {
            Some(default) => (default.iter().flat_map(|item| cidr(item, problems)).collect(), "its `default`"),
            None => (PRIVATE.into_iter().filter_map(parse_network).collect(), "the private ranges"),
        };
        let message = format!("environment variable `{}` is unset or blank: {named} is used", env.env.value);
        problems.push(Problem::warning(env.env.place.clone(), "", message));
        return networks;
    }
    let mut networks = Vec::with_capacity(items.len());
    for item in items {
        match (item, parse_network(item)) {
            ("private", _) => networks.extend(PRIVATE.into_iter().filter_map(parse_network)),
            (_, Some(network)) => networks.push(network),
            (_, None) => {
                let message = format!("environment variable `{}`: `{item}` is not an address or CIDR", env.env.value);
                problems.push(
                    Problem::error(env.env.place.clone(), "", message).help("separate CIDRs by spaces or commas"),
                );
            }
        }
    }
    networks
}
