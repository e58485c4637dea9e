//! Checks as Envoy sends them: about 2 kB of `CheckRequest` with a browser's header fields and a signed token.

use std::sync::LazyLock;
use std::time::SystemTime;

use anyhow::Result;
use envoy_types::pb::envoy::config::core::v3::Address;
use envoy_types::pb::envoy::config::core::v3::SocketAddress;
use envoy_types::pb::envoy::config::core::v3::address;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::service::auth::v3::AttributeContext;
use envoy_types::pb::envoy::service::auth::v3::CheckRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::HttpRequest;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Peer;
use envoy_types::pb::envoy::service::auth::v3::attribute_context::Request;
use envoy_types::pb::google::protobuf::Timestamp;
use jsonwebtoken::EncodingKey;
use jsonwebtoken::Header;
use prost::Message;
use serde_json::json;

use crate::policy::AUDIENCE;
use crate::policy::ISSUER;
use crate::policy::SECRET;
use crate::policy::Size;

/// The moment at which everything plays, in seconds since 1970: when the bench began, since the engine goes by the real
/// clock.
pub(crate) static NOW: LazyLock<i64> = LazyLock::new(|| {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs().cast_signed()
});

/// What a check is about.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) route: usize,
    pub(crate) host: String,
    pub(crate) target: String,
    pub(crate) token: String,
}

impl Check {
    /// A request for a route, by the `caller`th of those who may use it.
    pub(crate) fn new(size: Size, route: usize, caller: usize) -> Result<Check> {
        let target = format!("/api/team-{route}/items/{caller}?page=2");
        Ok(Check { route, host: size.host_of(route), target, token: token(route, caller)? })
    }

    /// Every header field that a browser and Envoy send.
    fn headers(&self) -> Vec<(&'static str, String)> {
        let fixed = [
            (":method", "GET"),
            (":scheme", "https"),
            ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("accept-language", "en-GB,en;q=0.8,nb;q=0.5"),
            ("cache-control", "max-age=0"),
            ("cookie", "theme=dark; session-hint=1; locale=en-GB"),
            ("dnt", "1"),
            ("priority", "u=0, i"),
            ("referer", "https://app.bench.test/dashboard"),
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
            ("upgrade-insecure-requests", "1"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
            ("x-envoy-external-address", "192.0.2.7"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
            ("x-request-id", "6f1c7b4e-8f0e-4c2a-9d53-0b6f6a2f3c11"),
        ];
        let mut headers: Vec<_> = fixed.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
        headers.push((":authority", self.host.clone()));
        headers.push((":path", self.target.clone()));
        headers.push(("authorization", format!("Bearer {}", self.token)));
        headers
    }

    /// The message on the wire.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let http = HttpRequest {
            id: "12157374612384234".to_owned(),
            method: "GET".to_owned(),
            headers: self.headers().into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            path: self.target.clone(),
            host: self.host.clone(),
            scheme: "https".to_owned(),
            protocol: "HTTP/2".to_owned(),
            ..HttpRequest::default()
        };
        let time = Timestamp { seconds: *NOW, nanos: 0 };
        let attributes = AttributeContext {
            source: Some(peer("192.0.2.7", 50_312)),
            destination: Some(peer("192.0.2.80", 8443)),
            request: Some(Request { time: Some(time), http: Some(http) }),
            ..AttributeContext::default()
        };
        CheckRequest { attributes: Some(attributes) }.encode_to_vec()
    }
}

/// A token of less than 1,000 octets that is valid at [`NOW`].
fn token(route: usize, caller: usize) -> Result<String> {
    let groups: Vec<String> = (0..4).map(|n| format!("team-{}", route + n)).collect();
    let claims = json!({
        "iss": ISSUER, "aud": [AUDIENCE, "account"], "azp": "bench",
        "sub": format!("{route:08x}-0d5b-4b7e-8d7c-{caller:012x}"),
        "iat": *NOW - 60, "exp": *NOW + 3600, "auth_time": *NOW - 90, "jti": format!("{caller:032x}"),
        "typ": "Bearer", "scope": "openid profile email", "email_verified": true,
        "preferred_username": format!("user-{route}-{caller}"), "name": format!("User {route} {caller}"),
        "email": format!("user-{route}-{caller}@bench.test"),
        "realm_access": {"roles": ["offline_access", "uma_authorization", "default-roles-main"]},
        "groups": groups,
    });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(jsonwebtoken::Algorithm::HS256), &claims, &key)?)
}

fn peer(address: &str, port: u32) -> Peer {
    let socket = SocketAddress {
        address: address.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(port)),
        ..SocketAddress::default()
    };
    Peer { address: Some(Address { address: Some(address::Address::SocketAddress(socket)) }), ..Peer::default() }
}
