//! How each proxy puts a client's request to Postern: the same request in every wire language.
//!
//! Written after what the real proxies send. A proxy's own attributes replace whatever the client sent under their names;
//! everything else of the client's passes, also what a careful configuration would strip.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3::address::Address as AddressKind;
use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, HeaderMap, HeaderValue, SocketAddress};
use envoy_types::pb::envoy::service::auth::v3::attribute_context::{HttpRequest, Peer, Request};
use envoy_types::pb::envoy::service::auth::v3::{AttributeContext, CheckRequest};
use postern::model::dialect::Dialect;
use prost::Message;

use super::people::Tokens;
use super::scenarios::Scenario;

/// Where the client of the scenarios comes from.
pub(crate) const ADDRESS: &str = "127.0.0.9";

/// What arrives at Postern.
pub(crate) enum Question {
    /// An octet for octet `CheckRequest`.
    Grpc(Vec<u8>),
    /// The head of a forward-auth request.
    Http(http::Request<()>),
}

/// One way of asking: its name, the dialect it is, and the words it takes.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) dialect: Dialect,
    pub(crate) ask: fn(&Client<'_>) -> Question,
}

/// Every way of every proxy.
pub(crate) const WAYS: [Way; 8] = [
    Way { name: "Envoy, gRPC, joined headers", dialect: Dialect::ExtAuthz, ask: as_envoy_joined },
    Way { name: "Envoy, gRPC, raw headers", dialect: Dialect::ExtAuthz, ask: as_envoy_raw },
    Way { name: "Envoy, HTTP", dialect: Dialect::EnvoyHttp, ask: as_envoy_http },
    Way { name: "Caddy", dialect: Dialect::Caddy, ask: as_caddy },
    Way { name: "Traefik", dialect: Dialect::Traefik, ask: as_traefik },
    Way { name: "nginx", dialect: Dialect::Nginx, ask: as_nginx },
    Way { name: "ingress-nginx", dialect: Dialect::IngressNginx, ask: as_ingress_nginx },
    Way { name: "HAProxy", dialect: Dialect::Haproxy, ask: as_haproxy },
];

/// A client's request as the proxy understands it.
pub(crate) struct Client<'c> {
    pub(crate) method: &'c str,
    pub(crate) host: &'c str,
    pub(crate) target: &'c str,
    pub(crate) headers: Vec<(String, String)>,
    /// Where the proxy sees it come from.
    pub(crate) address: &'c str,
}

impl Client<'static> {
    pub(crate) fn of(scenario: &Scenario, tokens: &Tokens) -> Client<'static> {
        let Scenario { method, host, target, headers, .. } = *scenario;
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), tokens.fill(value))).collect();
        Client { method, host, target, headers, address: ADDRESS }
    }
}

