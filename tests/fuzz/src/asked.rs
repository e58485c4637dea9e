//! What a client asks for, as text, and the check each proxy would make of it.
//!
//! ```text
//! GET https wiki.test /public/x 192.0.2.7
//! Accept: text/html
//! Authorization: Bearer {alice}
//! ```

use std::collections::{BTreeMap, HashSet};

use http::request::Parts;
use postern::dialect::ext_authz::CheckRequest;
use postern::dialect::ext_authz::proto::envoy::config::core::v3::address::Address as Kind;
use postern::dialect::ext_authz::proto::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use postern::dialect::ext_authz::proto::envoy::service::auth::v3::AttributeContext;
use postern::dialect::ext_authz::proto::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use postern::model::dialect::Dialect;

use super::world;

/// A client's request, as far as every dialect can carry it.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub scheme: String,
    pub host: String,
    pub target: String,
    pub from: String,
    /// Lower-case names.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// Read an input. Fields that proxies write or drop themselves, and those no HTTP message can hold, are left out.
    pub fn parse(input: &[u8]) -> Option<Asked> {
        let input = String::from_utf8(world::substitute(input)).ok()?;
        let mut lines = input.split('\n');
        let mut words = lines.next()?.split(' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (method, scheme, host, target, from) = (word(), word(), word(), word(), word());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()))
            .filter(|(name, value)| {
                http::HeaderName::from_bytes(name.as_bytes()).is_ok()
                    && http::HeaderValue::from_bytes(value.as_bytes()).is_ok()
                    && !is_the_proxys(name)
            })
            .collect();
        let scheme = if scheme == "http" { scheme } else { "https".to_owned() };
        let from = if from.parse::<std::net::IpAddr>().is_ok() { from } else { "192.0.2.7".to_owned() };
        Some(Asked { method, scheme, host, target, from, headers })
    }

    /// Does no name come twice, and no value hold a comma? Then joining fields changes nothing.
    pub fn is_plain(&self) -> bool {
        let names: HashSet<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.len() == self.headers.len() && !self.headers.iter().any(|(_, value)| value.contains(','))
    }

    /// Everything in one text, for asking what is in there.
    pub fn octets(&self) -> Vec<u8> {
        format!("{self:?}").into_bytes()
    }

    /// Envoy's message, with the fields joined in a map or apart in a list.
    pub fn check_request(&self, joined: bool) -> CheckRequest {
        let apart = self.headers.iter().map(|(name, value)| HeaderValue {
            key: name.clone(),
            value: String::new(),
            raw_value: value.clone().into_bytes(),
        });
        let http = HttpRequest {
            method: self.method.clone(),
            scheme: self.scheme.clone(),
            host: self.host.clone(),
            path: self.target.clone(),
            headers: if joined { self.joined().into_iter().collect() } else { BTreeMap::default() },
            header_map: (!joined).then(|| HeaderMap { headers: apart.collect() }),
            ..HttpRequest::default()
        };
        let socket = SocketAddress { address: self.from.clone(), ..SocketAddress::default() };
        let address = Address { address: Some(Kind::SocketAddress(socket)) };
        CheckRequest {
            attributes: Some(AttributeContext {
                source: Some(Peer { address: Some(address), ..Peer::default() }),
                request: Some(Request { http: Some(http) }),
                ..AttributeContext::default()
            }),
        }
    }

    /// The head of the check of a forward-auth proxy; `None` when it could not carry this request.
    pub fn head(&self, dialect: Dialect) -> Option<Parts> {
        let mut own: Vec<(&str, String)> = Vec::new();
        let mut method = "GET";
        let mut target = format!("/auth/{}", dialect.name().replace('_', "-"));
        let forwarded = [
            ("x-forwarded-method", self.method.clone()),
            ("x-forwarded-proto", self.scheme.clone()),
            ("x-forwarded-host", self.host.clone()),
            ("x-forwarded-uri", self.target.clone()),
            ("x-forwarded-for", self.from.clone()),
        ];
        match dialect {
            Dialect::Caddy => own.extend(forwarded.into_iter().chain([("host", self.host.clone())])),
            // The check's own host is ours.
            Dialect::Traefik | Dialect::Nginx | Dialect::Haproxy => {
                own.extend(forwarded.into_iter().chain([("host", "postern".to_owned())]));
            }
            Dialect::IngressNginx => {
                let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.:[]".contains(&octet);
                if !self.host.bytes().all(plain) || !self.target.starts_with('/') {
                    return None;
                }
                own.push(("host", "postern".to_owned()));
                own.push(("x-original-url", format!("{}://{}{}", self.scheme, self.host, self.target)));
                own.push(("x-original-method", self.method.clone()));
                own.push(("x-real-ip", self.from.clone()));
            }
            Dialect::EnvoyHttp => {
                // Without the slash it would be another path of ours.
                if !self.target.starts_with('/') {
                    return None;
                }
                method = &self.method;
                target = format!("/auth/envoy{}", self.target);
                own.push(("host", self.host.clone()));
                own.push(("x-forwarded-proto", self.scheme.clone()));
                own.push(("x-forwarded-for", self.from.clone()));
            }
            Dialect::ExtAuthz => return None,
        }
        let mut request = http::Request::builder().method(method).uri(&target);
        let headers = if dialect == Dialect::EnvoyHttp { self.joined() } else { self.headers.clone() };
        for (name, value) in
            own.iter().map(|(name, value)| (*name, value)).chain(headers.iter().map(|(n, v)| (n.as_str(), v)))
        {
            request = request.header(name, value.as_bytes());
        }
        let (parts, ()) = request.body(()).ok()?.into_parts();
        // The http crate drops a fragment; Envoy refuses one before it asks.
        let whole = parts.uri.path_and_query().is_some_and(|own| own.as_str() == target);
        whole.then_some(parts)
    }

    fn joined(&self) -> Vec<(String, String)> {
        let mut joined: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.headers {
            match joined.iter_mut().find(|(other, _)| other == name) {
                Some((_, values)) => {
                    values.push_str(if name == "cookie" { "; " } else { "," });
                    values.push_str(value);
                }
                None => joined.push((name.clone(), value.clone())),
            }
        }
        joined
    }
}

/// Forwarding headers, and those about the connection: each dialect has its own.
fn is_the_proxys(name: &str) -> bool {
    let folded: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    let starts = ["x-forwarded-", "x-original-", "x-envoy-", "forwarded", "x-real-ip", "x-rewrite-url"];
    starts.iter().any(|start| folded.starts_with(start))
        || ["host", "content-length", "transfer-encoding", "te", "via"].contains(&name)
}
