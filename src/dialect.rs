//! The proxies' wire languages. Each dialect is one decoder (wire to `Attributes`, or a `Refusal`) and one encoder
//! (`Response` to wire). Nothing here judges a request, and no wire name is known outside this room.
//!
//! | dialect | carried by | entry |
//! | --- | --- | --- |
//! | Envoy `ext_authz` gRPC | protobuf | [`ext_authz`] |
//! | Caddy, Traefik, nginx, ingress-nginx, HAProxy, Envoy `http_service` | one HTTP request each | [`forward_auth`] |
//!
//! Two rules hold in every dialect:
//! - Only an `Allow` whose reason allows becomes an allow on the wire. Whatever cannot be written is a denial.
//! - A dialect reads only the headers its proxy is known to write. Copies and aliases of those are refused, other
//!   forwarding headers are the client's word and only counted.

pub mod ext_authz;
pub mod forward_auth;

mod answer;
mod caddy;
mod envoy_http;
#[cfg(test)]
mod fixture;
mod forwarded;
mod forwarding;
mod haproxy;
mod ingress_nginx;
mod nginx;
mod traefik;

use crate::dialect::forwarding::Standing;
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::Refusal;

/// Is this a forwarding header that `dialect` does not read, so that it is only counted?
pub fn ignores(dialect: Dialect, name: &str) -> bool {
    standing(dialect, name) == Standing::Ignored
}

/// The dialects that read the header of this name as an attribute of the request.
pub fn readers(name: &str) -> impl Iterator<Item = Dialect> {
    Dialect::ALL.into_iter().filter(move |dialect| matches!(standing(*dialect, name), Standing::Attribute(_)))
}

fn standing(dialect: Dialect, name: &str) -> Standing {
    match dialect {
        Dialect::ExtAuthz => ext_authz::FORWARDING.standing(name.as_bytes()),
        Dialect::EnvoyHttp => envoy_http::FORWARDING.standing(name.as_bytes()),
        Dialect::Caddy => caddy::FORWARDING.standing(name.as_bytes()),
        Dialect::Traefik => traefik::FORWARDING.standing(name.as_bytes()),
        Dialect::Nginx => nginx::FORWARDING.standing(name.as_bytes()),
        Dialect::IngressNginx => ingress_nginx::FORWARDING.standing(name.as_bytes()),
        Dialect::Haproxy => haproxy::FORWARDING.standing(name.as_bytes()),
    }
}

fn refuse(dialect: Dialect, reason: Reason, detail: impl Into<String>) -> Refusal {
    Refusal { dialect, reason, detail: detail.into() }
}
