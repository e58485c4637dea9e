//! Where we listen, who may ask, and which address is the client's.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::config::at::At;
use crate::config::tree;
use crate::model::caller::Callers;
use crate::model::listen::Listen;
use crate::model::listen::ListenAddress;
use crate::model::listen::ListenAddressError;
use crate::model::network::NetworkSet;
use crate::model::network::loopback;
use crate::model::network::parse_network;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::address::AddressRule;
use crate::snapshot::network::NetworkNames;

/// Build `listen`.
pub(super) fn listen(written: &tree::Listen, problems: &mut Problems) -> Listen {
    let mut address = |written: &Option<At<String>>, default: u16| {
        let fallback = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], default)));
        let Some(written) = written else { return fallback };
        written.parse().unwrap_or_else(|error: ListenAddressError| {
            problems.push(Problem::error(written.place.clone(), "", error.to_string()));
            fallback
        })
    };
    Listen {
        grpc: Some(address(&written.grpc, 9191)),
        http: Some(address(&written.http, 9192)),
        admin: Some(address(&written.admin, 9193)),
    }
}

/// Build `callers`.
pub(super) fn callers(config: &tree::Config, problems: &mut Problems) -> Callers {
    let Some(written) = &config.callers else {
        return Callers { networks: NetworkSet::new(loopback()), unix: true };
    };
    let mut networks = Vec::new();
    let mut unix = false;
    for caller in written.iter() {
        match (caller.as_str(), parse_network(caller)) {
            ("unix", _) => unix = true,
            (_, Some(network)) => networks.push(network),
            (_, None) => {
                let message = format!("`{}` is not a caller", caller.value);
                problems.push(
                    Problem::error(caller.place.clone(), "", message).help("write an address, a CIDR, or `unix`"),
                );
            }
        }
    }
    let networks = NetworkSet::new(networks);
    if networks.holds_everyone() && !config.insecure_any_caller {
        let message = "everyone may ask: anybody who reaches the port can learn and probe the policy";
        problems.push(
            Problem::error(written.place.clone(), "", message)
                .help("name the proxies' addresses, or write `insecure_any_caller: true`"),
        );
    }
    Callers { networks, unix }
}

/// Build `client_ip`.
pub(super) fn address_rule(written: &tree::ClientIp, networks: &NetworkNames, problems: &mut Problems) -> AddressRule {
    let trusted = networks.union(&written.trusted_hops, problems).set;
    if let Some(first) = written.trusted_hops.first() {
        if !matches!(written.from.as_deref(), Some(tree::AddressSource::Xff)) {
            let message = "`trusted_hops` says nothing here: only `from: xff` walks over hops";
            problems.push(Problem::error(first.place.clone(), "", message).help("write `from: xff`"));
        }
        if trusted.holds_everyone() && !written.insecure_any_hop {
            let message = "every address is a trusted hop: clients can then state any address they like";
            problems.push(
                Problem::error(first.place.clone(), "", message)
                    .help("name the proxies' addresses, or write `insecure_any_hop: true`"),
            );
        }
    }
    match written.from.as_deref() {
        None | Some(tree::AddressSource::Dialect) => AddressRule::Dialect,
        Some(tree::AddressSource::Xff) => AddressRule::ForwardedFor { trusted_hops: Arc::clone(&trusted) },
        Some(tree::AddressSource::Header(name)) => AddressRule::Header(name.to_ascii_lowercase().into()),
    }
}
