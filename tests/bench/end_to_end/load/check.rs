//! A question as Envoy puts it: the whole `CheckRequest`.

use std::collections::HashMap;

use crate::fixture::Question;
use crate::load::BROWSER;
use crate::load::PLACEHOLDER;
use crate::message::Address;
use crate::message::Attributes;
use crate::message::CheckRequest;
use crate::message::Empty;
use crate::message::HttpRequest;
use crate::message::Peer;
use crate::message::Request;
use crate::message::SocketAddress;
use crate::message::Timestamp;

/// 21 headers, and all that a listener with TLS and a plain configuration tells.
pub(super) fn message(question: &Question) -> CheckRequest {
    let Question { host, path, token, address, .. } = question;
    let mut headers: HashMap<String, String> =
        BROWSER.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    let authorization = format!("Bearer {token}");
    headers.extend(
        [
            (":authority", host.as_str()),
            (":method", "GET"),
            (":path", path),
            (":scheme", "https"),
            ("authorization", &authorization),
            ("x-forwarded-for", address),
            ("x-forwarded-proto", "https"),
            ("x-request-id", PLACEHOLDER),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    let peer = |address: &str, port| {
        Some(Peer {
            address: Some(Address { socket_address: Some(SocketAddress { address: address.to_owned(), port }) }),
        })
    };
    CheckRequest {
        attributes: Some(Attributes {
            source: peer(address, 40_112),
            destination: peer("10.255.0.4", 8443),
            request: Some(Request {
                time: Some(Timestamp { seconds: 1_795_000_000, nanos: 481_516_234 }),
                http: Some(HttpRequest {
                    id: PLACEHOLDER.to_owned(),
                    method: "GET".to_owned(),
                    headers,
                    path: path.clone(),
                    host: host.clone(),
                    scheme: "https".to_owned(),
                    size: -1,
                    protocol: "HTTP/2".to_owned(),
                }),
            }),
            context_extensions: HashMap::new(),
            metadata_context: Some(Empty {}),
            route_metadata_context: Some(Empty {}),
        }),
    }
}
