//! Where we listen, who may ask, and which address is the client's.

mod unix;

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderName;

use crate::config::at::At;
use crate::config::tree;
use crate::model::caller::Callers;
use crate::model::dialect;
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
    let mut address = |written: &Option<At<tree::ListenAt>>, default: u16| {
        let fallback = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], default)));
        let Some(written) = written else { return fallback };
        let address = match &written.value {
            tree::ListenAt::Address(text) => text.parse().map_err(|error: ListenAddressError| {
                problems.push(Problem::error(written.place.clone(), "", error.to_string()));
            }),
            tree::ListenAt::Unix(written) => unix::socket(written, problems).map(ListenAddress::Unix).ok_or(()),
        };
        address.unwrap_or(fallback)
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

/// The hops that are walked over; none where nothing walks.
pub(super) fn trusted_hops(
    written: &tree::ClientIp,
    networks: &NetworkNames,
    problems: &mut Problems,
) -> Arc<NetworkSet> {
    let trusted = networks.union(&written.trusted_hops, problems).set;
    if walks(written) { trusted } else { Arc::default() }
}

fn walks(written: &tree::ClientIp) -> bool {
    matches!(written.from.as_deref(), Some(tree::AddressSource::Xff | tree::AddressSource::Forwarded))
}

/// Build `client_ip`. A rule that can never find an address is a mistake: every network rule would then be closed for
/// ever, and a `deny` gate would shut everybody out. `owned` are the identity headers, which no client may send.
pub(super) fn address_rule(
    written: &tree::ClientIp,
    trusted: Arc<NetworkSet>,
    owned: &[HeaderName],
    problems: &mut Problems,
) -> AddressRule {
    if let Some(first) = written.trusted_hops.first() {
        if !walks(written) {
            let message = "`trusted_hops` says nothing here: only `from: xff` and `from: forwarded` walk over hops";
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
    let Some(from) = &written.from else { return AddressRule::Dialect };
    let name_hops = "name the proxies before the one that asks in `trusted_hops`, or write `from: dialect`";
    match &from.value {
        tree::AddressSource::Dialect => AddressRule::Dialect,
        tree::AddressSource::Xff => {
            if written.trusted_hops.is_empty() {
                let message = "without `trusted_hops` the walk ends at the asking proxy's own peer";
                problems.push(Problem::warning(from.place.clone(), "", message).help(name_hops));
            }
            AddressRule::ForwardedFor { trusted_hops: trusted }
        }
        tree::AddressSource::Forwarded => {
            if written.trusted_hops.is_empty() {
                let message = "without `trusted_hops` nobody's `Forwarded` is believed";
                problems.push(Problem::error(from.place.clone(), "", message).help(name_hops));
            }
            AddressRule::Forwarded { trusted_hops: trusted }
        }
        tree::AddressSource::Header(name) => {
            if let Some((message, help)) = never_holds_an_address(name, owned) {
                problems.push(Problem::error(from.place.clone(), "", message).help(help));
            }
            AddressRule::Header(name.to_ascii_lowercase().into())
        }
    }
}

/// Why a header can never be where the client's address is found.
fn never_holds_an_address(name: &str, owned: &[HeaderName]) -> Option<(String, &'static str)> {
    let lower = name.to_ascii_lowercase();
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        Some((format!("`{name}` is not a header name"), "write such a name as `X-Real-IP`"))
    } else if lower == "forwarded" {
        Some((format!("`{name}` holds no single address"), "write `from: forwarded`"))
    } else if !dialect::brings(&lower) {
        let message = format!("`{name}` is read as the proxy's own statement and never stands alone");
        Some((message, "write `from: xff`, or `from: dialect`"))
    } else if matches!(lower.as_str(), "authorization" | "cookie") {
        Some((format!("`{name}` holds no address"), "write such a name as `X-Real-IP`"))
    } else if owned.iter().any(|owned| owned.as_str() == lower) {
        Some((format!("`{name}` is an identity header, and nobody may send one"), "write such a name as `X-Real-IP`"))
    } else {
        None
    }
}