impl<'c> Client<'c> {
    /// The client's headers without those of the connection and without `replaced`.
    fn headers_without(&self, replaced: &[&str]) -> impl Iterator<Item = (&str, &str)> {
        const OF_THE_CONNECTION: [&str; 4] = ["connection", "upgrade", "content-length", "transfer-encoding"];
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).filter(move |(name, _)| {
            !OF_THE_CONNECTION.iter().chain(replaced).any(|other| other.eq_ignore_ascii_case(name))
        })
    }

    /// The client's headers in Envoy's spelling, repeated ones joined.
    fn joined_headers_without(&self, replaced: &[&str]) -> BTreeMap<String, String> {
        let mut joined: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in self.headers_without(replaced) {
            joined
                .entry(name.to_ascii_lowercase())
                .and_modify(|all| {
                    all.push(',');
                    all.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
        joined
    }

    /// A check over HTTP: the proxy's own fields, then the client's.
    fn http(&self, method: &str, uri: &str, own: &[(&str, &str)]) -> Question {
        let replaced: Vec<_> = own.iter().map(|(name, _)| *name).collect();
        let fields = own.iter().copied().chain(self.headers_without(&replaced));
        Question::Http(request(method, uri, fields))
    }

    /// The five attributes that most proxies write.
    fn forwarded(&self) -> [(&'static str, &'c str); 5] {
        [
            ("x-forwarded-method", self.method),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", self.host),
            ("x-forwarded-uri", self.target),
            ("x-forwarded-for", self.address),
        ]
    }
}

fn as_caddy(client: &Client<'_>) -> Question {
    let mut own = vec![("host", client.host), ("via", "1.1 Caddy"), ("accept-encoding", "gzip")];
    own.extend(client.forwarded());
    client.http("GET", "/auth/caddy?p=1", &own)
}

fn as_traefik(client: &Client<'_>) -> Question {
    let mut own = vec![
        ("host", "127.0.0.1:9192"),
        ("x-forwarded-port", "80"),
        ("x-forwarded-server", "edge"),
        ("x-real-ip", client.address),
    ];
    own.extend(client.forwarded());
    client.http("GET", "/auth/traefik", &own)
}

fn as_nginx(client: &Client<'_>) -> Question {
    let mut own = vec![("host", client.host)];
    own.extend(client.forwarded());
    client.http("GET", "/auth/nginx", &own)
}

fn as_ingress_nginx(client: &Client<'_>) -> Question {
    let url = format!("http://{}{}", client.host, client.target);
    let own = [
        ("host", "postern.example.test"),
        ("x-original-url", url.as_str()),
        ("x-original-method", client.method),
        ("x-real-ip", client.address),
        ("x-forwarded-for", client.address),
        ("x-auth-request-redirect", client.target),
        ("x-sent-from", "nginx-ingress-controller"),
    ];
    client.http("GET", "/auth/ingress-nginx", &own)
}

fn as_haproxy(client: &Client<'_>) -> Question {
    let mut own = vec![("host", client.host)];
    own.extend(client.forwarded());
    client.http("GET", "/auth/haproxy", &own)
}

fn as_envoy_http(client: &Client<'_>) -> Question {
    let own = [
        ("host", client.host),
        ("content-length", "0"),
        ("x-forwarded-for", client.address),
        ("x-forwarded-proto", "http"),
        ("x-envoy-internal", "true"),
        ("x-envoy-expected-rq-timeout-ms", "500"),
    ];
    let replaced = own.map(|(name, _)| name);
    let joined = client.joined_headers_without(&replaced);
    let fields = own.into_iter().chain(joined.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    Question::Http(request(client.method, &format!("/auth/envoy{}", client.target), fields))
}

fn as_envoy_joined(client: &Client<'_>) -> Question {
    let mut headers = client.joined_headers_without(&ENVOYS_OWN);
    headers.extend(envoys_own(client));
    as_envoy(client, |http| http.headers = headers.into_iter().collect())
}

fn as_envoy_raw(client: &Client<'_>) -> Question {
    // Raw or not, this one field is always joined.
    const JOINED: &str = "authorization";
    let joined = client.joined_headers_without(&ENVOYS_OWN);
    let joined = joined.into_iter().filter(|(name, _)| name == JOINED);
    let theirs = client
        .headers_without(&[ENVOYS_OWN[0], ENVOYS_OWN[1], JOINED])
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let fields = envoys_own(client).into_iter().chain(joined).chain(theirs);
    let headers = fields.map(|(key, value)| HeaderValue { key, raw_value: value.into_bytes(), ..Default::default() });
    let map = HeaderMap { headers: headers.collect() };
    as_envoy(client, |http| http.header_map = Some(map))
}

const ENVOYS_OWN: [&str; 2] = ["x-forwarded-for", "x-forwarded-proto"];

fn envoys_own(client: &Client<'_>) -> [(String, String); 6] {
    [
        (":authority", client.host),
        (":method", client.method),
        (":path", client.target),
        (":scheme", "http"),
        // With a client's own in front, as a listener has it that is not told to be the first hop.
        ("x-forwarded-for", &format!("198.51.100.7,{}", client.address)),
        ("x-forwarded-proto", "http"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

fn as_envoy(client: &Client<'_>, headers: impl FnOnce(&mut HttpRequest)) -> Question {
    let mut http = HttpRequest {
        id: "1".to_owned(),
        method: client.method.to_owned(),
        path: client.target.to_owned(),
        host: client.host.to_owned(),
        scheme: "http".to_owned(),
        protocol: "HTTP/1.1".to_owned(),
        ..Default::default()
    };
    headers(&mut http);
    let socket = SocketAddress {
        address: client.address.to_owned(),
        port_specifier: Some(PortSpecifier::PortValue(50_000)),
        ..Default::default()
    };
    let source =
        Peer { address: Some(Address { address: Some(AddressKind::SocketAddress(socket)) }), ..Default::default() };
    let attributes = AttributeContext {
        source: Some(source),
        request: Some(Request { http: Some(http), ..Default::default() }),
        ..Default::default()
    };
    Question::Grpc(CheckRequest { attributes: Some(attributes) }.encode_to_vec())
}

fn request<'f>(method: &str, uri: &str, fields: impl Iterator<Item = (&'f str, &'f str)>) -> http::Request<()> {
    let mut request = http::Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(name, value);
    }
    request.body(()).unwrap_or_else(|error| panic!("{method} {uri}: {error}"))
}
