//! Whole walks: a policy as it is written, requests as they come, tokens of two issuers.

use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;
use crate::config::load::Pretend;
use crate::config::load::load;
use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::model::request::Attributes;
use crate::model::request::StatedAddress;
use crate::model::request::StatedCertificate;
use crate::policy::trace::Silent;
use crate::snapshot;
use crate::telemetry::clock;

const SECRET: &str = "a secret that is long enough for HS256";
const NOW: i64 = 1_800_000_000;

/// Two issuers, `people` and `machines`, and one host with these routes.
fn snapshot(routes: &str) -> Snapshot {
    let source = |name: &str| {
        format!(
            "{name}: {{jwt: {{issuer: https://{name}.test, audience: app, algorithms: [HS256], secret: {{file: s}}}}}}"
        )
    };
    let text = format!(
        "version: 1\nidentity: {{{}, {}}}\nhosts: {{h.test: {{identity: [people], routes: [{routes}]}}}}\n...\n",
        source("people"),
        source("machines")
    );
    let world = Pretend::new().file("p/s", SECRET).file("p/policy.yaml", text);
    let loaded = load(Path::new("p/policy.yaml"), &world)
        .unwrap_or_else(|refused| panic!("{}", refused.report(Default::default()).text(false)));
    snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems:?}")).0
}

/// The authorization header of a caller this source vouches for.
fn bearer(source: &str) -> String {
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({"iss": format!("https://{source}.test"), "aud": "app", "sub": "x", "exp": NOW + 60});
    let signed = format!("{}.{}", part(json!({"alg": "HS256"})), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), signed.as_bytes());
    format!("Bearer {signed}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn reason(snapshot: &Snapshot, target: &str, fields: &[(&str, &str)]) -> Reason {
    let mut headers = Headers::new(false);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    let request = Request::parse(Attributes {
        dialect: Dialect::ExtAuthz,
        method: "GET",
        scheme: None,
        host: "h.test",
        target,
        address: StatedAddress::default(),
        headers,
        certificate: StatedCertificate::default(),
        ignored_forwarding: 0,
    })
    .expect(target);
    let now = Timestamp::from_second(NOW).expect("a time");
    let given = Given { decision_id: DecisionId(1), now, answers: Answers::none(), assumed: None };
    match walk(snapshot, &request, &given, &mut Purse::looking(clock::instant()), &mut Silent) {
        Walk::Done(walked) => walked.decision.reason,
        Walk::Needs(need) => panic!("{need:?}"),
        Walk::Takes(order) => panic!("{order:?}"),
        Walk::Unknown => panic!("nothing is remembered"),
    }
}

#[test]
fn every_reading_is_judged_by_its_own_routes_sources() {
    let snapshot = snapshot(
        "{path: /robots/**, identity: [machines], require: {authenticated: true}}, \
         {path: /both/**, identity: [machines, people], require: {authenticated: true}}, \
         {path: /**, require: {authenticated: true}}",
    );
    let (person, machine) = (bearer("people"), bearer("machines"));
    for (target, caller, want) in [
        ("/wiki", &person, Reason::Permitted),
        ("/wiki", &machine, Reason::TokenUnclaimed),
        ("/robots/x", &person, Reason::TokenUnclaimed),
        ("/robots/x", &machine, Reason::Permitted),
        // A server that ignores case takes these for `/robots/x` and `/both/x`.
        ("/Robots/x", &person, Reason::AmbiguousPath),
        ("/robots/../wiki", &person, Reason::AmbiguousPath),
        ("/Both/x", &person, Reason::Permitted),
        ("/Both/x", &machine, Reason::TokenUnclaimed),
    ] {
        assert_eq!(reason(&snapshot, target, &[("authorization", caller)]), want, "{target}");
    }
}
