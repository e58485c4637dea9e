use std::sync::Arc;

use http::{Request, header};
use proptest::prelude::*;

use super::*;
use crate::dialect::fixture::{recorded, shown};
use crate::model::decision::DecisionId;
use crate::model::header::HeaderText;
use crate::model::response::AllowHeaders;

const HTTP: [Dialect; 6] =
    [Dialect::EnvoyHttp, Dialect::Caddy, Dialect::Traefik, Dialect::Nginx, Dialect::IngressNginx, Dialect::Haproxy];

#[test]
fn recorded_checks_are_read() {
    for dialect in HTTP {
        let checks = recorded(dialect.name());
        assert!(checks.len() >= 15, "{dialect}: {} checks", checks.len());
        for check in checks {
            let parts = check.parts();
            assert_eq!(of_path(parts.uri.path()), Some(dialect), "{dialect} {}", check.name);
            assert_eq!(shown(&decode(dialect, &parts)), check.want, "{dialect} {}", check.name);
        }
    }
}

#[test]
fn attributes_are_not_client_headers() {
    for dialect in HTTP {
        for check in recorded(dialect.name()) {
            let parts = check.parts();
            let Ok(attributes) = decode(dialect, &parts) else { continue };
            for (name, _) in attributes.headers.iter() {
                let consumed = match dialect {
                    Dialect::IngressNginx => ["host", "x-original-url", "x-original-method", "x-real-ip"],
                    Dialect::EnvoyHttp => ["host", "x-forwarded-for", "x-forwarded-proto", "content-length"],
                    _ => ["host", "x-forwarded-for", "x-forwarded-uri", "x-forwarded-host"],
                };
                let consumed = consumed.iter().any(|consumed| consumed.as_bytes() == name);
                assert!(!consumed, "{dialect} {}: {}", check.name, name.escape_ascii());
            }
        }
    }
}

#[test]
fn every_path_has_one_dialect() {
    for (path, want) in [
        ("/auth/caddy", Some(Dialect::Caddy)),
        ("/auth/traefik", Some(Dialect::Traefik)),
        ("/auth/nginx", Some(Dialect::Nginx)),
        ("/auth/ingress-nginx", Some(Dialect::IngressNginx)),
        ("/auth/haproxy", Some(Dialect::Haproxy)),
        ("/auth/envoy/", Some(Dialect::EnvoyHttp)),
        ("/auth/envoy//x", Some(Dialect::EnvoyHttp)),
        ("/auth/envoy/../caddy", Some(Dialect::EnvoyHttp)),
        ("/auth/envoy", None),
        ("/auth/envoyx/", None),
        ("/auth/caddy/", None),
        ("/auth/Caddy", None),
        ("/auth", None),
        ("/", None),
        ("", None),
    ] {
        assert_eq!(of_path(path), want, "{path}");
    }
}

#[test]
fn i2_copies_aliases_and_contradictions_of_attributes_are_refused() {
    for (dialect, more, want) in [
        (Dialect::Caddy, vec![("x-forwarded-uri", "/b")], Reason::ForwardingAlias),
        (Dialect::Caddy, vec![("x-forwarded-proto", "https")], Reason::ForwardingAlias),
        (Dialect::Traefik, vec![("x_forwarded_uri", "/b")], Reason::ForwardingAlias),
        (Dialect::Nginx, vec![("x.forwarded.host", "b.test")], Reason::ForwardingAlias),
        (Dialect::Haproxy, vec![("x_forwarded_for", "6.6.6.6")], Reason::ForwardingAlias),
        (Dialect::Nginx, vec![("x-forwarded_method", "GET")], Reason::ForwardingAlias),
        (Dialect::Caddy, vec![("host", "b.test")], Reason::AttributeConflict),
        (Dialect::EnvoyHttp, vec![("host", "b.test"), ("host", "a.test")], Reason::AttributeConflict),
        (Dialect::EnvoyHttp, vec![("host", "a.test"), ("x_forwarded_for", "6.6.6.6")], Reason::ForwardingAlias),
        (Dialect::ExtAuthz, vec![], Reason::MessageMalformed),
    ] {
        let parts = check(&more);
        let refusal = decode(dialect, &parts).expect_err("refused");
        assert_eq!((refusal.dialect, refusal.reason), (dialect, want), "{more:?}");
    }
}

#[test]
fn d8_a_check_has_one_host_of_its_own() {
    for dialect in HTTP {
        let mut parts = check(&[]);
        parts.headers.remove("host");
        let refusal = decode(dialect, &parts).expect_err("no host");
        assert_eq!(refusal.reason, Reason::AttributeMissing, "{dialect}");
        parts.headers.append("host", HeaderValue::from_static("a.test"));
        parts.headers.append("host", HeaderValue::from_static("a.test"));
        let refusal = decode(dialect, &parts).expect_err("two hosts");
        assert_eq!(refusal.reason, Reason::AttributeConflict, "{dialect}");
    }
}

