//! `postern explain`: every step of the walk that a request takes, with the lines that decided.

mod caller;
mod forwarding;
pub(in crate::cli) mod render;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::authn::Answer;
use crate::authn::Answers;
use crate::authn::Need;
use crate::authn::Question;
use crate::authn::introspection;
use crate::authn::jwks::run;
use crate::cli::ask::wire::Fields;
use crate::cli::ask::wire::check_request;
use crate::cli::explain::caller::Assumed;
use crate::cli::explain::render::Explanation;
use crate::cli::load::LoadedPolicy;
use crate::cli::print;
use crate::cli::request::ClientRequest;
use crate::cli::request::RequestArgs;
use crate::config::load::Machine;
use crate::dialect::ext_authz;
use crate::dialect::ext_authz::Check;
use crate::engine::walk::Given;
use crate::engine::walk::Walk;
use crate::engine::walk::Walked;
use crate::engine::walk::walk;
use crate::limit::Purse;
use crate::model::decision::DecisionId;
use crate::model::decision::Effect;
use crate::model::identity::Principal;
use crate::model::reason::Reason;
use crate::model::request::Refusal;
use crate::model::request::Request;
use crate::outbound::Client;
use crate::outbound::Settings;
use crate::policy::trace::Notes;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;
use crate::telemetry::clock;

/// Show, step by step, what the policy makes of one request
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 allowed, 3 denied, 2 a bad policy or wrong arguments, 1 anything else.")]
pub struct Explain {
    /// The policy: a file, or a folder of files
    #[arg(long, short, env = crate::cli::CONFIG_VARIABLE, hide_env_values = true, value_name = "PATH", default_value = crate::cli::DEFAULT_CONFIG)]
    config: PathBuf,
    #[command(flatten)]
    request: RequestArgs,
    /// Take this caller for granted instead of a token: `anonymous`, a user name, or {user: alice, groups: [ops]}
    #[arg(long = "as", value_name = "CALLER", conflicts_with = "token")]
    caller: Option<Assumed>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Explain, and say by the exit status whether the request passes.
    pub fn run(&self) -> anyhow::Result<u8> {
        let Some(policy) = LoadedPolicy::load(&self.config, &Machine, self.json) else {
            return Ok(crate::cli::INVALID);
        };
        let client = self.request.request(&Machine)?;
        let assumed = match self.caller.as_ref().map(|caller| caller.principal(&policy.snapshot)).transpose() {
            Ok(assumed) => assumed,
            Err(error) => {
                print::failure(&error);
                return Ok(crate::cli::INVALID);
            }
        };
        let mut notes = Notes::default();
        let outcome = explain(&policy, &client, assumed, &mut notes)?;
        let explanation = Explanation::new(&client, &notes, &outcome);
        print::out(&if self.json { explanation.json()? } else { explanation.text(&policy) });
        Ok(if outcome.effect() == Effect::Allow { 0 } else { crate::cli::DENIED })
    }
}

/// Where the walk ended.
#[derive(Debug)]
pub(in crate::cli) enum Outcome {
    /// Before it began: the request is not one.
    Refused(Refusal),
    Walked(Box<Walked>),
}

impl Outcome {
    fn reason(&self) -> Reason {
        match self {
            Outcome::Refused(refusal) => refusal.reason,
            Outcome::Walked(walked) => walked.decision.reason,
        }
    }

    pub(in crate::cli) fn effect(&self) -> Effect {
        match self {
            Outcome::Refused(_) => Effect::Deny,
            Outcome::Walked(walked) => walked.decision.effect(),
        }
    }

    fn detail(&self) -> Option<&str> {
        match self {
            Outcome::Refused(refusal) => Some(&refusal.detail),
            Outcome::Walked(walked) => walked.detail.as_deref(),
        }
    }
}

/// Walk, waiting for keys where the walk needs them.
fn explain(
    policy: &LoadedPolicy,
    client: &ClientRequest,
    assumed: Option<Principal>,
    notes: &mut Notes,
) -> anyhow::Result<Outcome> {
    // Read as `serve` reads it, from what Envoy would send.
    let check = check_request(client, Fields::Raw);
    let request = match ext_authz::decode(&Check::from(&check)).and_then(Request::parse) {
        Ok(request) => request,
        Err(refusal) => {
            notes.note(Station::Request, None, || "refused before anything is looked up".to_owned());
            return Ok(Outcome::Refused(refusal));
        }
    };
    notes.note(Station::Request, None, || {
        format!("{} host `{}`, path `{}`", request.method, request.host.name(), request.path.canonical().text())
    });
    forwarding::note(client, &policy.snapshot.policy.address, notes);
    let mut given = Given {
        decision_id: DecisionId(0),
        now: clock::now(),
        answers: Answers::none(),
        assumed: assumed.map(crate::engine::walk::Assumed::Caller),
    };
    let mut purse = Purse::looking(clock::instant());
    loop {
        let mut taken = notes.clone();
        match walk(&policy.snapshot, &request, &given, &mut purse, &mut taken) {
            Walk::Done(walked) => {
                *notes = taken;
                return Ok(Outcome::Walked(walked));
            }
            Walk::Takes(_) => anyhow::bail!("who only looks was told to ask the store of limits"),
            Walk::Unknown => anyhow::bail!("a request that is there was taken for one that is remembered"),
            Walk::Needs(need) => {
                let (source, answer) = (need.source.clone(), find_out(need, given.now)?);
                anyhow::ensure!(given.answers.keep(source, answer), "an identity source asks for ever");
            }
        }
    }
}

/// How long `explain` waits for others.
const PATIENCE: Duration = Duration::from_secs(10);

/// Find out what the walk needs, doing the work that `serve` does in the background.
fn find_out(need: Need, now: jiff::Timestamp) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::new(&Settings::default())?;
        match &need.question {
            Question::Keys { keys, .. } => {
                let work = run(Arc::clone(keys), client, clock::now, tokio::time::sleep(PATIENCE));
                tokio::select! {
                    answer = need.answer(now) => Ok(answer),
                    () = work => Ok(Answer::Late),
                }
            }
            Question::Token { introspector, .. } => {
                let patience = tokio::time::sleep(PATIENCE);
                let work = introspection::run(Arc::clone(introspector), client, clock::now, patience);
                tokio::select! {
                    answer = need.answer(now) => Ok(answer),
                    () = work => Ok(Answer::Late),
                }
            }
            Question::Password(_) => Ok(need.answer(now).await),
        }
    })
}
