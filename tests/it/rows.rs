//! The rows of the threat catalogue in `docs/threat-model.md`: a policy as it is written, a request through every
//! dialect, and what must come of it.
//!
//! A test is named after the row it shows. What a row needs beyond a whole request in this process (sockets, real
//! proxies, parts of the machine) is tested where that is at hand, under the same names.

mod adapter;
mod address;
mod api_key;
mod basic;
mod battery;
mod corpus;
mod failure;
mod flood;
mod host;
mod identity;
mod keys;
mod listener;
mod revocation;
mod rotation;
mod target;

use std::path::Path;
use std::sync::Arc;

use postern::config::load;
use postern::config::load::Pretend;
use postern::dialect::ext_authz;
use postern::dialect::forward_auth;
use postern::engine::Engine;
use postern::model::dialect::Dialect;
use postern::model::response::Response;
use postern::model::response::Verdict;
use postern::snapshot;
use postern::telemetry::Telemetry;
use serde_json::Value;
use serde_json::json;

use crate::proxy::asked::Client;
use crate::proxy::asked::Question;
use crate::proxy::asked::WAYS;
use crate::proxy::judged::authorize;
use crate::token::Issuer;
use crate::token::now;
use crate::token::with;

/// One issuer, as most policies here have it.
const IDENTITY: &str = "identity:\n  people:\n    jwt: {issuer: https://sso.test, audience: app, jwks_file: keys.json, \
                        algorithms: [ES256], token: [bearer, {cookie: session}]}\n";

/// A policy in force, and the issuer it believes.
struct House {
    engine: Engine,
    issuer: Issuer,
    runtime: tokio::runtime::Runtime,
}

impl House {
    /// A policy made of this text.
    fn with(text: &str) -> House {
        let issuer = Issuer::new("k1");
        let world = Pretend::new().file("keys.json", issuer.jwks());
        let snapshot = build(text, world).unwrap_or_else(|problems| panic!("{}", problems.join("\n")));
        let telemetry = Arc::new(Telemetry::new().expect("telemetry"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        House { engine: Engine::new(Arc::new(snapshot), telemetry), issuer, runtime }
    }

    /// A policy with the host `app.test` and these routes.
    fn routes(routes: &[&str]) -> House {
        let routes: String = routes.iter().map(|route| format!("      - {{{route}}}\n")).collect();
        House::with(&format!("hosts:\n  app.test:\n    routes:\n{routes}"))
    }

    /// A token with these claims laid over sound ones; `null` removes a claim.
    fn token(&self, changes: &Value) -> String {
        let claims = json!({
            "iss": "https://sso.test", "aud": "app", "sub": "alice", "iat": now() - 60, "exp": now() + 3600,
            "groups": ["staff"], "email": "alice@corp.test", "email_verified": true, "name": "Alice Archer",
        });
        self.issuer.sign(&with(&claims, changes.clone()))
    }

    /// Ask as this member of these groups.
    fn as_member(&self, ask: Ask, groups: &[&str]) -> Ask {
        ask.bearer(&self.token(&json!({"groups": groups})))
    }

    /// What comes of it through every dialect that can say it, and what the proxy is told.
    fn answers(&self, ask: &Ask) -> Vec<(&'static str, Answer)> {
        let client = ask.client();
        let mut answers = Vec::new();
        for way in WAYS.iter().filter(|way| ask.can_be_said_in(way.dialect)) {
            let question = (way.ask)(&client);
            let response = self.runtime.block_on(authorize(&self.engine, way.dialect, &question));
            let answer = Answer::of(&response);
            assert_eq!(passes(way.dialect, &question, &response), answer.status == 200, "{}: {answer:?}", way.name);
            answers.push((way.name, answer));
        }
        assert!(answers.len() >= 2, "nobody can say {ask:?}");
        answers
    }

    /// What comes of it, which must be the same through every dialect.
    fn answer(&self, ask: &Ask) -> Answer {
        let mut answers = self.answers(ask).into_iter();
        let (first, answer) = answers.next().expect("an answer");
        for (way, other) in answers {
            assert_eq!(other, answer, "{way} and {first} differ about {ask:?}");
        }
        answer
    }

    /// The reason of that answer.
    fn reason(&self, ask: &Ask) -> &'static str {
        self.answer(ask).reason
    }

    /// The reason for each of these targets, asked for with GET by nobody in particular.
    fn reasons<'t>(&self, targets: &[&'t str]) -> Vec<(&'t str, &'static str)> {
        targets.iter().map(|target| (*target, self.reason(&get(target)))).collect()
    }

    fn metrics(&self) -> String {
        self.engine.telemetry().gather(&[])
    }
}

