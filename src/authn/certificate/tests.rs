//! Certificates through `authenticate`: who states them, and who believes whom.

use super::*;
use crate::authn::Answers;
use crate::authn::Attempt;
use crate::authn::Kind;
use crate::authn::Source;
use crate::authn::authenticate;
use crate::authn::certificate::testing::Leaf;
use crate::authn::quiet;
use crate::authn::testing::now;
use crate::model::header::Headers;
use crate::model::request::StatedCertificate;

fn source(statement: Statement) -> [Arc<Source>; 1] {
    let rule = |matches: Match, user: Option<&str>, groups: &[&str]| CertificateRule {
        matches: matches.check().expect("a match"),
        user: user.map(str::to_owned),
        groups: groups.iter().map(|&group| group.to_owned()).collect(),
    };
    let settings = CertificateSettings {
        source: "mesh".into(),
        statement,
        rules: vec![
            rule(Match::Uri("spiffe://corp.test/ns/dev/sa/alice".into()), Some("alice"), &["staff"]),
            rule(Match::Uri("spiffe://corp.test/ns/*/sa/ci".into()), None, &["ci"]),
            rule(Match::Dns("*.db.corp.test".into()), None, &["db"]),
        ],
    };
    let kind = Kind::Certificate(CertificateSource::build(settings));
    [Arc::new(Source { name: "mesh".into(), kind })]
}

/// Who it is, or why nobody.
fn ask(statement: &Statement, dialect: Dialect, certificate: StatedCertificate<'_>, fields: &[(&str, &str)]) -> String {
    let mut headers = Headers::new(false);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    let presented = Presented { headers: &headers, certificate, dialect, ..Presented::headers(&headers) };
    match authenticate(&source(statement.clone()), &presented, now(), &Answers::none(), &mut quiet) {
        Attempt::Verified(identity) => format!("{} {}", identity.user(), identity.groups().join(",")),
        Attempt::Absent => "absent".to_owned(),
        Attempt::Rejected(rejection) => rejection.reason.code().to_owned(),
        Attempt::Needs(need) => format!("{need:?}"),
    }
}

const NONE: StatedCertificate<'_> = StatedCertificate { pem: None, principal: None };

#[test]
fn envoys_attributes_name_the_holder() {
    let (alice, db) = (Leaf::alice().escaped(), Leaf::new("x", &[], &["a.db.corp.test"], &[]).escaped());
    let (two, nul) = (
        Leaf::new("x", &["spiffe://corp.test/ns/a/sa/ci", "spiffe://corp.test/ns/b/sa/ci"], &[], &[]).escaped(),
        Leaf::with_uri("spiffe://corp.test/ns/a/sa/ci\0").escaped(),
    );
    for (pem, principal, want) in [
        (Some(&*alice), None, "alice staff"),
        (Some(&alice), Some("spiffe://corp.test/ns/a/sa/ci"), "alice staff"),
        (Some(&db), None, "a.db.corp.test db"),
        (Some(&two), None, "absent"),
        (Some(&nul), None, "certificate_invalid"),
        (Some("MA=="), Some("spiffe://corp.test/ns/a/sa/ci"), "certificate_invalid"),
        (None, Some("spiffe://corp.test/ns/a/sa/ci"), "spiffe://corp.test/ns/a/sa/ci ci"),
        (None, Some("spiffe://evil.test/ns/a/sa/ci"), "absent"),
        // A DNS name or a subject, nobody can say which.
        (None, Some("a.db.corp.test"), "absent"),
        (None, None, "absent"),
    ] {
        let stated = StatedCertificate { pem, principal };
        assert_eq!(ask(&Statement::Attribute, Dialect::ExtAuthz, stated, &[]), want, "{principal:?}");
    }
}

#[test]
fn i8_what_a_header_says_counts_only_where_it_was_told_to() {
    let alice = Leaf::alice();
    let (escaped, base64) = (alice.escaped(), alice.base64());
    let uri = "URI=spiffe://corp.test/ns/a/sa/ci";
    let twice = format!("{uri},{uri}");
    let nginx = Statement::Header {
        dialect: Dialect::Nginx,
        name: "x-client-cert".into(),
        verified: Some(("x-client-verify".into(), "SUCCESS".into())),
    };
    let caddy = Statement::Header { dialect: Dialect::Caddy, name: "x-client-cert".into(), verified: None };
    let (cert, verify) = ("x-client-cert", "x-client-verify");
    for (statement, dialect, fields, want) in [
        (&Statement::Xfcc, Dialect::ExtAuthz, vec![(XFCC, uri)], "spiffe://corp.test/ns/a/sa/ci ci"),
        (&Statement::Xfcc, Dialect::EnvoyHttp, vec![(XFCC, uri)], "spiffe://corp.test/ns/a/sa/ci ci"),
        (&Statement::Xfcc, Dialect::Caddy, vec![(XFCC, uri)], "absent"),
        (&Statement::Xfcc, Dialect::ExtAuthz, vec![(XFCC, &twice)], "certificate_invalid"),
        (&Statement::Xfcc, Dialect::ExtAuthz, vec![(XFCC, uri), (XFCC, uri)], "certificate_invalid"),
        (&Statement::Attribute, Dialect::ExtAuthz, vec![(XFCC, uri)], "absent"),
        (&nginx, Dialect::Nginx, vec![(cert, &escaped), (verify, "SUCCESS")], "alice staff"),
        (&nginx, Dialect::Nginx, vec![(cert, &escaped), (verify, "NONE")], "absent"),
        (&nginx, Dialect::Nginx, vec![(cert, &escaped), (verify, "FAILED:expired")], "absent"),
        (&nginx, Dialect::Nginx, vec![(cert, &escaped)], "absent"),
        (&nginx, Dialect::Nginx, vec![(cert, &escaped), (verify, "SUCCESS"), (verify, "SUCCESS")], "absent"),
        (&nginx, Dialect::ExtAuthz, vec![(cert, &escaped), (verify, "SUCCESS")], "absent"),
        (&nginx, Dialect::Caddy, vec![(cert, &escaped), (verify, "SUCCESS")], "absent"),
        (&caddy, Dialect::Caddy, vec![(cert, &base64)], "alice staff"),
        (&caddy, Dialect::Caddy, vec![(cert, "")], "absent"),
        (&caddy, Dialect::Caddy, vec![(cert, "<nil>")], "certificate_invalid"),
        (&caddy, Dialect::Caddy, vec![(cert, &base64), (cert, &base64)], "certificate_invalid"),
    ] {
        assert_eq!(ask(statement, dialect, NONE, &fields), want, "{statement} {dialect} {fields:?}");
    }
}

#[test]
fn a_certificate_past_its_time_is_refused() {
    let alice = Leaf::alice().escaped();
    let mut headers = Headers::new(false);
    headers.push("x-a", b"1");
    let certificate = StatedCertificate { pem: Some(&alice), principal: None };
    let presented = Presented { headers: &headers, certificate, ..Presented::headers(&headers) };
    let late = Timestamp::from_second(253_402_207_199).expect("a time");
    match authenticate(&source(Statement::Attribute), &presented, late, &Answers::none(), &mut quiet) {
        Attempt::Rejected(rejection) => assert_eq!(rejection.reason, Reason::CertificateInvalid),
        other => panic!("{other:?}"),
    }
}