#[test]
fn the_check_method_may_be_get_or_the_clients() {
    for (method, good) in [("GET", true), ("PUT", true), ("POST", false), ("HEAD", false)] {
        let mut parts = check(&[]);
        parts.headers.insert("x-forwarded-method", HeaderValue::from_static("PUT"));
        parts.method = method.parse().expect("method");
        assert_eq!(decode(Dialect::Traefik, &parts).is_ok(), good, "{method}");
    }
}

#[test]
fn an_unknown_scheme_or_address_is_not_an_error() {
    let mut parts = check(&[("x-forwarded-for", "")]);
    parts.headers.insert("x-forwarded-proto", HeaderValue::from_static("gopher"));
    let attributes = decode(Dialect::Nginx, &parts).expect("attributes");
    assert_eq!((attributes.scheme, attributes.address.peer), (None, None));
}

#[test]
fn several_forwarding_lines_are_one_list() {
    let parts = check(&[("x-forwarded-for", "6.6.6.6, 7.7.7.7"), ("x-forwarded-for", "127.0.0.9")]);
    let attributes = decode(Dialect::Nginx, &parts).expect("attributes");
    assert_eq!(attributes.address.forwarded_for, ["6.6.6.6", "7.7.7.7", "127.0.0.9"]);
    assert_eq!(attributes.address.peer, Some("127.0.0.9"));
}

#[test]
fn forwarding_headers_that_are_not_read_stay_readable() {
    let parts = check(&[("x-real-ip", "192.0.2.7"), ("x-original-url", "/y")]);
    let attributes = decode(Dialect::Caddy, &parts).expect("attributes");
    assert_eq!(attributes.ignored_forwarding, 2);
    assert_eq!(attributes.headers.all("x-real-ip").collect::<Vec<_>>(), [b"192.0.2.7"]);
}

#[test]
fn an_allow_is_200_with_nothing_but_headers() {
    for dialect in HTTP {
        let answer = encode(dialect, &Method::GET, &allow(Reason::Permitted));
        let mut want = vec![
            ("content-length", "0"),
            ("remote-user", "alice"),
            ("x-postern-decision", "0000000000000000000000000A"),
        ];
        if dialect == Dialect::EnvoyHttp {
            want.push(("x-envoy-auth-headers-to-remove", "remote-groups, x-api-key"));
        }
        want.sort_unstable();
        assert_eq!(seen(&answer), (200, want, ""), "{dialect}");
    }
}

#[test]
fn only_an_allowing_reason_allows() {
    for dialect in Dialect::ALL {
        for reason in Reason::ALL {
            let answer = encode(dialect, &Method::GET, &allow(reason));
            let over_http = dialect != Dialect::ExtAuthz;
            assert_eq!(answer.status() == 200, reason.allows() && over_http, "{dialect} {reason}");
            assert!(!failure(dialect, &Method::GET, reason).status().is_success(), "{dialect} {reason}");
            if answer.status() != 200 {
                assert!(!answer.headers().contains_key("remote-user"), "{dialect} {reason}");
            }
        }
    }
}

#[test]
fn each_proxy_is_told_what_it_understands() {
    use Dialect::{Caddy, EnvoyHttp, Haproxy, IngressNginx, Nginx, Traefik};
    for (dialects, meant, status, told) in [
        (&[Caddy, Traefik, Haproxy, EnvoyHttp][..], 302, 302, None),
        (&[Caddy, Traefik, Haproxy, EnvoyHttp], 429, 429, None),
        (&[Caddy, Traefik, Haproxy, EnvoyHttp], 400, 400, None),
        (&[Caddy, Traefik, Haproxy], 503, 503, None),
        (&[EnvoyHttp], 503, 403, Some("503")),
        (&[EnvoyHttp], 200, 403, Some("503")),
        (&[Nginx, IngressNginx], 302, 401, None),
        (&[Nginx, IngressNginx], 401, 401, None),
        (&[Nginx, IngressNginx], 403, 403, None),
        (&[Nginx, IngressNginx], 400, 403, Some("400")),
        (&[Nginx, IngressNginx], 404, 403, Some("404")),
        (&[Nginx, IngressNginx], 429, 403, Some("429")),
        (&[Nginx, IngressNginx], 503, 503, None),
        (&[Caddy, Nginx, IngressNginx], 204, 503, None),
        (&[Caddy, Nginx, IngressNginx], 0, 503, None),
        (&[Caddy, Nginx, IngressNginx], 101, 503, None),
    ] {
        for dialect in dialects {
            let answer = encode(*dialect, &Method::GET, &deny(meant));
            let sent = answer.headers().get("x-auth-status").map(|value| value.to_str().expect("text"));
            assert_eq!((answer.status().as_u16(), sent), (status, told), "{dialect} {meant}");
        }
    }
}

