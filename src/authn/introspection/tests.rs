//! Whole attempts with opaque tokens, against a small provider on loopback that can be hostile.

use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::sync::oneshot;

use super::*;
use crate::authn::Answers;
use crate::authn::Attempt;
use crate::authn::Kind;
use crate::authn::Presented;
use crate::authn::Source;
use crate::authn::authenticate;
use crate::authn::jwt::Algorithm;
use crate::authn::jwt::ClaimMapping;
use crate::authn::testing::Issuer;
use crate::authn::testing::NOW;
use crate::authn::testing::at;
use crate::authn::testing::provider::Mood;
use crate::authn::testing::provider::Provider;
use crate::authn::testing::provider::says;
use crate::model::header::Headers;
use crate::outbound::Client;
use crate::outbound::Settings;

const ISSUER: &str = "https://sso.test";
const TOKEN: &str = "2YotnFZFEjr1zCsicMWpAA";

/// A source, its provider, and the task between them.
struct Bench {
    provider: Arc<Provider>,
    introspector: Arc<Introspector>,
    sources: Vec<Arc<Source>>,
    _stop: oneshot::Sender<()>,
}

/// The answer about Alice's token.
fn alice() -> Value {
    json!({"active": true, "sub": "alice", "aud": "web", "iss": ISSUER, "exp": NOW + 3600, "token_type": "Bearer"})
}

fn settings(provider: &Provider) -> IntrospectorSettings {
    let proof = Proof::Basic(Secret::new(b"hunter2".to_vec()));
    IntrospectorSettings {
        source: "legacy".into(),
        url: format!("{}/introspect", provider.url),
        way: Way::Introspection(IntrospectionClient { id: "postern".into(), proof }),
        issuer: Some(ISSUER.to_owned()),
        audience: vec!["web".to_owned()],
        mapping: ClaimMapping::default(),
        typed: true,
        leeway: 60,
        lifetimes: Some(Lifetimes::default()),
        timeout: Duration::from_secs(5),
        insecure_http: true,
    }
}

