//! Whole checks whose credential only a provider can judge.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::authn::testing::provider::Mood;
use crate::authn::testing::provider::Provider;
use crate::authn::testing::provider::says;

/// An engine that asks this provider about opaque tokens.
fn engine(provider: &Provider, stop: &CancellationToken) -> Bench {
    let policy = format!(
        "\
version: 1
identity:
  legacy: {{introspection: {{url: '{}/introspect', insecure_url: true, client: {{id: postern, secret: {{env: SECRET}}}}}}}}
hosts:
  app.test: {{routes: [{{path: /**, require: {{users: [alice]}}}}]}}
...
",
        provider.url
    );
    let world = Pretend::new().file("p/policy.yaml", policy).variable("SECRET", "hunter2");
    let loaded = load(Path::new("p/policy.yaml"), &world).unwrap_or_else(|refused| panic!("{refused}"));
    let (snapshot, _) = crate::snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}"));
    snapshot.ask_providers(clock::now, stop).expect("a client");
    let issuer = || Issuer::new("https://sso.test", Algorithm::EdDsa);
    let telemetry = Arc::new(Telemetry::new().expect("telemetry"));
    Bench { engine: Engine::new(Arc::new(snapshot), telemetry), people: issuer(), robots: issuer() }
}

async fn ask(bench: &Bench, token: &str, deadline: Option<Duration>) -> (Reason, u16) {
    let response = bench.ask_within("/x", &[("authorization", &bearer(token))], deadline).await;
    match &response.verdict {
        Verdict::Allow(allow) => (allow.reason, 200),
        Verdict::Deny(denial) => (denial.reason, denial.status),
    }
}

#[tokio::test]
async fn f1_a_provider_that_fails_is_a_denial_and_the_next_check_goes_on() {
    let (provider, stop) = (Provider::start().await, CancellationToken::new());
    let bench = engine(&provider, &stop);
    let long = Some(Duration::from_secs(20));
    let alice = json!({"active": true, "sub": "alice", "token_type": "Bearer"});
    for (answer, want) in [
        (says(200, &alice.to_string()), (Reason::Permitted, 200)),
        (says(200, &alice.to_string().replace("alice", "bob")), (Reason::RequirementFailed, 403)),
        (says(200, r#"{"active":false}"#), (Reason::TokenInactive, 401)),
        (says(200, &alice.to_string().replace("true", "\"true\"")), (Reason::UpstreamUnavailable, 503)),
        (says(500, &alice.to_string()), (Reason::UpstreamUnavailable, 503)),
        (says(401, &alice.to_string()), (Reason::UpstreamUnavailable, 503)),
        (b"nonsense".to_vec(), (Reason::UpstreamUnavailable, 503)),
        (says(200, &alice.to_string()), (Reason::Permitted, 200)),
    ] {
        let token = format!("t{}", provider.asked());
        let text = String::from_utf8_lossy(&answer).into_owned();
        provider.is(Mood::Says(answer));
        assert_eq!(ask(&bench, &token, long).await, want, "{text}");
    }
    stop.cancel();
}

#[tokio::test(start_paused = true)]
#[expect(clippy::disallowed_methods, reason = "the paused clock is what is measured")]
async fn d6_no_check_waits_for_a_provider_longer_than_half_of_its_deadline() {
    let (provider, stop) = (Provider::start().await, CancellationToken::new());
    let bench = engine(&provider, &stop);
    provider.is(Mood::Silent);
    for (number, (deadline, want)) in [(None, 100), (Some(1000), 500), (Some(40), 20)].into_iter().enumerate() {
        let started = tokio::time::Instant::now();
        let answer = ask(&bench, &format!("t{number}"), deadline.map(Duration::from_millis)).await;
        assert_eq!(answer, (Reason::UpstreamUnavailable, 503), "{deadline:?}");
        let waited = started.elapsed().as_millis();
        assert!((want..=want + 1).contains(&waited), "{deadline:?}: waited {waited} ms");
    }
    stop.cancel();
}
