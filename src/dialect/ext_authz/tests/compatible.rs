//! Our subset against the complete interface: what either side writes, the other reads, field by field.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::r#type::v3::HttpStatus as TheirStatus;
use envoy_types::pb::google::rpc::Status as TheirRpcStatus;
use prost::{Message, Name};

use super::super::proto::envoy::r#type::v3::HttpStatus;
use super::super::proto::google::rpc::Status;
use super::{our_core, ours, their_core, theirs};

#[test]
fn a_complete_question_is_read_field_by_field() {
    let complete = theirs::CheckRequest { attributes: Some(their_attributes()) };
    let request = ours::CheckRequest::decode(&*complete.encode_to_vec()).expect("a message");
    assert_eq!(request, ours::CheckRequest { attributes: Some(our_attributes()) });
}

#[test]
fn our_question_is_read_by_the_complete_types() {
    let request = ours::CheckRequest { attributes: Some(our_attributes()) };
    let complete = theirs::CheckRequest::decode(&*request.encode_to_vec()).expect("a message");
    assert_eq!(complete, theirs::CheckRequest { attributes: Some(without_the_rest(their_attributes())) });
}

#[test]
fn a_pipe_is_read_both_ways() {
    let our = our_core::Address {
        address: Some(our_core::address::Address::Pipe(our_core::Pipe { path: "/run/a.sock".into() })),
    };
    let their = their_core::Address {
        address: Some(their_core::address::Address::Pipe(their_core::Pipe { path: "/run/a.sock".into(), mode: 0 })),
    };
    assert_eq!(their_core::Address::decode(&*our.encode_to_vec()), Ok(their.clone()));
    assert_eq!(our_core::Address::decode(&*their.encode_to_vec()), Ok(our));
}

#[test]
fn an_allow_is_read_both_ways() {
    let our = ours::CheckResponse {
        status: Some(Status { code: 0, message: "m".into() }),
        http_response: Some(ours::check_response::HttpResponse::OkResponse(ours::OkHttpResponse {
            headers: vec![our_option("remote-user", "alice")],
            headers_to_remove: vec!["remote-groups".into(), "remote-name".into()],
            response_headers_to_add: vec![our_option("set-cookie", "a=1")],
        })),
    };
    let their = theirs::CheckResponse {
        status: Some(TheirRpcStatus { code: 0, message: "m".into(), details: vec![] }),
        http_response: Some(theirs::check_response::HttpResponse::OkResponse(theirs::OkHttpResponse {
            headers: vec![their_option("remote-user", "alice")],
            headers_to_remove: vec!["remote-groups".into(), "remote-name".into()],
            response_headers_to_add: vec![their_option("set-cookie", "a=1")],
            ..Default::default()
        })),
        dynamic_metadata: None,
    };
    assert_eq!(theirs::CheckResponse::decode(&*our.encode_to_vec()), Ok(their.clone()));
    assert_eq!(ours::CheckResponse::decode(&*their.encode_to_vec()), Ok(our));
}

#[test]
fn a_denial_is_read_both_ways() {
    let our = ours::CheckResponse {
        status: Some(Status { code: 16, message: "m".into() }),
        http_response: Some(ours::check_response::HttpResponse::DeniedResponse(ours::DeniedHttpResponse {
            status: Some(HttpStatus { code: 401 }),
            headers: vec![our_option("www-authenticate", "Bearer")],
            body: "no".into(),
        })),
    };
    let their = theirs::CheckResponse {
        status: Some(TheirRpcStatus { code: 16, message: "m".into(), details: vec![] }),
        http_response: Some(theirs::check_response::HttpResponse::DeniedResponse(theirs::DeniedHttpResponse {
            status: Some(TheirStatus { code: 401 }),
            headers: vec![their_option("www-authenticate", "Bearer")],
            body: "no".into(),
        })),
        dynamic_metadata: None,
    };
    assert_eq!(theirs::CheckResponse::decode(&*our.encode_to_vec()), Ok(their.clone()));
    assert_eq!(ours::CheckResponse::decode(&*their.encode_to_vec()), Ok(our));
}

#[test]
fn the_service_has_the_published_name() {
    assert_eq!(super::authorization_server::SERVICE_NAME, "envoy.service.auth.v3.Authorization");
    assert_eq!(theirs::CheckRequest::full_name(), "envoy.service.auth.v3.CheckRequest");
}

