use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as their_core;
use envoy_types::pb::envoy::service::auth::v3 as theirs;
use proptest::prelude::*;
use prost::Message;

use super::proto::envoy::config::core::v3 as our_core;
use super::proto::envoy::service::auth::v3 as ours;
use super::*;
use crate::dialect::fixture::{file, recorded, shown};
use crate::model::decision::DecisionId;
use crate::model::header::HeaderText;
use crate::model::reason::Reason;
use crate::model::response::{Allow, AllowHeaders, Denial, Response, Verdict};

mod compatible;
mod same;

#[test]
fn recorded_checks_are_read() {
    let checks = recorded("ext_authz");
    assert!(checks.len() >= 30, "{} checks", checks.len());
    for check in checks {
        let octets = file(&format!("ext_authz/{}.bin", check.name));
        let request = read(&octets).expect("a message");
        let attributes = decode(&request);
        let mut shown = shown(&attributes);
        if attributes.is_ok_and(|attributes| !attributes.headers.joined()) {
            shown.push_str("separate\n");
        }
        assert_eq!(shown, check.want, "{}", check.name);
    }
}

#[test]
fn octets_that_are_no_text_stay_as_they_are() {
    let octets = file("ext_authz/encode_raw_headers-header_nonutf8.bin");
    let request = read(&octets).expect("a message");
    let attributes = decode(&request).expect("attributes");
    assert_eq!(attributes.headers.all("x-bin").collect::<Vec<_>>(), [b"caf\xe9\xff"]);
}

#[test]
fn pseudo_headers_and_the_chain_are_not_client_headers() {
    for check in recorded("ext_authz") {
        let octets = file(&format!("ext_authz/{}.bin", check.name));
        let request = read(&octets).expect("a message");
        let attributes = decode(&request).expect("attributes");
        for (name, _) in attributes.headers.iter() {
            let consumed = name.starts_with(b":") || name == b"x-forwarded-for";
            assert!(!consumed, "{}: {}", check.name, name.escape_ascii());
        }
    }
}

#[test]
fn what_is_missing_or_contradicts_is_refused() {
    type Change = fn(&mut ours::attribute_context::HttpRequest);
    let cases: [(&str, Change, Reason); 15] = [
        ("no method", |http| http.method.clear(), Reason::AttributeMissing),
        ("no host", |http| http.host.clear(), Reason::AttributeMissing),
        ("no path", |http| http.path.clear(), Reason::AttributeMissing),
        ("a query", |http| http.query = "a=1".into(), Reason::AttributeConflict),
        ("a fragment", |http| http.fragment = "a".into(), Reason::AttributeConflict),
        ("another :path", |http| put(http, ":path", "/public"), Reason::AttributeConflict),
        ("another :method", |http| put(http, ":method", "POST"), Reason::AttributeConflict),
        ("another :authority", |http| put(http, ":authority", "b.test"), Reason::AttributeConflict),
        ("another host", |http| put(http, "host", "b.test"), Reason::AttributeConflict),
        ("another Host", |http| put(http, "Host", "b.test"), Reason::AttributeConflict),
        ("an unknown pseudo header", |http| put(http, ":x", "1"), Reason::AttributeConflict),
        ("another :path in the list", |http| push(http, ":path", b"/public"), Reason::AttributeConflict),
        ("an alias", |http| put(http, "x_forwarded_for", "6.6.6.6"), Reason::ForwardingAlias),
        ("an alias in the list", |http| push(http, "X.Forwarded.For", b"6.6.6.6"), Reason::ForwardingAlias),
        (
            "both lists",
            |http| {
                put(http, "a", "1");
                push(http, "a", b"2");
            },
            Reason::AttributeConflict,
        ),
    ];
    for (name, change, want) in cases {
        let request = request(change);
        assert_eq!(decode(&Check::from(&request)).map(|_| ()).map_err(|refusal| refusal.reason), Err(want), "{name}");
    }
    assert_eq!(decode(&Check::default()).expect_err("refused").reason, Reason::MessageMalformed);
    assert_eq!(read(b"\xff\xff").map(|_| ()).expect_err("refused").reason, Reason::MessageMalformed);
}