impl Bench {
    async fn start() -> Bench {
        Bench::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut IntrospectorSettings)) -> Bench {
        Bench::on(Provider::start().await, change)
    }

    fn on(provider: Arc<Provider>, change: impl FnOnce(&mut IntrospectorSettings)) -> Bench {
        provider.knows(TOKEN, Some(alice()));
        let mut settings = settings(&provider);
        change(&mut settings);
        let introspector = Arc::new(Introspector::build(settings).expect("an introspector"));
        let (stop, stopped) = oneshot::channel::<()>();
        let client = Client::new(&Settings::default()).expect("a client");
        tokio::spawn(run(introspector.clone(), client, || at(NOW), async {
            let _ = stopped.await;
        }));
        let source = IntrospectionSource {
            places: vec![TokenPlace::Bearer, TokenPlace::Cookie("session".into())],
            jwts_of: None,
            introspector: introspector.clone(),
        };
        let sources = vec![Arc::new(Source { name: "legacy".into(), kind: Kind::Introspection(source) })];
        Bench { provider, introspector, sources, _stop: stop }
    }

    /// What is known at once.
    fn look(&self, fields: &[(&str, &str)], second: i64, answers: &Answers) -> Attempt {
        let mut headers = Headers::new(false);
        for (name, value) in fields {
            headers.push(name, value.as_bytes());
        }
        authenticate(&self.sources, &Presented::headers(&headers), at(second), answers, &mut crate::authn::quiet)
    }

    /// What is known after a wait, as the engine does it.
    async fn ask(&self, fields: &[(&str, &str)], second: i64) -> Result<Arc<Identity>, Option<Reason>> {
        let mut answers = Answers::none();
        loop {
            match self.look(fields, second, &answers) {
                Attempt::Verified(identity) => return Ok(identity),
                Attempt::Absent => return Err(None),
                Attempt::Rejected(rejection) => return Err(Some(rejection.reason)),
                Attempt::Needs(need) => {
                    let source = need.source.clone();
                    assert!(answers.keep(source, need.answer(at(second)).await), "asks for ever");
                }
            }
        }
    }

    async fn bearer(&self, token: &str, second: i64) -> Result<Arc<Identity>, Option<Reason>> {
        self.ask(&[("authorization", &format!("Bearer {token}"))], second).await
    }

    /// The reason of a refusal.
    async fn refused(&self, token: &str, second: i64) -> Reason {
        match self.bearer(token, second).await {
            Err(Some(reason)) => reason,
            other => panic!("{token}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn the_battery_of_authenticators() {
    let bench = Bench::start().await;
    let with = |changes: Value| {
        let mut answer = alice();
        answer.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
        answer
    };
    for (token, answer) in [
        ("good", alice()),
        ("expired", with(json!({"exp": NOW - 61}))),
        ("early", with(json!({"nbf": NOW + 61}))),
        ("of-another-issuer", with(json!({"iss": "https://other.test"}))),
        ("of-another-audience", with(json!({"aud": "other"}))),
        ("refresh", with(json!({"token_type": "refresh_token"}))),
        ("untyped", with(json!({"token_type": null}))),
    ] {
        bench.provider.knows(token, Some(answer));
    }
    for (what, token, want) in [
        ("good", Some("good"), Ok("alice")),
        ("absent", None, Err(None)),
        ("malformed", Some("go od"), Err(Some(Reason::TokenMalformed))),
        ("expired", Some("expired"), Err(Some(Reason::TokenExpired))),
        ("too early", Some("early"), Err(Some(Reason::TokenNotYetValid))),
        ("wrong issuer", Some("of-another-issuer"), Err(Some(Reason::TokenClaims))),
        ("wrong audience", Some("of-another-audience"), Err(Some(Reason::TokenAudience))),
        ("of another use", Some("refresh"), Err(Some(Reason::TokenClaims))),
        ("of no stated use", Some("untyped"), Err(Some(Reason::TokenClaims))),
        ("revoked", Some("gone"), Err(Some(Reason::TokenInactive))),
        ("a signed token", Some("eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.c2ln"), Err(Some(Reason::TokenUnclaimed))),
        ("an API key", Some("postern_a_b"), Err(Some(Reason::TokenUnclaimed))),
    ] {
        let got = match token {
            Some(token) => bench.bearer(token, NOW).await,
            None => bench.ask(&[], NOW).await,
        };
        assert_eq!(got.as_ref().map(|identity| identity.user()).map_err(|reason| *reason), want, "{what}");
    }

    // The provider is slow: there is no answer in time.
    bench.provider.is(Mood::Silent);
    let fields = [("authorization", "Bearer slow")];
    let Attempt::Needs(_) = bench.look(&fields, NOW, &Answers::none()) else { panic!("must ask") };
    let late = Answers::one("legacy", Answer::Late);
    let Attempt::Rejected(rejection) = bench.look(&fields, NOW, &late) else { panic!("no answer") };
    assert_eq!(rejection.reason, Reason::UpstreamUnavailable);

    // The provider is down.
    let down = Bench::with(|settings| settings.url = "http://127.0.0.1:1/introspect".to_owned()).await;
    assert_eq!(down.refused("good", NOW).await, Reason::UpstreamUnavailable);
}

#[tokio::test]
async fn userinfo_asks_with_the_token_itself() {
    let provider = Provider::start().await;
    let url = format!("{}/userinfo", provider.url);
    let bench = Bench::on(provider, |settings| {
        settings.url = url;
        settings.way = Way::Userinfo;
        settings.audience = vec![];
        settings.typed = false;
    });
    bench.provider.knows("good", Some(json!({"sub": "alice", "groups": ["staff"]})));
    assert_eq!(bench.bearer("good", NOW).await.expect("alice").groups().join(","), "staff");
    assert_eq!(bench.refused("gone", NOW).await, Reason::TokenInactive);
    for (number, answer) in
        [says(200, "{}"), says(200, r#"{"sub":7}"#), says(403, ""), says(404, ""), says(500, ""), says(204, "")]
            .into_iter()
            .enumerate()
    {
        bench.provider.is(Mood::Says(answer));
        let reason = bench.refused(&format!("t{number}"), NOW + 60 * number as i64).await;
        assert_eq!(reason, Reason::UpstreamUnavailable, "{number}");
    }
    assert!(bench.provider.requests()[0].contains("\r\nauthorization: Bearer good\r\n"));
}

#[tokio::test]
async fn k8_a_token_that_is_cut_or_longer_is_refused() {
    let bench = Bench::start().await;
    assert_eq!(bench.bearer(TOKEN, NOW).await.expect("alice").user(), "alice");
    let mut others = vec![format!("{TOKEN}x"), format!("x{TOKEN}")];
    for at in 1..TOKEN.len() {
        let (left, right) = TOKEN.split_at(at);
        let without: String = left.chars().chain(right.chars().skip(1)).collect();
        others.extend([left.to_owned(), right.to_owned(), format!("{left}x{right}"), without]);
    }
    others.extend([format!("{TOKEN}="), TOKEN.to_ascii_uppercase(), TOKEN.to_ascii_lowercase(), TOKEN.repeat(2)]);
    for other in others {
        assert_eq!(bench.refused(&other, NOW).await, Reason::TokenInactive, "{other}");
    }
    assert_eq!(bench.bearer(TOKEN, NOW).await.expect("alice").user(), "alice");
}

/// Each broken answer is a refusal with 503, whatever it says; and so is the very token's next request.
#[tokio::test]
async fn k9_whatever_is_no_clear_answer_is_unavailable() {
    let good = alice().to_string();
    let large = format!(r#"{{"active":true,"sub":"alice","aud":"web","x":"{}"}}"#, "a".repeat(300 * 1024));
    let cut = says(200, &good);
    let answers = [
        says(200, ""),
        says(200, "true"),
        says(200, "<html>"),
        says(200, &format!("[{good}]")),
        says(200, &good.replace("true", "\"true\"")),
        says(200, &good.replace("true", "1")),
        says(200, &good.replace("\"active\":true,", "")),
        says(200, &good.replace("\"active\":true", "\"active\":true,\"active\":false")),
        says(200, &format!("{good}{good}")),
        says(200, good.trim_end_matches('}')),
        says(200, &large),
        says(201, &good),
        says(204, ""),
        says(206, &good),
        says(400, &good),
        says(401, &good),
        says(403, &good),
        says(404, &good),
        says(429, &good),
        says(500, &good),
        says(502, &good),
        says(503, &good),
        b"HTTP/1.1 302 Found\r\nlocation: /introspect\r\ncontent-length: 0\r\n\r\n".to_vec(),
        b"HTTP/1.1 307 x\r\nlocation: /introspect\r\ncontent-length: 0\r\n\r\n".to_vec(),
        cut[..cut.len() - 2].to_vec(),
        b"nonsense".to_vec(),
        vec![],
    ];
    let bench = Bench::start().await;
    for (number, answer) in answers.into_iter().enumerate() {
        let text = String::from_utf8_lossy(&answer[..answer.len().min(200)]).into_owned();
        bench.provider.is(Mood::Says(answer));
        let now = NOW + 60 * number as i64;
        let before = bench.provider.asked();
        assert_eq!(bench.refused(TOKEN, now).await, Reason::UpstreamUnavailable, "{text}");
        assert!(bench.provider.asked() > before, "{text}");
        assert_eq!(bench.refused(TOKEN, now).await, Reason::UpstreamUnavailable, "{text}");
    }
    // Nothing of that is remembered.
    bench.provider.is(Mood::Honest);
    assert_eq!(bench.bearer(TOKEN, NOW + 3000).await.expect("alice").user(), "alice");
}

#[tokio::test]
async fn k9_a_provider_that_never_answers_is_given_up() {
    let bench = Bench::with(|settings| settings.timeout = Duration::from_millis(30)).await;
    bench.provider.is(Mood::Silent);
    assert_eq!(bench.refused(TOKEN, NOW).await, Reason::UpstreamUnavailable);
    bench.provider.is(Mood::Honest);
    assert!(bench.bearer(TOKEN, NOW).await.is_ok());
}

#[tokio::test]
async fn k6_a_revoked_token_passes_for_ten_seconds_at_most() {
    let bench = Bench::start().await;
    assert!(bench.bearer(TOKEN, NOW).await.is_ok());
    bench.provider.knows(TOKEN, None);
    for second in 0..10 {
        assert!(bench.bearer(TOKEN, NOW + second).await.is_ok(), "{second}");
    }
    assert_eq!(bench.provider.asked(), 1);
    assert_eq!(bench.refused(TOKEN, NOW + 10).await, Reason::TokenInactive);
}

#[tokio::test]
async fn k6_without_memory_a_revoked_token_is_refused_at_once() {
    let bench = Bench::with(|settings| settings.lifetimes = None).await;
    for asked in 1..=3 {
        assert!(bench.bearer(TOKEN, NOW).await.is_ok());
        assert_eq!(bench.provider.asked(), asked);
    }
    bench.provider.knows(TOKEN, None);
    assert_eq!(bench.refused(TOKEN, NOW).await, Reason::TokenInactive);
}

#[tokio::test]
async fn k7_an_answer_about_one_token_says_nothing_of_another() {
    let bench = Bench::start().await;
    let heard = bench.introspector.ask(&Secret::new(TOKEN.to_owned()), at(NOW)).await;
    let answers = Answers::one("legacy", Answer::Introspected(heard));
    let attempt = |token: &str| bench.look(&[("authorization", &format!("Bearer {token}"))], NOW, &answers);
    assert!(matches!(attempt(TOKEN), Attempt::Verified(_)));
    let Attempt::Rejected(rejection) = attempt("other") else { panic!("nothing is known of it") };
    assert_eq!(rejection.reason, Reason::UpstreamUnavailable);
}

#[tokio::test]
async fn all_who_show_a_token_share_one_call() {
    let bench = Bench::start().await;
    bench.provider.is(Mood::Slow);
    let token = Secret::new(TOKEN.to_owned());
    let waits: Vec<_> = (0..1000).map(|_| bench.introspector.ask(&token, at(NOW))).collect();
    bench.provider.was_asked(1).await;
    bench.provider.release();
    for wait in waits {
        assert_eq!(wait.await.outcome.expect("alice").user(), "alice");
    }
    assert_eq!(bench.provider.asked(), 1);
    let other = bench.introspector.ask(&Secret::new("other".to_owned()), at(NOW));
    bench.provider.is(Mood::Honest);
    assert_eq!(
        other.await.outcome.map_err(|refused| refused.reason),
        Err(Reason::TokenInactive),
        "another token, another call"
    );
}

#[tokio::test]
async fn a_call_goes_on_when_nobody_waits_and_the_next_request_has_its_answer() {
    let bench = Bench::start().await;
    bench.provider.is(Mood::Slow);
    let fields = [("authorization", &*format!("Bearer {TOKEN}"))];
    let Attempt::Needs(need) = bench.look(&fields, NOW, &Answers::none()) else { panic!("must ask") };
    // The engine stops waiting.
    drop(tokio::time::timeout(Duration::ZERO, need.answer(at(NOW))).await);
    bench.provider.was_asked(1).await;
    let joined = bench.introspector.ask(&Secret::new(TOKEN.to_owned()), at(NOW));
    bench.provider.release();
    assert!(joined.await.outcome.is_ok());
    assert!(matches!(bench.look(&fields, NOW + 1, &Answers::none()), Attempt::Verified(_)));
    assert_eq!(bench.provider.asked(), 1);
}

#[tokio::test]
async fn a_provider_that_failed_five_times_is_left_alone_and_tried_by_one_call() {
    let bench = Bench::start().await;
    bench.provider.is(Mood::Says(says(500, "")));
    for number in 0..5 {
        assert_eq!(bench.refused(&format!("t{number}"), NOW).await, Reason::UpstreamUnavailable);
    }
    for number in 5..10 {
        assert_eq!(bench.refused(&format!("t{number}"), NOW).await, Reason::UpstreamUnavailable);
    }
    let status = bench.introspector.status();
    assert_eq!((bench.provider.asked(), status.failed, status.held_back, status.breaker_open), (5, 5, 5, true));

    // After the wait one call tries again, and the others do without.
    bench.provider.is(Mood::Slow);
    let probe = bench.introspector.ask(&Secret::new(TOKEN.to_owned()), at(NOW + 2));
    assert_eq!(bench.refused("t11", NOW + 2).await, Reason::UpstreamUnavailable);
    bench.provider.was_asked(6).await;
    bench.provider.release();
    assert!(probe.await.outcome.is_ok());
    assert!(!bench.introspector.status().breaker_open);
    bench.provider.is(Mood::Honest);
    assert_eq!(bench.refused("t12", NOW + 2).await, Reason::TokenInactive);
}

/// A stranger who finds a token that upsets the provider must not shut out everybody else.
#[tokio::test]
async fn refusals_that_a_token_can_bring_about_do_not_open_the_breaker() {
    let bench = Bench::start().await;
    for status in [400, 413, 422] {
        bench.provider.is(Mood::Says(says(status, "")));
        for number in 0..6 {
            assert_eq!(bench.refused(&format!("t{number}"), NOW).await, Reason::UpstreamUnavailable);
        }
        assert!(!bench.introspector.status().breaker_open, "{status}");
    }
    bench.provider.is(Mood::Honest);
    assert!(bench.bearer(TOKEN, NOW).await.is_ok());
}

#[tokio::test]
async fn calls_under_way_are_bounded() {
    let bench = Bench::start().await;
    bench.provider.is(Mood::Silent);
    let waits: Vec<_> =
        (0..100).map(|number| bench.introspector.ask(&Secret::new(format!("t{number}")), at(NOW))).collect();
    let status = bench.introspector.status();
    assert_eq!((status.in_flight, status.held_back), (64, 36));
    let last = waits.into_iter().last().expect("a wait").await.outcome.expect_err("no room");
    assert_eq!(
        (last.reason, &*last.detail),
        (Reason::UpstreamUnavailable, "too many calls to the provider are under way")
    );
}

#[tokio::test]
async fn a_stopped_task_leaves_nobody_waiting() {
    let bench = Bench::start().await;
    bench.provider.is(Mood::Silent);
    let wait = bench.introspector.ask(&Secret::new(TOKEN.to_owned()), at(NOW));
    bench.provider.was_asked(1).await;
    let Bench { introspector, _stop, .. } = bench;
    drop(_stop);
    assert_eq!(wait.await.outcome.map_err(|refused| refused.reason), Err(Reason::UpstreamUnavailable));
    assert_eq!(introspector.status().in_flight, 0);
}

#[tokio::test]
async fn signed_tokens_of_the_issuer_are_asked_about_only_when_told() {
    let bench = Bench::start().await;
    let own = Issuer::new(ISSUER, Algorithm::Es256).token(json!({}));
    let foreign = Issuer::new("https://other.test", Algorithm::Es256).token(json!({}));
    bench.provider.knows(&own, Some(alice()));
    bench.provider.knows(&foreign, Some(alice()));
    assert_eq!(bench.refused(&own, NOW).await, Reason::TokenUnclaimed);
    assert_eq!(bench.provider.asked(), 0);
    let told = IntrospectionSource {
        places: vec![TokenPlace::Bearer],
        jwts_of: Some(ISSUER.to_owned()),
        introspector: bench.introspector.clone(),
    };
    let sources = vec![Arc::new(Source { name: "legacy".into(), kind: Kind::Introspection(told) })];
    let bench = Bench { sources, ..bench };
    assert!(bench.bearer(&own, NOW).await.is_ok());
    assert_eq!(bench.refused(&foreign, NOW).await, Reason::TokenUnclaimed);
    assert!(bench.bearer(TOKEN, NOW).await.is_ok());
}

#[tokio::test]
async fn opaque_and_signed_tokens_have_their_own_sources_in_either_order() {
    let bench = Bench::start().await;
    let people = Issuer::new("https://people.test", Algorithm::Es256);
    let signed = people.source("people", &[TokenPlace::Bearer]);
    let opaque = bench.sources[0].clone();
    let mut bench = bench;
    for sources in [vec![signed.clone(), opaque.clone()], vec![opaque, signed]] {
        bench.sources = sources;
        assert_eq!(&**bench.bearer(TOKEN, NOW).await.expect("alice").source(), "legacy");
        assert_eq!(&**bench.bearer(&people.token(json!({})), NOW).await.expect("a person").source(), "people");
        let broken = people.token(json!({})).replace('.', ".!");
        assert_eq!(bench.refused(&broken, NOW).await, Reason::TokenMalformed, "no token68");
        let cut: String = people.token(json!({})).chars().take(60).collect();
        assert_eq!(bench.refused(&cut, NOW).await, Reason::TokenInactive, "it has no three parts any more");
    }
}

#[tokio::test]
async fn f6_nothing_shows_a_token_or_a_secret() {
    let bench = Bench::start().await;
    let fields = [("authorization", &*format!("Bearer {TOKEN}"))];
    let attempt = bench.look(&fields, NOW, &Answers::none());
    let shown = format!("{attempt:?} {:?} {:?}", bench.sources, bench.introspector);
    assert!(!shown.contains(TOKEN) && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn urls_that_cannot_be_asked_are_refused_at_build() {
    for (url, insecure_http, want) in [
        ("https://sso.test/introspect", false, None),
        ("http://sso.test/introspect", true, None),
        ("http://sso.test/introspect", false, Some("`http://sso.test/introspect` is not https")),
        ("ftp://sso.test/introspect", true, Some("`ftp://sso.test/introspect` is not https")),
        ("sso.test", false, Some("`sso.test` is not a URL")),
        ("https://a:b@sso.test/x", false, Some("a URL with a user name or password is not fetched")),
    ] {
        let settings = IntrospectorSettings {
            source: "legacy".into(),
            url: url.to_owned(),
            way: Way::Userinfo,
            issuer: None,
            audience: vec![],
            mapping: ClaimMapping::default(),
            typed: true,
            leeway: 60,
            lifetimes: None,
            timeout: Duration::from_secs(1),
            insecure_http,
        };
        let error = Introspector::build(settings).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), want, "{url}");
    }
}
