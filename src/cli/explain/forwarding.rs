//! The forwarding headers that nobody reads, and what would.

use crate::cli::request::ClientRequest;
use crate::dialect;
use crate::model::dialect::Dialect;
use crate::policy::address::AddressRule;
use crate::policy::trace::Notes;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;

/// The names of those that the request brings, in lower case: Envoy asks over gRPC here.
pub(super) fn ignored(client: &ClientRequest) -> impl Iterator<Item = String> {
    let names = client.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
    names.filter(|name| dialect::ignores(Dialect::ExtAuthz, name))
}

/// Say of each why it makes no difference, unless `client_ip` goes by it.
pub(super) fn note(client: &ClientRequest, rule: &AddressRule, notes: &mut Notes) {
    for name in ignored(client) {
        let used = match rule {
            AddressRule::Header(header) => **header == *name,
            AddressRule::Forwarded { .. } => name == "forwarded",
            AddressRule::Dialect | AddressRule::ForwardedFor { .. } => false,
        };
        if !used {
            notes.note(Station::Request, None, || format!("`{name}` is ignored{}", matters(&name)));
        }
    }
}

/// Where it would make a difference.
fn matters(name: &str) -> String {
    let readers: Vec<&str> = dialect::readers(name).map(Dialect::name).collect();
    let mut places = Vec::new();
    if !readers.is_empty() {
        places.push(format!("from {}", readers.join(", ")));
    }
    match name {
        "forwarded" => places.push("under `client_ip: {from: forwarded}`".to_owned()),
        "x-real-ip" | "x-envoy-external-address" => places.push(format!("under `client_ip: {{header: {name}}}`")),
        _ => {}
    }
    match places.as_slice() {
        [] => ": no proxy states anything in it".to_owned(),
        places => format!("; it is read only {}", places.join(", or ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_place() {
        for (name, want) in [
            ("forwarded", "; it is read only under `client_ip: {from: forwarded}`"),
            ("x-real-ip", "; it is read only from ingress_nginx, or under `client_ip: {header: x-real-ip}`"),
            ("x-forwarded-host", "; it is read only from caddy, traefik, nginx, haproxy"),
            ("x-original-url", "; it is read only from ingress_nginx"),
            ("x-forwarded-prefix", ": no proxy states anything in it"),
        ] {
            assert_eq!(matters(name), want, "{name}");
        }
    }
}
