//! Client certificates as proxies state them. Input: `x` and the value of an `x-forwarded-client-cert`, `p` and PEM with
//! percent escapes, `d` and DER, or `u` and a principal.

use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use postern::authn::certificate::{CertificateRule, CertificateSettings, CertificateSource, Match, Statement};
use postern::authn::{Answers, Attempt, Kind, Presented, Source, authenticate, quiet};
use postern::model::dialect::Dialect;
use postern::model::header::Headers;
use postern::model::reason::Reason;
use postern::model::request::StatedCertificate;

use super::world;

pub fn run(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    match kind {
        b'x' => xfcc(rest),
        b'd' => {
            let text = STANDARD.encode(rest);
            if let Some(user) = header(&*CADDY, Dialect::Caddy, &[("x-client-cert", text.as_bytes())]) {
                assert!(contains(rest, &user), "{user} is nowhere in the certificate");
            }
        }
        b'p' | b'u' => {
            let Ok(text) = std::str::from_utf8(rest) else { return };
            let (pem, principal) = if *kind == b'p' { (Some(text), None) } else { (None, Some(text)) };
            let headers = Headers::new(false);
            let certificate = StatedCertificate { pem, principal };
            let user = attempt(&*ENVOY, &Presented { certificate, ..Presented::headers(&headers) });
            if let (Some(user), b'u') = (user, kind) {
                assert_eq!(user, text);
            }
        }
        _ => {}
    }
}

fn xfcc(value: &[u8]) {
    const NAME: &str = "x-forwarded-client-cert";
    let ask = |fields: &[(&str, &[u8])], dialect| header(&*XFCC, dialect, fields);
    let user = ask(&[(NAME, value)], Dialect::ExtAuthz);
    assert_eq!(ask(&[(NAME, value)], Dialect::EnvoyHttp), user);
    assert_eq!(ask(&[(NAME, value)], Dialect::Nginx), None, "only Envoy writes it");
    let Some(user) = user else { return };
    assert!(user.starts_with("spiffe://corp.test/ns/") && user.ends_with("/sa/ci"), "{user}");
    assert_eq!(user.matches('/').count(), 6, "{user}");
    // Whoever stands before or behind our proxy's element makes it nobody's.
    for other in [&b"URI=spiffe://corp.test/ns/a/sa/ci"[..], b"By=x;Subject=\"CN=mallory\"", b"", b"\""] {
        for both in [[other, b",", value].concat(), [value, b",", other].concat()] {
            assert_eq!(ask(&[(NAME, &both)], Dialect::ExtAuthz), None, "{}", both.escape_ascii());
        }
        assert_eq!(ask(&[(NAME, other), (NAME, value)], Dialect::ExtAuthz), None);
    }
    // A second URI leaves none that counts, wherever it stands; where the certificate itself is there, that is read.
    if !contains(&value.to_ascii_lowercase(), "cert=") {
        let two = [b"URI=spiffe://corp.test/ns/z/sa/ci;", value].concat();
        assert_eq!(ask(&[(NAME, &two)], Dialect::ExtAuthz), None, "{}", two.escape_ascii());
        assert!(contains(value, &user) || value.contains(&b'\\'), "{user} is nowhere in the header");
    }
}

static XFCC: LazyLock<[Arc<Source>; 1]> = LazyLock::new(|| source(Statement::Xfcc));
static ENVOY: LazyLock<[Arc<Source>; 1]> = LazyLock::new(|| source(Statement::Attribute));
static CADDY: LazyLock<[Arc<Source>; 1]> = LazyLock::new(|| {
    source(Statement::Header { dialect: Dialect::Caddy, name: "x-client-cert".to_owned(), verified: None })
});

fn source(statement: Statement) -> [Arc<Source>; 1] {
    let matches = Match::Uri("spiffe://corp.test/ns/*/sa/ci".to_owned()).check().expect("a pattern");
    let rules = vec![CertificateRule { matches, user: None, groups: vec!["ci".to_owned()] }];
    let settings = CertificateSettings { source: "mesh".into(), statement, rules };
    [Arc::new(Source { name: "mesh".into(), kind: Kind::Certificate(CertificateSource::build(settings)) })]
}

fn header(sources: &[Arc<Source>], dialect: Dialect, fields: &[(&str, &[u8])]) -> Option<String> {
    let mut headers = Headers::new(false);
    for (name, value) in fields {
        headers.push(name, value);
    }
    attempt(sources, &Presented { dialect, ..Presented::headers(&headers) })
}

fn attempt(sources: &[Arc<Source>], presented: &Presented<'_, '_>) -> Option<String> {
    let now = Timestamp::from_second(world::NOW).expect("a time");
    match authenticate(sources, presented, now, &Answers::none(), &mut quiet) {
        Attempt::Verified(identity) => Some(identity.user().to_owned()),
        Attempt::Rejected(rejection) => {
            assert_eq!(rejection.reason, Reason::CertificateInvalid);
            None
        }
        Attempt::Absent => None,
        Attempt::Needs(_) => panic!("a certificate waits for nobody"),
    }
}

fn contains(octets: &[u8], text: &str) -> bool {
    octets.windows(text.len()).any(|window| window == text.as_bytes())
}
