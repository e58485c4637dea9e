//! A policy in force with everything it does in the background, and a clock that tests set forward.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use postern::authn::Answer;
use postern::authn::Answers;
use postern::authn::Attempt;
use postern::authn::Presented;
use postern::authn::authenticate;
use postern::authn::quiet;
use postern::config::load::Pretend;
use postern::config::load::load;
use postern::engine::Engine;
use postern::model::dialect::Dialect;
use postern::model::header::Headers;
use postern::model::reason::Reason;
use postern::model::request::Attributes;
use postern::model::request::Scheme;
use postern::model::request::StatedAddress;
use postern::model::response::Verdict;
use postern::snapshot;
use postern::telemetry::Telemetry;
use tokio_util::sync::CancellationToken;

use super::provider::Provider;
use crate::token;

/// What a request waits for a provider at most. Long, because the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// A policy in force.
#[derive(Clone)]
pub(crate) struct House {
    engine: Arc<Engine>,
    /// How far its clock is ahead, in seconds.
    ahead: Arc<AtomicI64>,
}

impl House {
    /// Build it with these identity sources, all of them on one route, and start its background work.
    pub(crate) fn start(provider: &Provider, names: &str, sources: &str, stop: &CancellationToken) -> House {
        let text = format!(
            "version: 1\nidentity:\n{sources}hosts:\n  app.test: {{identity: [{names}], routes: [{{path: /**, require: {{authenticated: true}}}}]}}\n...\n"
        );
        let world = Pretend::new()
            .file("policy.yaml", text)
            .file("client.pem", provider.client_key.as_str())
            .variable("BASIC_SECRET", "a secret: with & odd = signs %")
            .variable("POST_SECRET", "post-secret");
        let loaded = load(Path::new("policy.yaml"), &world).unwrap_or_else(|refused| panic!("{refused}"));
        let (snapshot, _) = snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}"));
        let ahead = Arc::new(AtomicI64::new(0));
        let clock = {
            let ahead = Arc::clone(&ahead);
            move || at(&ahead)
        };
        snapshot.keep_keys_fresh(clock.clone(), stop).expect("a client");
        snapshot.ask_providers(clock, stop).expect("a client");
        let telemetry = Arc::new(Telemetry::new().expect("telemetry"));
        House { engine: Arc::new(Engine::new(Arc::new(snapshot), telemetry)), ahead }
    }

    /// Let time pass.
    pub(crate) fn pass(&self, seconds: i64) {
        self.ahead.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Who a bearer of this token is at this house's time, or why he is nobody.
    pub(crate) async fn judge(&self, token: &str) -> Result<String, Reason> {
        let value = format!("Bearer {token}");
        let mut headers = Headers::new(false);
        headers.push("authorization", value.as_bytes());
        let (snapshot, now) = (self.engine.snapshot(), at(&self.ahead));
        let sources = snapshot.sources.first().expect("a list of sources");
        let mut answers = Answers::none();
        loop {
            match authenticate(sources, &Presented::headers(&headers), now, &answers, &mut quiet) {
                Attempt::Verified(identity) => return Ok(identity.user().to_owned()),
                Attempt::Rejected(rejection) => return Err(rejection.reason),
                Attempt::Absent => panic!("there is a token"),
                Attempt::Needs(need) => {
                    let source = need.source.clone();
                    let answer = tokio::time::timeout(PATIENCE, need.answer(now)).await.unwrap_or(Answer::Late);
                    assert!(answers.keep(source, answer), "asks for ever");
                }
            }
        }
    }

    /// A whole check with this token, now: the status, and the user sent upstream.
    pub(crate) async fn check(&self, token: &str) -> (u16, Option<String>) {
        let value = format!("Bearer {token}");
        let mut headers = Headers::new(false);
        headers.push("authorization", value.as_bytes());
        let attributes = Attributes {
            dialect: Dialect::Traefik,
            method: "GET",
            scheme: Some(Scheme::Https),
            host: "app.test",
            target: "/x",
            address: StatedAddress { peer: Some("198.51.100.7"), forwarded_for: Vec::new() },
            headers,
            certificate: postern::model::request::StatedCertificate::default(),
            ignored_forwarding: 0,
        };
        match self.engine.authorize(Ok(attributes), Some(2 * PATIENCE)).await.verdict {
            Verdict::Allow(allow) => {
                let user = allow.headers.set().find(|(name, _)| *name == "remote-user");
                (200, user.map(|(_, value)| value.to_owned()))
            }
            Verdict::Deny(denial) => (denial.status, None),
        }
    }
}

fn at(ahead: &AtomicI64) -> Timestamp {
    Timestamp::from_second(token::now() + ahead.load(Ordering::SeqCst)).expect("a time")
}

/// The source `people`: signed tokens, keys by discovery.
pub(crate) fn people(provider: &Provider) -> String {
    format!(
        "  people: {{jwt: {{issuer: {}, audience: https://api.test/jwt, algorithms: [ES256], insecure_http: true, key_hosts: 127.0.0.1}}}}\n",
        provider.issuer()
    )
}

/// The source `legacy`: opaque tokens, asked about as this client; `more` settings.
pub(crate) fn legacy(provider: &Provider, client: &str, more: &str) -> String {
    let issuer = provider.issuer();
    format!(
        "  legacy: {{introspection: {{url: {issuer}/token/introspection, issuer: {issuer}, client: {{{client}}}, insecure_url: true{more}}}}}\n"
    )
}

/// The client of most tests.
pub(crate) const BASIC: &str = "id: pos tern, secret: {env: BASIC_SECRET}";