#[test]
fn nginx_gets_the_login_page_in_a_header() {
    for dialect in [Dialect::Nginx, Dialect::IngressNginx] {
        let answer = encode(dialect, &Method::GET, &deny(302));
        assert_eq!(answer.headers().get("x-login-url").map(HeaderValue::as_bytes), Some(&b"https://sso.test/"[..]));
        assert!(!answer.headers().contains_key(header::LOCATION));
    }
}

#[test]
fn a_login_page_too_long_for_nginx_is_left_out() {
    let mut response = deny(302);
    if let Verdict::Deny(denial) = &mut response.verdict {
        denial.headers = vec![(header::LOCATION, text(&"a".repeat(4000)))];
    }
    let answer = encode(Dialect::Nginx, &Method::GET, &response);
    let want = vec![("content-length", "2"), ("content-type", "text/plain"), ("x-postern-decision", ID)];
    assert_eq!(seen(&answer), (401, want, "no"));
}

#[test]
fn a_denial_is_relayed_with_its_headers_and_body() {
    let answer = encode(Dialect::Caddy, &Method::GET, &deny(401));
    let want = vec![
        ("content-length", "2"),
        ("content-type", "text/plain"),
        ("location", "https://sso.test/"),
        ("www-authenticate", "Basic"),
        ("www-authenticate", "Bearer"),
        ("x-postern-decision", ID),
    ];
    assert_eq!(seen(&answer), (401, want, "no"));
}

#[test]
fn an_answer_to_head_has_no_body() {
    let answer = encode(Dialect::EnvoyHttp, &Method::HEAD, &deny(403));
    assert_eq!((answer.status().as_u16(), answer.body().len()), (403, 0));
    assert_eq!(answer.headers().get(CONTENT_LENGTH), Some(&HeaderValue::from_static("0")));
}

proptest! {
    #[test]
    fn no_headers_make_a_decoder_panic(
        fields in proptest::collection::vec((name(), proptest::collection::vec(any::<u8>(), 0..40)), 0..14),
        method in "[A-Z]{1,6}",
        target in "(/auth/envoy)?/[!-~]{0,20}",
    ) {
        let mut request = Request::new(());
        *request.method_mut() = method.parse().expect("method");
        if let Ok(uri) = target.parse() {
            *request.uri_mut() = uri;
        }
        for (name, value) in &fields {
            if let (Ok(name), Ok(value)) = (http::HeaderName::try_from(name.as_str()), HeaderValue::from_bytes(value)) {
                request.headers_mut().append(name, value);
            }
        }
        let parts = request.into_parts().0;
        for dialect in Dialect::ALL {
            if let Ok(attributes) = decode(dialect, &parts) {
                prop_assert!(!attributes.host.is_empty() && !attributes.method.is_empty());
                prop_assert!(attributes.target.starts_with('/') || dialect != Dialect::EnvoyHttp);
                prop_assert!(attributes.headers.iter().all(|(name, _)| name != b"host"));
            }
        }
    }
}

/// Names that matter, in several spellings, and any other.
fn name() -> impl Strategy<Value = String> {
    let known = [
        "x-forwarded-method",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-uri",
        "x-forwarded-for",
        "x-original-url",
        "x-original-method",
        "x-real-ip",
        "host",
        "forwarded",
        "authorization",
        "x_forwarded_uri",
    ];
    prop_oneof![8 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => "[a-z_.-]{1,12}"]
}

const ID: &str = "0000000000000000000000000A";

fn check(more: &[(&'static str, &'static str)]) -> Parts {
    let mut request = Request::builder()
        .uri("/auth/envoy/a")
        .header("x-forwarded-method", "GET")
        .header("x-forwarded-host", "a.test")
        .header("x-forwarded-uri", "/a")
        .header("x-forwarded-proto", "http");
    if !more.iter().any(|(name, _)| *name == "host") {
        request = request.header("host", "a.test");
    }
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    request.body(()).expect("request").into_parts().0
}

fn text(text: &str) -> HeaderText {
    HeaderText::new(text).expect("header text")
}

fn allow(reason: Reason) -> Response {
    Response {
        decision_id: DecisionId(10),
        verdict: Verdict::Allow(Allow {
            reason,
            headers: Arc::new(AllowHeaders::new(
                vec![(http::HeaderName::from_static("remote-user"), text("alice"))],
                ["remote-groups", "remote-user", "x-api-key"].map(http::HeaderName::from_static).to_vec(),
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
                (header::LOCATION, text("https://sso.test/")),
                (header::WWW_AUTHENTICATE, text("Basic")),
                (header::WWW_AUTHENTICATE, text("Bearer")),
                (header::CONTENT_LENGTH, text("7")),
                (answer::DECISION, text("another")),
            ],
            content_type: "text/plain",
            body: "no".to_owned(),
        }),
    }
}

type Seen<'a> = (u16, Vec<(&'a str, &'a str)>, &'a str);

fn seen(answer: &http::Response<Bytes>) -> Seen<'_> {
    let mut headers: Vec<_> =
        answer.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    headers.sort_unstable();
    (answer.status().as_u16(), headers, std::str::from_utf8(answer.body()).expect("text"))
}