fn our_attributes() -> ours::AttributeContext {
    use ours::attribute_context::{HttpRequest, Peer, Request};
    ours::AttributeContext {
        source: Some(Peer {
            address: Some(our_core::Address {
                address: Some(our_core::address::Address::SocketAddress(our_core::SocketAddress {
                    address: "192.0.2.1".into(),
                    port_value: 4711,
                })),
            }),
            principal: "spiffe://a.test/b".into(),
            certificate: "PEM".into(),
        }),
        request: Some(Request {
            http: Some(HttpRequest {
                method: "GET".into(),
                headers: BTreeMap::from([("a".into(), "1".into()), ("b".into(), "2".into())]),
                path: "/p?q".into(),
                host: "a.test".into(),
                scheme: "https".into(),
                query: "q".into(),
                fragment: "f".into(),
                protocol: "HTTP/2".into(),
                header_map: Some(our_core::HeaderMap {
                    headers: vec![our_core::HeaderValue {
                        key: "k".into(),
                        value: "v".into(),
                        raw_value: vec![0xff, 0x00],
                    }],
                }),
            }),
        }),
        context_extensions: BTreeMap::from([("policy".into(), "strict".into())]),
    }
}

/// The same, with every other field filled as well.
fn their_attributes() -> theirs::AttributeContext {
    use theirs::attribute_context::{HttpRequest, Peer, Request, TlsSession};
    let rest = Peer { service: "s".into(), labels: [("l".into(), "1".into())].into(), ..Default::default() };
    theirs::AttributeContext {
        source: Some(Peer {
            address: Some(their_core::Address {
                address: Some(their_core::address::Address::SocketAddress(their_core::SocketAddress {
                    address: "192.0.2.1".into(),
                    protocol: 1,
                    resolver_name: "r".into(),
                    ipv4_compat: true,
                    port_specifier: Some(their_core::socket_address::PortSpecifier::PortValue(4711)),
                    ..Default::default()
                })),
            }),
            principal: "spiffe://a.test/b".into(),
            certificate: "PEM".into(),
            ..rest.clone()
        }),
        destination: Some(rest),
        request: Some(Request {
            time: Some(Default::default()),
            http: Some(HttpRequest {
                id: "1".into(),
                method: "GET".into(),
                headers: [("a".into(), "1".into()), ("b".into(), "2".into())].into(),
                header_map: Some(their_core::HeaderMap {
                    headers: vec![their_core::HeaderValue {
                        key: "k".into(),
                        value: "v".into(),
                        raw_value: vec![0xff, 0x00],
                    }],
                }),
                path: "/p?q".into(),
                host: "a.test".into(),
                scheme: "https".into(),
                query: "q".into(),
                fragment: "f".into(),
                size: 7,
                protocol: "HTTP/2".into(),
                body: "b".into(),
                raw_body: vec![1],
            }),
        }),
        context_extensions: [("policy".into(), "strict".into())].into(),
        metadata_context: Some(Default::default()),
        route_metadata_context: Some(Default::default()),
        tls_session: Some(TlsSession { sni: "a.test".into() }),
    }
}

/// What is left of a complete message after it went through our types.
fn without_the_rest(complete: theirs::AttributeContext) -> theirs::AttributeContext {
    use theirs::attribute_context::{HttpRequest, Peer, Request};
    let source = complete.source.expect("a source");
    let http = complete.request.and_then(|request| request.http).expect("a request");
    let mut address = source.address;
    if let Some(their_core::Address { address: Some(their_core::address::Address::SocketAddress(socket)) }) =
        &mut address
    {
        (socket.protocol, socket.ipv4_compat) = (0, false);
        socket.resolver_name.clear();
    }
    theirs::AttributeContext {
        source: Some(Peer {
            address,
            principal: source.principal,
            certificate: source.certificate,
            ..Default::default()
        }),
        request: Some(Request {
            time: None,
            http: Some(HttpRequest { id: String::new(), size: 0, body: String::new(), raw_body: vec![], ..http }),
        }),
        context_extensions: complete.context_extensions,
        ..Default::default()
    }
}

fn our_option(key: &str, value: &str) -> our_core::HeaderValueOption {
    our_core::HeaderValueOption {
        header: Some(our_core::HeaderValue { key: key.into(), value: value.into(), raw_value: vec![] }),
    }
}

fn their_option(key: &str, value: &str) -> their_core::HeaderValueOption {
    their_core::HeaderValueOption {
        header: Some(their_core::HeaderValue { key: key.into(), value: value.into(), raw_value: vec![] }),
        ..Default::default()
    }
}
