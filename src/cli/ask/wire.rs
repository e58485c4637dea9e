//! A check as each proxy would send it: the reverse of what the `dialect` room reads.

use std::collections::BTreeMap;

use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;
use prost::Message;

use crate::cli::request::ClientRequest;
use crate::dialect::ext_authz::CheckRequest;
use crate::dialect::ext_authz::proto::envoy::config::core::v3::Address;
use crate::dialect::ext_authz::proto::envoy::config::core::v3::HeaderMap;
use crate::dialect::ext_authz::proto::envoy::config::core::v3::HeaderValue;
use crate::dialect::ext_authz::proto::envoy::config::core::v3::SocketAddress;
use crate::dialect::ext_authz::proto::envoy::config::core::v3::address;
use crate::dialect::ext_authz::proto::envoy::service::auth::v3::AttributeContext;
use crate::dialect::ext_authz::proto::envoy::service::auth::v3::attribute_context;
use crate::model::dialect::Dialect;

/// The HTTP request of a check: path, headers, body.
#[derive(Debug)]
pub struct Check {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Write the check.
pub fn check(dialect: Dialect, asked: &ClientRequest) -> Check {
    let forwarded = || {
        [
            ("x-forwarded-method", &asked.method),
            ("x-forwarded-proto", &asked.scheme),
            ("x-forwarded-host", &asked.host),
            ("x-forwarded-uri", &asked.target),
            ("x-forwarded-for", &asked.from),
        ]
        .map(|(name, value)| (name.to_owned(), value.clone()))
        .to_vec()
    };
    let get = |path: &str, own: Vec<(String, String)>| Check {
        method: "GET".to_owned(),
        target: path.to_owned(),
        headers: own.into_iter().chain(asked.headers.clone()).collect(),
        body: Bytes::new(),
    };
    match dialect {
        Dialect::ExtAuthz => grpc(asked),
        // Caddy keeps the client's `Host`, and we hold it against the header.
        Dialect::Caddy => {
            let host = ("host".to_owned(), asked.host.clone());
            get("/auth/caddy", forwarded().into_iter().chain([host]).collect())
        }
        Dialect::Traefik => get("/auth/traefik", forwarded()),
        Dialect::Nginx => get("/auth/nginx", forwarded()),
        Dialect::Haproxy => get("/auth/haproxy", forwarded()),
        Dialect::IngressNginx => {
            let url = format!("{}://{}{}", asked.scheme, asked.host, asked.target);
            let own = [("x-original-url", &url), ("x-original-method", &asked.method), ("x-real-ip", &asked.from)]
                .map(|(name, value)| (name.to_owned(), value.clone()));
            get("/auth/ingress-nginx", own.to_vec())
        }
        Dialect::EnvoyHttp => {
            let own = [("host", &asked.host), ("x-forwarded-proto", &asked.scheme), ("x-forwarded-for", &asked.from)]
                .map(|(name, value)| (name.to_owned(), value.clone()));
            Check {
                method: asked.method.clone(),
                target: format!("/auth/envoy{}", asked.target),
                ..get("", own.to_vec())
            }
        }
    }
}

/// How Envoy hands on the client's header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fields {
    /// As a map, repeated fields joined with a comma: its default.
    Joined,
    /// One by one, with `encode_raw_headers`.
    Raw,
}

/// The check that Envoy sends over gRPC.
pub fn check_request(asked: &ClientRequest, fields: Fields) -> CheckRequest {
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    let mut raw = Vec::new();
    for (name, value) in &asked.headers {
        let name = name.to_ascii_lowercase();
        if fields == Fields::Raw {
            raw.push(HeaderValue { key: name, value: value.clone(), ..HeaderValue::default() });
            continue;
        }
        headers
            .entry(name)
            .and_modify(|joined| {
                joined.push(',');
                joined.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    let source =
        address::Address::SocketAddress(SocketAddress { address: asked.from.clone(), ..SocketAddress::default() });
    let http = attribute_context::HttpRequest {
        method: asked.method.clone(),
        scheme: asked.scheme.clone(),
        host: asked.host.clone(),
        path: asked.target.clone(),
        headers,
        header_map: (fields == Fields::Raw).then_some(HeaderMap { headers: raw }),
        ..attribute_context::HttpRequest::default()
    };
    CheckRequest {
        attributes: Some(AttributeContext {
            source: Some(attribute_context::Peer {
                address: Some(Address { address: Some(source) }),
                certificate: asked.certificate.clone().unwrap_or_default(),
                ..attribute_context::Peer::default()
            }),
            request: Some(attribute_context::Request { http: Some(http) }),
            ..AttributeContext::default()
        }),
    }
}

fn grpc(asked: &ClientRequest) -> Check {
    let message = check_request(asked, Fields::Joined);
    let message = message.encode_to_vec();
    // One gRPC frame: not compressed, length, message.
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    Check {
        method: "POST".to_owned(),
        target: "/envoy.service.auth.v3.Authorization/Check".to_owned(),
        headers: [("content-type", "application/grpc"), ("te", "trailers")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        body: frame.freeze(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::forward_auth;

    #[test]
    fn each_dialect_reads_what_is_asked() {
        let asked = ClientRequest {
            method: "GET".into(),
            scheme: "https".into(),
            host: "app.example.test".into(),
            target: "/a?b=1".into(),
            from: "192.0.2.7".into(),
            headers: vec![("cookie".into(), "a=1".into())],
            certificate: None,
        };
        for dialect in Dialect::ALL.into_iter().filter(|dialect| *dialect != Dialect::ExtAuthz) {
            let check = check(dialect, &asked);
            let mut request = http::Request::builder().method(&*check.method).uri(&check.target);
            for (name, value) in &check.headers {
                request = request.header(name, value);
            }
            // Whoever says no host asks the listener's own.
            if check.headers.iter().all(|(name, _)| name != "host") {
                request = request.header("host", "127.0.0.1:9192");
            }
            let (parts, ()) = request.body(()).expect("a request").into_parts();
            let read = forward_auth::decode(dialect, &parts).unwrap_or_else(|refusal| panic!("{dialect}: {refusal:?}"));
            assert_eq!((read.method, read.host, read.target), ("GET", "app.example.test", "/a?b=1"), "{dialect}");
            assert_eq!(read.address.peer, Some("192.0.2.7"), "{dialect}");
        }
    }
}
