use super::*;
use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::model::problem::Place;
use crate::model::request::Attributes;
use crate::model::request::StatedAddress;
use crate::model::request::StatedCertificate;
use crate::policy::table::RouteTable;

const BROWSER: (&str, &str) = ("accept", "text/html,*/*;q=0.8");

fn request<'w>(host: &'w str, target: &'w str, headers: &[(&'w str, &'w str)]) -> Request<'w> {
    let mut list = Headers::new(false);
    for (name, value) in headers {
        list.push(name, value.as_bytes());
    }
    Request::parse(Attributes {
        dialect: Dialect::Caddy,
        method: "GET",
        scheme: None,
        host,
        target,
        address: StatedAddress::default(),
        headers: list,
        certificate: StatedCertificate::default(),
        ignored_forwarding: 0,
    })
    .expect("a request")
}

fn block(login: Option<Login>) -> HostBlock {
    HostBlock {
        key: "h.test".into(),
        place: Place::whole("p"),
        login,
        case_sensitive: false,
        preflight: false,
        routes: RouteTable::default(),
    }
}

fn login(redirect: bool) -> Option<Login> {
    Some(Login::parse("https://sso.test/login?rd={url}", Scheme::Https, redirect).expect("a login URL"))
}

fn denial(reason: Reason, request: &Request<'_>, login: Option<Login>, login_helps: bool) -> Denial {
    let block = block(login);
    let decision_id = DecisionId(7);
    let challenge = Challenge::default();
    Refused { reason, decision_id, request: Some(request), block: Some(&block), login_helps, challenge }.denial()
}

fn header<'d>(denial: &'d Denial, name: &HeaderName) -> Option<&'d str> {
    denial.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
}

#[test]
fn browsers_without_a_session_are_sent_to_the_login_page() {
    let request = request("H.test:8443", "/a?b=c&d=%20", &[BROWSER]);
    let denial = denial(Reason::CredentialMissing, &request, login(true), true);
    assert_eq!(denial.status, 302);
    let location = header(&denial, &header::LOCATION);
    assert_eq!(location, Some("https://sso.test/login?rd=https%3A%2F%2Fh.test%3A8443%2Fa%3Fb%3Dc%26d%3D%2520"));
    assert_eq!(header(&denial, &header::CACHE_CONTROL), Some("no-store"));
}

#[test]
fn nothing_else_is_redirected() {
    let browser = request("h.test", "/", &[BROWSER]);
    let program = request("h.test", "/", &[]);
    for (request, reason, login, helps, status) in [
        (&program, Reason::CredentialMissing, login(true), true, 401),
        (&browser, Reason::CredentialMissing, None, true, 401),
        (&browser, Reason::CredentialMissing, login(false), true, 401),
        (&browser, Reason::TokenSignature, login(true), false, 401),
        (&browser, Reason::RequirementFailed, login(true), true, 403),
        (&browser, Reason::KeysUnavailable, login(true), true, 503),
    ] {
        let denial = denial(reason, request, login, helps);
        assert_eq!(denial.status, status, "{reason}");
        assert_eq!(header(&denial, &header::LOCATION), None, "{reason}");
        assert_eq!(header(&denial, &header::WWW_AUTHENTICATE).is_some(), status == 401, "{reason}");
        assert_eq!(denial.content_type == HTML, std::ptr::eq(request, &browser), "{reason}");
    }
}

#[test]
fn a_401_asks_for_what_the_route_takes() {
    let request = request("h.test", "/", &[]);
    let asked = |bearer, basic, reason| {
        let challenge = Challenge { bearer, basic };
        let refused = Refused {
            reason,
            decision_id: DecisionId(7),
            request: Some(&request),
            block: None,
            login_helps: false,
            challenge,
        };
        header(&refused.denial(), &header::WWW_AUTHENTICATE).map(str::to_owned)
    };
    let (missing, wrong) = (Reason::CredentialMissing, Reason::PasswordInvalid);
    for (bearer, basic, reason, want) in [
        (true, false, missing, Some("Bearer realm=\"postern\"")),
        (true, false, wrong, Some("Bearer realm=\"postern\", error=\"invalid_token\"")),
        (false, true, missing, Some("Basic realm=\"postern\", charset=\"UTF-8\"")),
        (false, true, wrong, Some("Basic realm=\"postern\", charset=\"UTF-8\"")),
        (true, true, missing, Some("Bearer realm=\"postern\", Basic realm=\"postern\", charset=\"UTF-8\"")),
        (
            true,
            true,
            wrong,
            Some("Bearer realm=\"postern\", error=\"invalid_token\", Basic realm=\"postern\", charset=\"UTF-8\""),
        ),
        (true, true, Reason::Overloaded, None),
    ] {
        assert_eq!(asked(bearer, basic, reason).as_deref(), want, "{bearer} {basic} {reason}");
    }
}

#[test]
fn who_may_come_again_is_told_when() {
    let request = request("h.test", "/", &[]);
    for (reason, want) in [
        (Reason::TooManyFailures, Some("60")),
        (Reason::UpstreamUnavailable, Some("1")),
        (Reason::Overloaded, Some("1")),
        (Reason::PasswordInvalid, None),
    ] {
        assert_eq!(header(&denial(reason, &request, None, false), &header::RETRY_AFTER), want, "{reason}");
    }
}

#[test]
fn f10_bodies_hold_a_code_and_an_id_and_a_login_link() {
    let program = request("h.test", "/", &[]);
    let body = denial(Reason::TokenExpired, &program, None, false).body;
    assert_eq!(
        body,
        r#"{"decision":"00000000000000000000000007","reason":"token_expired","status":401,"title":"Unauthorized","type":"about:blank"}"#
    );
    let browser = request("h.test", "/", &[BROWSER]);
    let page = denial(Reason::TokenSignature, &browser, login(true), false).body;
    assert!(page.contains("<a href=\"https://sso.test/login?rd=https%3A%2F%2Fh.test%2F\">Log in</a>"), "{page}");
    assert!(page.contains("token_signature"), "{page}");
}

#[test]
fn login_urls_are_absolute_and_take_one_value_in_the_query() {
    for (text, good) in [
        ("https://sso.test/login?rd={url}", true),
        ("https://sso.test/login?rd={url}&x=y", true),
        ("https://sso.test/login", true),
        ("/login?rd={url}", false),
        ("//sso.test/", false),
        ("https:///x", false),
        ("javascript:alert(1)", false),
        ("https://sso.test/{url}", false),
        ("https://{url}/", false),
        ("https://sso.test/?a={url}&b={url}", false),
        ("https://sso.test/?a={uri}", false),
        ("https://sso.test/ x", false),
        ("https://sso.test/\"x", false),
    ] {
        assert_eq!(Login::parse(text, Scheme::Https, true).is_ok(), good, "{text}");
    }
}
