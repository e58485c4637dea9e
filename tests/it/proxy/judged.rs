//! Every scenario through every dialect, in this process: one verdict, one reason, one identity, whoever asks.

use std::sync::Arc;

use envoy_types::pb::envoy::service::auth::v3 as envoy;
use envoy_types::pb::envoy::service::auth::v3::check_response::HttpResponse;
use postern::config::load;
use postern::config::load::Machine;
use postern::dialect::{ext_authz, forward_auth};
use postern::engine::Engine;
use postern::model::dialect::Dialect;
use postern::model::response::Response;
use postern::model::response::Verdict as Answered;
use postern::snapshot;
use postern::telemetry::Telemetry;
use prost::Message;
use tempfile::TempDir;

use super::asked::{Client, Question, WAYS, Way};
use super::people::{Person, Tokens};
use super::postern::{POLICY, write_policy};
use super::scenarios::{SCENARIOS, Scenario, Verdict};

#[test]
fn every_dialect_comes_to_the_same_verdict() {
    let tokens = Tokens::mint();
    let engine = engine(POLICY, &tokens);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut wrong = Vec::new();
    for scenario in SCENARIOS {
        let client = Client::of(scenario, &tokens);
        for way in &WAYS {
            let question = (way.ask)(&client);
            let response = runtime.block_on(authorize(&engine, way.dialect, &question));
            let (found, wanted) = (Outcome::of(&response), Outcome::wanted(scenario));
            if found != wanted {
                wrong.push(format!("{} / {}:\n  found  {found:?}\n  wanted {wanted:?}", scenario.name, way.name));
            }
            if let Err(why) = obeyed(scenario, way, &question, &response) {
                wrong.push(format!("{} / {}: {why}", scenario.name, way.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} went wrong\n\n{}", wrong.len(), wrong.join("\n\n"));
}

/// What was decided, in words that are the same for everybody.
#[derive(Debug, PartialEq)]
struct Outcome {
    allowed: bool,
    reason: String,
    status: u16,
    login: Option<String>,
    /// The identity headers that are set.
    identity: Vec<(String, String)>,
    /// Those that are made absent.
    absent: Vec<String>,
}

impl Outcome {
    fn of(response: &Response) -> Outcome {
        let sorted = |mut list: Vec<_>| {
            list.sort();
            list
        };
        match &response.verdict {
            Answered::Allow(allow) => Outcome {
                allowed: true,
                reason: allow.reason.code().to_owned(),
                status: 200,
                login: None,
                identity: sorted(
                    allow.headers.set().map(|(name, text)| (name.to_string(), text.to_string())).collect(),
                ),
                absent: {
                    let mut absent: Vec<_> = allow.headers.remove().iter().map(ToString::to_string).collect();
                    absent.sort();
                    absent
                },
            },
            Answered::Deny(denial) => Outcome {
                allowed: false,
                reason: denial.reason.code().to_owned(),
                status: denial.status,
                login: denial.headers.iter().find(|(name, _)| name == "location").map(|(_, text)| text.to_string()),
                identity: vec![],
                absent: vec![],
            },
        }
    }

    fn wanted(scenario: &Scenario) -> Outcome {
        let denied = |reason: &str, status, login| Outcome {
            allowed: false,
            reason: reason.to_owned(),
            status,
            login,
            identity: vec![],
            absent: vec![],
        };
        match scenario.verdict {
            Verdict::Allow(reason, person) => Outcome {
                allowed: true,
                reason: reason.to_owned(),
                status: 200,
                login: None,
                identity: identity(person),
                absent: if person.is_some() {
                    vec![]
                } else {
                    ["remote-email", "remote-groups", "remote-name", "remote-user"].map(str::to_owned).to_vec()
                },
            },
            Verdict::Deny(reason, status) => denied(reason, status, None),
            Verdict::Login(reason, page) => denied(reason, 302, Some(page.to_owned())),
        }
    }
}

fn identity(person: Option<&Person>) -> Vec<(String, String)> {
    let headers = person.iter().flat_map(|person| person.headers());
    let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    headers.sort();
    headers
}

/// Is the answer, as it is written, read by the proxy as what was decided?
fn obeyed(scenario: &Scenario, way: &Way, question: &Question, response: &Response) -> Result<(), String> {
    let (allowed, person) = match scenario.verdict {
        Verdict::Allow(_, person) => (true, person),
        Verdict::Deny(..) | Verdict::Login(..) => (false, None),
    };
    let (passes, mut brought) = match question {
        Question::Grpc(_) => {
            let octets = ext_authz::encode(response).encode_to_vec();
            let answer = envoy::CheckResponse::decode(octets.as_slice()).map_err(|error| error.to_string())?;
            // Envoy looks at the status alone.
            let passes = answer.status.as_ref().is_none_or(|status| status.code == 0);
            let options = match answer.http_response {
                Some(HttpResponse::OkResponse(answer)) => answer.headers,
                Some(HttpResponse::DeniedResponse(answer)) => answer.headers,
                Some(HttpResponse::ErrorResponse(_)) | None => return Err("neither allowed nor denied".to_owned()),
            };
            let headers = options.into_iter().filter_map(|option| option.header);
            (passes, headers.map(|header| (header.key, header.value)).collect::<Vec<_>>())
        }
        Question::Http(request) => {
            let answer = forward_auth::encode(way.dialect, request.method(), response);
            if answer.status().is_server_error() && way.dialect == Dialect::EnvoyHttp {
                return Err("a 5xx to Envoy is no denial".to_owned());
            }
            let headers = answer.headers().iter();
            let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()));
            (answer.status().is_success(), headers.collect())
        }
    };
    if passes != allowed {
        return Err(format!("the proxy would read it as {}", if passes { "an allow" } else { "a denial" }));
    }
    brought.retain(|(name, _)| name.starts_with("remote-"));
    brought.sort();
    let wanted = identity(person);
    if brought == wanted { Ok(()) } else { Err(format!("the answer brings {brought:?}, wanted {wanted:?}")) }
}

/// Put the question to the engine as the listener of its dialect does.
pub(crate) async fn authorize(engine: &Engine, dialect: Dialect, question: &Question) -> Response {
    match question {
        Question::Grpc(octets) => match ext_authz::read(octets.as_slice()) {
            Ok(request) => engine.authorize(ext_authz::decode(&request), None).await,
            Err(refusal) => engine.refuse(&refusal),
        },
        Question::Http(request) => {
            let path = request.uri().path();
            assert_eq!(forward_auth::of_path(path), Some(dialect), "{path}");
            let (parts, ()) = request.clone().into_parts();
            engine.authorize(forward_auth::decode(dialect, &parts), None).await
        }
    }
}

/// All that the server would build from a policy of this repository.
pub(crate) fn engine(policy: &str, tokens: &Tokens) -> Engine {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let policy = write_policy(policy, folder.path(), tokens);
    let loaded = load::load(&policy, &Machine).unwrap_or_else(|report| panic!("{report}"));
    let (snapshot, _) = snapshot::build(&loaded, &Machine).unwrap_or_else(|problems| panic!("{problems:?}"));
    Engine::new(Arc::new(snapshot), Arc::new(Telemetry::new().expect("telemetry")))
}