#[test]
fn two_spellings_in_a_map_are_refused_whichever_comes_first() {
    for (one, other) in [
        (("x-forwarded-for", "6.6.6.6"), ("X-Forwarded-For", "7.7.7.7")),
        (("x-forwarded-for", "6.6.6.6"), ("X-Forwarded-For", "")),
        (("x-a", "1"), ("X-A", "1")),
        (("Cookie", "a=1"), ("COOKIE", "a=2")),
    ] {
        let request = request(|_| ());
        for entries in [[one, other], [other, one]] {
            let mut check = Check::from(&request);
            check
                .http
                .as_mut()
                .expect("http")
                .headers
                .extend(entries.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
            let reason = decode(&check).map(|_| ()).map_err(|refusal| refusal.reason);
            assert_eq!(reason, Err(Reason::AttributeConflict), "{entries:?}");
        }
    }
    let alone = request(|http| put(http, "X-A", "1"));
    assert!(decode(&Check::from(&alone)).is_ok());
}

#[test]
fn what_agrees_is_taken() {
    let request = request(|http| {
        push(http, ":path", b"/a?b=1");
        push(http, ":authority", b"a.test");
        push(http, "host", b"a.test");
        push(http, "x-forwarded-for", b"6.6.6.6, 7.7.7.7");
        push(http, "x-forwarded-for", b"192.0.2.1");
        push(http, "X-Real-IP", b"6.6.6.6");
        push(http, "cookie", b"a=1");
        push(http, "cookie", b"b=2");
    });
    let attributes = decode(&Check::from(&request)).expect("attributes");
    assert_eq!(attributes.address.forwarded_for, ["6.6.6.6", "7.7.7.7", "192.0.2.1"]);
    assert_eq!(attributes.address.peer, None);
    assert_eq!(attributes.ignored_forwarding, 1);
    let headers: Vec<_> = attributes.headers.iter().collect();
    let want: [(&[u8], &[u8]); 3] = [(b"x-real-ip", b"6.6.6.6"), (b"cookie", b"a=1"), (b"cookie", b"b=2")];
    assert_eq!(headers, want);
}

#[test]
fn a_pipe_has_no_address() {
    let mut request = request(|_| ());
    let address = our_core::address::Address::Pipe(our_core::Pipe { path: "/run/a.sock".into() });
    request.attributes.as_mut().expect("attributes").source = Some(ours::attribute_context::Peer {
        address: Some(our_core::Address { address: Some(address) }),
        ..Default::default()
    });
    assert_eq!(decode(&Check::from(&request)).expect("attributes").address.peer, None);
}

#[test]
fn an_allow_sets_or_removes_each_header_once() {
    let answer = encode(&allow(Reason::Permitted));
    assert_eq!(answer.status.as_ref().map(|status| status.code), Some(0));
    let Some(ours::check_response::HttpResponse::OkResponse(ok)) = answer.http_response else { panic!("not ok") };
    assert_eq!(fields(&ok.headers), [("remote-user", "alice")]);
    assert_eq!(ok.headers_to_remove, ["remote-groups"]);
    assert!(ok.response_headers_to_add.is_empty());
}

#[test]
fn a_denial_carries_status_code_headers_and_body() {
    let (code, denied) = denied(&encode(&deny(401)));
    assert_eq!(code, 16);
    assert_eq!(denied.status.map(|status| status.code), Some(401));
    assert_eq!(denied.body, "no");
    let want = [
        ("www-authenticate", "Basic"),
        ("www-authenticate", "Bearer"),
        ("content-type", "text/plain"),
        ("grpc-status", "16"),
        ("x-postern-decision", "0000000000000000000000000A"),
    ];
    assert_eq!(fields(&denied.headers), want);
}

#[test]
fn grpc_clients_are_told_the_code_that_fits() {
    for (status, want) in
        [(302, 16), (400, 3), (401, 16), (403, 7), (404, 7), (429, 8), (500, 14), (503, 14), (200, 14), (0, 14)]
    {
        let (code, denied) = denied(&encode(&deny(status)));
        let sent = fields(&denied.headers)
            .into_iter()
            .find(|(name, _)| *name == "grpc-status")
            .map(|(_, code)| code.to_owned());
        assert_eq!((code, sent), (want, Some(want.to_string())), "{status}");
    }
}

#[test]
fn only_an_allowing_reason_allows() {
    for reason in Reason::ALL {
        let code = encode(&allow(reason)).status.map(|status| status.code);
        assert_eq!(code == Some(0), reason.allows(), "{reason}");
        denied(&failure(reason));
    }
}

proptest! {
    #[test]
    fn no_message_makes_a_decoder_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(request) = read(&octets) {
            let _ = decode(&request);
        }
    }

    #[test]
    fn no_change_of_a_real_message_makes_a_decoder_panic(place in any::<proptest::sample::Index>(), octet in any::<u8>()) {
        let mut octets = file("ext_authz/spoofed_headers.bin");
        let place = place.index(octets.len());
        octets[place] = octet;
        if let Ok(request) = read(&octets) {
            let _ = decode(&request);
        }
    }

    #[test]
    fn no_denial_is_written_as_an_allow(status in any::<u16>(), body in ".{0,20}") {
        let mut response = deny(status);
        if let Verdict::Deny(denial) = &mut response.verdict {
            denial.body = body;
        }
        denied(&encode(&response));
    }
}

