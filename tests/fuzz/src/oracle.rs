//! What every answer must be like, and who at most may be let in, found without the product's own evaluator.

use http::{HeaderMap, Method};
use postern::dialect::ext_authz::proto::envoy::service::auth::v3::check_response::HttpResponse;
use postern::dialect::ext_authz::{self, CheckResponse};
use postern::dialect::forward_auth;
use postern::model::dialect::Dialect;
use postern::model::response::{Response, Verdict};
use prost::Message;

use super::backend;
use super::world::{PEOPLE, Person};

const IDENTITY: [&str; 4] = ["remote-user", "remote-groups", "remote-email", "remote-name"];
const OF_A_DENIAL: [&str; 10] = [
    "cache-control",
    "content-length",
    "content-type",
    "grpc-status",
    "location",
    "retry-after",
    "www-authenticate",
    "x-auth-status",
    "x-login-url",
    "x-postern-decision",
];

/// An answer as it leaves, in the terms the dialects share.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub allowed: bool,
    /// The identity headers, sorted.
    pub identity: Vec<(String, String)>,
}

/// Encode for gRPC and look at the octets a proxy would get.
pub fn over_grpc(response: &Response) -> Answer {
    let octets = ext_authz::encode(response).encode_to_vec();
    let answer = CheckResponse::decode(octets.as_slice()).expect("our own message");
    let code = answer.status.as_ref().map_or(0, |status| status.code);
    match answer.http_response.expect("an answer of one of the two kinds") {
        HttpResponse::OkResponse(ok) => {
            assert_eq!(code, 0, "an allow with the status of a denial");
            let mut set: Vec<(String, String)> = Vec::new();
            for option in ok.headers {
                let header = option.header.expect("a header");
                assert!(header.raw_value.is_empty());
                set.push((header.key, header.value));
            }
            whole(&set, &ok.headers_to_remove);
            assert!(ok.response_headers_to_add.is_empty());
            allowed(response, set)
        }
        HttpResponse::DeniedResponse(denied) => {
            assert_ne!(code, 0, "a denial with the status of an allow");
            let status = denied.status.map_or(0, |status| status.code);
            assert!(matches!(status, 302 | 400..=599), "{status}");
            let names = denied.headers.into_iter().filter_map(|option| option.header).map(|h| (h.key, h.value));
            refused(response, names.collect())
        }
        #[expect(unreachable_patterns, reason = "a third kind would be a finding")]
        other => panic!("{other:?}"),
    }
}

/// Encode for an HTTP dialect and look at the head a proxy would get.
pub fn over_http(dialect: Dialect, method: &Method, response: &Response) -> Answer {
    let answer = forward_auth::encode(dialect, method, response);
    let status = answer.status().as_u16();
    let mut headers: Vec<(String, String)> = fields(answer.headers());
    if status == 200 {
        headers.retain(|(name, _)| name != "content-length" && name != "x-postern-decision");
        let listed: Vec<String> = match headers.iter().position(|(name, _)| name == "x-envoy-auth-headers-to-remove") {
            Some(at) => headers.remove(at).1.split(", ").map(str::to_owned).collect(),
            // Their own lists delete what is not here.
            None => Vec::new(),
        };
        if dialect == Dialect::EnvoyHttp {
            whole(&headers, &listed);
        } else {
            assert!(listed.is_empty());
        }
        return allowed(response, headers);
    }
    match dialect {
        Dialect::EnvoyHttp => assert!(matches!(status, 302 | 400..=499), "{status}"),
        Dialect::Nginx | Dialect::IngressNginx => assert!(matches!(status, 401 | 403 | 503), "{status}"),
        _ => assert!(matches!(status, 302 | 400..=499 | 503), "{status}"),
    }
    if method == Method::HEAD {
        assert!(answer.body().is_empty());
    }
    refused(response, headers)
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &http::HeaderValue| String::from_utf8(value.as_bytes().to_vec()).expect("ASCII");
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect()
}

/// Every owned header is set or removed, never both.
fn whole(set: &[(String, String)], removed: &[String]) {
    for owned in IDENTITY {
        let is_set = set.iter().any(|(name, _)| name == owned);
        let is_removed = removed.iter().any(|name| name == owned);
        assert!(is_set != is_removed, "{owned}: set {is_set}, removed {is_removed}");
    }
}

fn allowed(response: &Response, mut set: Vec<(String, String)>) -> Answer {
    let Verdict::Allow(allow) = &response.verdict else { panic!("a denial became an allow: {response:?}") };
    assert!(allow.reason.allows());
    for (name, value) in &set {
        assert!(IDENTITY.contains(&name.as_str()), "{name}");
        printable(name, value);
    }
    if !set.is_empty() {
        assert!(set.iter().any(|(name, _)| name == "remote-user"), "an identity without a user: {set:?}");
    }
    set.sort();
    Answer { allowed: true, identity: set }
}

fn refused(response: &Response, headers: Vec<(String, String)>) -> Answer {
    assert!(matches!(response.verdict, Verdict::Deny(_)), "an allow became a denial: {response:?}");
    let mut store = false;
    for (name, value) in &headers {
        assert!(OF_A_DENIAL.contains(&name.as_str()), "{name} on a denial");
        printable(name, value);
        store |= name == "cache-control" && value == "no-store";
    }
    assert!(store, "a denial that may be stored");
    Answer { allowed: false, identity: Vec::new() }
}

/// Only octets 0x20–0x7E leave.
fn printable(name: &str, value: &str) {
    assert!(!name.is_empty() && name.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-'), "{name:?}");
    assert!(value.bytes().all(|octet| matches!(octet, 0x20..=0x7E)), "{name}: {value:?}");
}

/// Whoever is let in carries nothing, or the name of somebody whose token the message holds; and at `wiki.test` every
/// kind of server would serve them a page they may see.
pub fn judge(answer: &Answer, host: &str, target: &str, message: &[u8]) {
    if !answer.allowed {
        return;
    }
    let user = answer.identity.iter().find(|(name, _)| name == "remote-user").map(|(_, user)| user.as_str());
    let person = user.map(|user| {
        PEOPLE.iter().find(|person| person.user == user).unwrap_or_else(|| panic!("nobody is called {user}"))
    });
    if let Some(person) = person {
        assert!(holds(message, person.token.as_bytes()), "{} without the token", person.name);
    }
    let Some(port) = wiki(host) else { return };
    assert!(target.bytes().all(|octet| matches!(octet, 0x21..=0x7E) && octet != b'#'), "{target:?}");
    for view in backend::views(target) {
        let top = view.segments.first().map(Vec::as_slice).unwrap_or_default();
        let (seen, needs) = match (port.as_deref(), top) {
            (Some("8443"), _) => (person.is_some(), Some("admins")),
            (_, b"public") => (true, None),
            (_, b"staff") => (true, Some("staff")),
            (_, b"admin") => (true, Some("admins")),
            _ => (false, None),
        };
        assert!(seen, "{target} passes, and a server ({}) would serve {:?}", view.server, view.segments);
        if let Some(group) = needs {
            let member = person.is_some_and(|person: &Person| person.groups.contains(&group));
            assert!(member, "{target} passes for {user:?}, and a server ({}) would serve {top:?}", view.server);
        }
    }
}

/// Is this `wiki.test`, in any spelling? Then its port, if written.
fn wiki(host: &str) -> Option<Option<String>> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port.to_owned())),
        None => (host, None),
    };
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case("wiki.test").then_some(port)
}

fn holds(message: &[u8], part: &[u8]) -> bool {
    message.windows(part.len()).any(|window| window == part)
}
