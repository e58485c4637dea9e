//! Whole checks without a socket: a policy, real tokens, and what comes back and is counted.

mod audit;
mod limit;
mod provider;

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::authn::jwt::Algorithm;
use crate::authn::testing::Issuer;
use crate::config::load::Pretend;
use crate::config::load::load;
use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::model::request::Scheme;
use crate::model::request::StatedAddress;
use crate::model::request::StatedCertificate;

const POLICY: &str = "\
version: 1
identity:
  people: {jwt: {issuer: https://sso.test, audience: web, jwks_file: keys.json, token: [bearer, {cookie: session}]}}
  robots: {jwt: {issuer: https://down.test, audience: web}}
networks:
  office: [198.51.100.0/24]
defaults:
  identity: [people]
hosts:
  app.test:
    login: https://sso.test/login?rd={url}
    routes:
      - {name: public, path: /public/**, public: true}
      - {name: robots, path: /robots/**, identity: [robots], require: {authenticated: true}}
      - {name: office, path: /office/**, identity: [people, anonymous], require: {network: [office]}}
      - {name: staff, path: /**, require: {groups: [people/staff]}}
...
";

/// An engine, and the issuers of its policy.
struct Bench {
    engine: Engine,
    people: Issuer,
    robots: Issuer,
}

impl Bench {
    fn new() -> Bench {
        let people = Issuer::new("https://sso.test", Algorithm::Es256);
        let keys = json!({"keys": [people.signer.jwk("k1")]}).to_string();
        let world = Pretend::new().file("p/policy.yaml", POLICY).file("p/keys.json", keys);
        let loaded = load(Path::new("p/policy.yaml"), &world).unwrap_or_else(|refused| panic!("{refused}"));
        let (snapshot, _) = crate::snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}"));
        let telemetry = Arc::new(Telemetry::new().expect("telemetry"));
        let engine = Engine::new(Arc::new(snapshot), telemetry);
        Bench { engine, people, robots: Issuer::new("https://down.test", Algorithm::Es256) }
    }

    /// A token of Alice, valid now but for these changes.
    fn token(&self, changes: Value) -> String {
        token(&self.people, changes)
    }

    async fn ask(&self, path: &str, fields: &[(&str, &str)]) -> Response {
        self.ask_within(path, fields, None).await
    }

    async fn ask_within(&self, path: &str, fields: &[(&str, &str)], deadline: Option<Duration>) -> Response {
        let mut headers = Headers::new(false);
        for (name, value) in fields {
            headers.push(name, value.as_bytes());
        }
        let attributes = Attributes {
            dialect: Dialect::Traefik,
            method: "GET",
            scheme: Some(Scheme::Https),
            host: "app.test",
            target: path,
            address: StatedAddress { peer: Some("198.51.100.7"), forwarded_for: Vec::new() },
            headers,
            certificate: StatedCertificate::default(),
            ignored_forwarding: 0,
        };
        self.engine.authorize(Ok(attributes), deadline).await
    }

    /// The lines of the decision counters.
    fn counted(&self) -> Vec<String> {
        let text = self.engine.telemetry().gather(&[]);
        text.lines().filter(|line| line.starts_with("postern_decisions_total{")).map(str::to_owned).collect()
    }

    /// How many checks have a duration.
    fn measured(&self) -> u64 {
        let text = self.engine.telemetry().gather(&[]);
        let start = "postern_decision_duration_seconds_count{dialect=\"traefik\"} ";
        let count = text.lines().find_map(|line| line.strip_prefix(start)).expect("a histogram");
        count.parse().expect("a number")
    }
}

fn token(issuer: &Issuer, changes: Value) -> String {
    let now = clock::now().as_second();
    let mut claims = json!({"iat": now, "nbf": now, "exp": now + 600, "sub": "alice", "name": null});
    let changed = changes.as_object().expect("changes are an object").clone();
    claims.as_object_mut().expect("an object").extend(changed);
    issuer.token(claims)
}

/// `Authorization: Bearer …`.
fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// The headers set and removed.
fn passed(response: &Response) -> (Vec<(String, String)>, Vec<String>) {
    let Verdict::Allow(allow) = &response.verdict else { panic!("denied: {response:?}") };
    let set = allow.headers.set().map(|(name, value)| (name.to_string(), value.to_owned())).collect();
    (set, allow.headers.remove().iter().map(ToString::to_string).collect())
}

/// The reason, the status, and one header of a denial.
fn denied<'r>(response: &'r Response, header: &str) -> (Reason, u16, Option<&'r str>) {
    let Verdict::Deny(denial) = &response.verdict else { panic!("allowed: {response:?}") };
    let value = denial.headers.iter().find(|(name, _)| name == header).map(|(_, value)| value.as_str());
    (denial.reason, denial.status, value)
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const OWNED: [&str; 4] = ["remote-user", "remote-groups", "remote-email", "remote-name"];

#[tokio::test]
async fn an_allow_sets_what_is_known_and_removes_the_rest() {
    let bench = Bench::new();
    let authorization = bearer(&bench.token(json!({})));
    let (set, remove) = passed(&bench.ask("/wiki", &[("authorization", &authorization)]).await);
    let want = [("remote-user", "alice"), ("remote-groups", "staff,sre"), ("remote-email", "alice@corp.test")];
    assert_eq!(set, pairs(&want));
    assert_eq!(remove, ["remote-name"]);
}

#[tokio::test]
async fn a_public_route_ignores_credentials_and_sends_no_identity() {
    let bench = Bench::new();
    let (good, forged) = (bench.token(json!({})), bench.token(json!({})) + "x");
    let duplicate = [("authorization", "Bearer x"), ("authorization", "Bearer y")];
    for fields in [&[("authorization", &*bearer(&good))][..], &[("authorization", &bearer(&forged))], &duplicate, &[]] {
        let response = bench.ask("/public/logo", fields).await;
        assert_eq!(response.verdict.reason(), Reason::Public, "{fields:?}");
        assert_eq!(passed(&response), (Vec::new(), OWNED.map(str::to_owned).to_vec()), "{fields:?}");
    }
}

#[tokio::test]
async fn an_expired_cookie_redirects_a_browser_and_an_expired_bearer_does_not() {
    let bench = Bench::new();
    let past = clock::now().as_second() - 3600;
    let stale = bench.token(json!({"iat": past - 600, "nbf": past - 600, "exp": past}));
    let (cookie, authorization) = (format!("session={stale}"), bearer(&stale));
    let browser = ("sec-fetch-mode", "navigate");
    let login = Some("https://sso.test/login?rd=https%3A%2F%2Fapp.test%2Fwiki%3Fa%3D1");
    for (fields, want) in [
        (&[("cookie", &*cookie), browser][..], (Reason::TokenExpired, 302, login)),
        (&[("cookie", &cookie)], (Reason::TokenExpired, 401, None)),
        (&[("authorization", &authorization), browser], (Reason::TokenExpired, 401, None)),
        (&[("authorization", &authorization)], (Reason::TokenExpired, 401, None)),
        (&[browser], (Reason::CredentialMissing, 302, login)),
    ] {
        let response = bench.ask("/wiki?a=1", fields).await;
        assert_eq!(denied(&response, "location"), want, "{fields:?}");
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the paused clock is what is measured")]
async fn an_issuer_that_is_down_is_waited_for_a_little() {
    let bench = Bench::new();
    let authorization = bearer(&token(&bench.robots, json!({})));
    // Half the deadline, or a tenth of a second.
    for (deadline, want) in [(None, 100), (Some(1000), 500), (Some(40), 20)] {
        let started = tokio::time::Instant::now();
        let deadline = deadline.map(Duration::from_millis);
        let response = bench.ask_within("/robots/a", &[("authorization", &authorization)], deadline).await;
        assert_eq!(denied(&response, "location"), (Reason::KeysUnavailable, 503, None), "{deadline:?}");
        // The clock of the runtime goes in whole milliseconds.
        let waited = started.elapsed().as_millis();
        assert!((want..=want + 1).contains(&waited), "{deadline:?}: waited {waited} ms");
    }
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the paused clock is what is measured")]
async fn an_unknown_key_is_worth_one_fetch() {
    let now = clock::now();
    for (fetched, want) in [
        (None, (Reason::KeysUnavailable, 503)),
        (Some("another"), (Reason::TokenKeyUnknown, 401)),
        (Some("k1"), (Reason::Permitted, 200)),
    ] {
        let bench = Bench::new();
        let authorization = bearer(&token(&bench.robots, json!({})));
        let fields = [("authorization", &*authorization)];
        let snapshot = bench.engine.snapshot();
        let keys = snapshot.keys.iter().find(|keys| keys.is_remote()).expect("the robots' keys");
        keys.enter(Ok(bench.robots.signer.set("old")), now - jiff::SignedDuration::from_mins(1));
        let started = tokio::time::Instant::now();
        let (response, ()) = tokio::join!(bench.ask("/robots/a", &fields), async {
            tokio::task::yield_now().await;
            keys.enter(fetched.map(|kid| bench.robots.signer.set(kid)).ok_or("refused".to_owned()), now);
        });
        let reason = response.verdict.reason();
        assert_eq!((reason, status(&response.verdict)), want, "{fetched:?}");
        assert_eq!(started.elapsed(), Duration::ZERO, "{fetched:?}: no longer than the fetch takes");
        assert_eq!(bench.counted().len(), 1, "waiting is no decision: {:?}", bench.counted());
        if !reason.allows() {
            let again = bench.ask("/robots/a", &fields).await;
            assert_eq!(again.verdict.reason(), Reason::TokenKeyUnknown, "{fetched:?}: not so soon again");
        }
    }
}

#[tokio::test]
async fn decision_ids_are_unique() {
    let bench = Bench::new();
    let refusal = Refusal { dialect: Dialect::Traefik, reason: Reason::Overloaded, detail: String::new() };
    let mut seen = HashSet::new();
    for _ in 0..200 {
        for response in [bench.ask("/public/a", &[]).await, bench.ask("/%zz", &[]).await, bench.engine.refuse(&refusal)]
        {
            assert!(seen.insert(response.decision_id), "{}", response.decision_id);
        }
    }
    let other = Bench::new().ask("/public/a", &[]).await;
    assert!(seen.insert(other.decision_id), "another process: {}", other.decision_id);
}

#[tokio::test]
async fn every_verdict_is_recorded_once() {
    let bench = Bench::new();
    let authorization = bearer(&bench.token(json!({})));
    let stranger = bearer(&bench.token(json!({"groups": ["guests"]})));
    for fields in [&[("authorization", &*authorization)][..], &[("authorization", &stranger)], &[]] {
        bench.ask("/wiki", fields).await;
    }
    bench.ask("/public/a", &[]).await;
    bench.ask("/%zz", &[]).await;
    bench.ask("/wiki", &[("remote-user", "root")]).await;
    assert_eq!(bench.measured(), 6, "an unreadable target takes time too");
    let undecodable = Refusal {
        dialect: Dialect::Traefik,
        reason: Reason::AttributeMissing,
        detail: "no X-Forwarded-Host".to_owned(),
    };
    bench.engine.authorize(Err(undecodable.clone()), None).await;
    bench.engine.refuse(&Refusal { reason: Reason::Overloaded, ..undecodable.clone() });
    // Nothing allows by being refused.
    let confused = bench.engine.refuse(&Refusal { reason: Reason::Permitted, ..undecodable });
    assert_eq!(denied(&confused, "location"), (Reason::Internal, 503, None));
    assert_eq!(bench.measured(), 6, "what was never begun has no duration");
    let line = |effect: &str, reason: &str, route: &str| {
        format!(r#"postern_decisions_total{{dialect="traefik",effect="{effect}",reason="{reason}",route="{route}"}} 1"#)
    };
    assert_eq!(
        bench.counted(),
        [
            line("allow", "permitted", "app.test staff"),
            line("allow", "public", "app.test public"),
            line("deny", "attribute_missing", ""),
            line("deny", "bad_target", ""),
            line("deny", "credential_missing", "app.test staff"),
            line("deny", "internal", ""),
            line("deny", "overloaded", ""),
            line("deny", "requirement_failed", "app.test staff"),
            line("deny", "spoofed_header", ""),
        ]
    );
}

#[tokio::test]
async fn anonymous_as_the_last_source_admits_who_shows_nothing() {
    let bench = Bench::new();
    let nobody = bench.ask("/office/a", &[]).await;
    assert_eq!(passed(&nobody), (Vec::new(), OWNED.map(str::to_owned).to_vec()));
    let authorization = bearer(&bench.token(json!({})));
    let (set, _) = passed(&bench.ask("/office/a", &[("authorization", &authorization)]).await);
    assert_eq!(set.first(), Some(&("remote-user".to_owned(), "alice".to_owned())), "who says it, is known");
    let forged = authorization + "x";
    let response = bench.ask("/office/a", &[("authorization", &forged)]).await;
    assert_eq!(denied(&response, "location").1, 401, "a bad credential is no missing one");
}