fn request(change: impl FnOnce(&mut ours::attribute_context::HttpRequest)) -> CheckRequest {
    let mut http = ours::attribute_context::HttpRequest {
        method: "GET".into(),
        host: "a.test".into(),
        path: "/a?b=1".into(),
        scheme: "https".into(),
        ..Default::default()
    };
    change(&mut http);
    let request = ours::attribute_context::Request { http: Some(http) };
    CheckRequest { attributes: Some(ours::AttributeContext { request: Some(request), ..Default::default() }) }
}

fn put(http: &mut ours::attribute_context::HttpRequest, name: &str, value: &str) {
    http.headers.insert(name.into(), value.into());
}

fn push(http: &mut ours::attribute_context::HttpRequest, name: &str, value: &[u8]) {
    let field = our_core::HeaderValue { key: name.into(), raw_value: value.into(), ..Default::default() };
    http.header_map.get_or_insert_default().headers.push(field);
}

fn allow(reason: Reason) -> Response {
    Response {
        decision_id: DecisionId(10),
        verdict: Verdict::Allow(Allow {
            reason,
            headers: Arc::new(AllowHeaders::new(
                vec![(http::HeaderName::from_static("remote-user"), text("alice"))],
                ["remote-groups", "remote-user"].map(http::HeaderName::from_static).to_vec(),
            )),
            told: vec![],
        }),
    }
}

fn deny(status: u16) -> Response {
    Response {
        decision_id: DecisionId(10),
        verdict: Verdict::Deny(Denial {
            reason: Reason::RequirementFailed,
            status,
            headers: vec![
                (http::header::WWW_AUTHENTICATE, text("Basic")),
                (http::header::WWW_AUTHENTICATE, text("Bearer")),
            ],
            content_type: "text/plain",
            body: "no".to_owned(),
        }),
    }
}

/// Take a denial apart, as Envoy would after it crossed the wire: anything that could be an allow fails.
fn denied(answer: &CheckResponse) -> (i32, theirs::DeniedHttpResponse) {
    let answer = theirs::CheckResponse::decode(&*answer.encode_to_vec()).expect("a message");
    let code = answer.status.expect("a status").code;
    assert_ne!(code, 0);
    let Some(theirs::check_response::HttpResponse::DeniedResponse(denied)) = answer.http_response else {
        panic!("no denied_response")
    };
    assert!(denied.status.as_ref().is_some_and(|status| status.code >= 300));
    (code, denied)
}

trait Field {
    fn pair(&self) -> (&str, &str);
}

impl Field for our_core::HeaderValueOption {
    fn pair(&self) -> (&str, &str) {
        let header = self.header.as_ref().expect("a header");
        (&header.key, &header.value)
    }
}

#[expect(deprecated, reason = "that `append` is not used is what is shown")]
impl Field for their_core::HeaderValueOption {
    fn pair(&self) -> (&str, &str) {
        let header = self.header.as_ref().expect("a header");
        // Envoy loses an entry with `append` on a denial, and may drop one on an allow.
        assert_eq!((self.append, self.append_action, header.raw_value.len()), (None, 0, 0));
        (&header.key, &header.value)
    }
}

fn fields<F: Field>(options: &[F]) -> Vec<(&str, &str)> {
    options.iter().map(Field::pair).collect()
}

fn text(text: &str) -> HeaderText {
    HeaderText::new(text).expect("header text")
}