/// Does the proxy let the request through that reads this answer?
fn passes(dialect: Dialect, question: &Question, response: &Response) -> bool {
    match question {
        Question::Grpc(_) => ext_authz::encode(response).status.is_none_or(|status| status.code == 0),
        Question::Http(request) => forward_auth::encode(dialect, request.method(), response).status().is_success(),
    }
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    reason: &'static str,
    status: u16,
    /// Sorted.
    set: Vec<(String, String)>,
    removed: Vec<String>,
}

impl Answer {
    fn of(response: &Response) -> Answer {
        match &response.verdict {
            Verdict::Allow(allow) => {
                let mut set: Vec<_> =
                    allow.headers.set().map(|(name, text)| (name.to_string(), text.to_string())).collect();
                let mut removed: Vec<_> = allow.headers.remove().iter().map(ToString::to_string).collect();
                set.sort();
                removed.sort();
                Answer { reason: allow.reason.code(), status: 200, set, removed }
            }
            Verdict::Deny(denial) => {
                Answer { reason: denial.reason.code(), status: denial.status, set: vec![], removed: vec![] }
            }
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.set.iter().find(|(set, _)| set == name).map(|(_, value)| value.as_str())
    }
}

/// A client's request.
#[derive(Clone, Debug)]
struct Ask {
    method: String,
    host: String,
    target: String,
    headers: Vec<(String, String)>,
    from: String,
}

fn get(target: &str) -> Ask {
    let (method, host, from) = ("GET".to_owned(), "app.test".to_owned(), "192.0.2.7".to_owned());
    Ask { method, host, target: target.to_owned(), headers: Vec::new(), from }
}

impl Ask {
    fn method(mut self, method: &str) -> Ask {
        self.method = method.to_owned();
        self
    }

    fn host(mut self, host: &str) -> Ask {
        self.host = host.to_owned();
        self
    }

    fn from(mut self, address: &str) -> Ask {
        self.from = address.to_owned();
        self
    }

    fn header(mut self, name: &str, value: &str) -> Ask {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn bearer(self, token: &str) -> Ask {
        self.header("authorization", &format!("Bearer {token}"))
    }

    fn client(&self) -> Client<'_> {
        Client {
            method: &self.method,
            host: &self.host,
            target: &self.target,
            headers: self.headers.clone(),
            address: &self.from,
        }
    }

    /// HTTP cannot carry every octet in a header, and Envoy's HTTP check has its target in the request line.
    fn can_be_said_in(&self, dialect: Dialect) -> bool {
        let value = |text: &str| http::HeaderValue::from_str(text).is_ok();
        let headers = || {
            self.headers.iter().all(|(name, text)| http::HeaderName::from_bytes(name.as_bytes()).is_ok() && value(text))
        };
        let in_headers =
            || value(&self.from) && value(&self.method) && value(&self.host) && value(&self.target) && headers();
        match dialect {
            Dialect::ExtAuthz => true,
            Dialect::EnvoyHttp => {
                let uri = format!("/auth/envoy{}", self.target);
                let same = uri.parse::<http::Uri>().is_ok_and(|parsed| parsed.to_string() == uri);
                same && self.target.starts_with('/')
                    && in_headers()
                    && http::Method::from_bytes(self.method.as_bytes()).is_ok()
            }
            // Its URL is cut at the same seams whatever is in it; what is in a host then moves to the target.
            Dialect::IngressNginx => {
                in_headers() && self.target.starts_with('/') && !self.host.contains(['/', '?', '#', '@', '\\'])
            }
            Dialect::Caddy | Dialect::Traefik | Dialect::Nginx | Dialect::Haproxy => in_headers(),
        }
    }
}

/// Everything wrong with a policy of this text, errors and warnings alike.
fn problems(text: &str) -> Vec<String> {
    let issuer = Issuer::new("k1");
    match build(text, Pretend::new().file("keys.json", issuer.jwks())) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
}

/// Build `text` after the one issuer; `text` may bring its own `identity`.
fn build(text: &str, world: Pretend) -> Result<snapshot::Snapshot, Vec<String>> {
    let identity = if text.contains("identity:\n  ") { "" } else { IDENTITY };
    let world = world.file("policy.yaml", format!("version: 1\n{identity}{text}...\n"));
    let said = |problems: &postern::model::problem::Problems| {
        problems.0.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>()
    };
    let loaded = load::load(Path::new("policy.yaml"), &world)
        .map_err(|refused| said(snapshot::judge(refused, &world).problems()))?;
    snapshot::build(&loaded, &world).map(|(snapshot, _)| snapshot).map_err(|problems| said(&problems))
}
