//! `postern why`: what was decided, and by what steps, from the audit log.

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::bail;
use serde_json::Value;
use serde_json::json;

use crate::audit::replay::Recorded;
use crate::cli::explain::Outcome;
use crate::cli::explain::render::Explanation;
use crate::cli::load::LoadedPolicy;
use crate::cli::log::Log;
use crate::cli::print;
use crate::cli::request::ClientRequest;
use crate::config::load::Machine;
use crate::engine::replay::Replayed;
use crate::engine::replay::replay;
use crate::policy::trace::Notes;
use crate::telemetry::log::Plain;

/// Say what was decided for a request, and by what steps, from the audit log
///
/// The id is the one of the answer (`X-Postern-Decision`, and in the body of a denial). With a policy, the steps are those that
/// it takes now; the log must hold what they need (`audit.replay: true`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 it was found, 1 it was not, 2 a bad policy or wrong arguments.

Examples:
  postern why 01M8RTNX11KBBBZ60000000005 --log /var/log/postern/audit.jsonl -c postern.yaml
  postern why --last 20 --denied --log /var/log/postern/audit.jsonl")]
pub struct Why {
    /// The decision id
    #[arg(value_name = "ID", required_unless_present = "last")]
    id: Option<String>,
    /// Files of the log, plain or packed by gzip or zstd; `-` is stdin
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Show the steps that this policy takes: a file, or a folder of files
    #[arg(long, short, value_name = "PATH", conflicts_with = "last")]
    config: Option<PathBuf>,
    /// List the last decisions instead, a line each
    #[arg(long, value_name = "NUMBER", conflicts_with = "id")]
    last: Option<usize>,
    /// Of these, only denials
    #[arg(long, requires = "last")]
    denied: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Why {
    /// Look for it, and show it.
    pub fn run(&self) -> anyhow::Result<u8> {
        match (&self.id, self.last) {
            (Some(id), _) => self.one(id),
            (None, number) => self.list(number.unwrap_or_default()),
        }
    }

    /// The receipt of one decision.
    fn one(&self, id: &str) -> anyhow::Result<u8> {
        let policy = match &self.config {
            None => None,
            Some(path) => match LoadedPolicy::load(path, &Machine, self.json) {
                Some(policy) => Some(policy),
                None => return Ok(crate::cli::INVALID),
            },
        };
        let mut log = Log::open(&self.log)?;
        let mut found = None;
        while let Some(line) = log.next()? {
            log.show(|| "not found yet".to_owned());
            // Most lines need not be read.
            if !line.text.contains(id) {
                continue;
            }
            let Ok(value) = serde_json::from_str::<Value>(&line.text) else { continue };
            if says(&value, "kind", "decision") && says(&value, "id", id) {
                found = Some((value, format!("{}:{}", line.file, line.number)));
                break;
            }
        }
        log.end();
        let Some((value, spot)) = found else {
            bail!("the log has no decision `{}`", Plain(id));
        };
        // Without `replay` there is less in it, and that much is shown.
        let recorded: Recorded = serde_json::from_value(value.clone())?;
        let walked = policy.as_ref().map(|policy| Walked::of(policy, &recorded));
        if self.json {
            let explained = match (&walked, &policy) {
                (Some(walked), Some(_)) => walked.json()?,
                _ => Value::Null,
            };
            print::out(&format!("{:#}\n", json!({"line": spot, "recorded": value, "walked": explained})));
            return Ok(0);
        }
        let mut text = receipt(&recorded, &spot);
        if let (Some(walked), Some(policy)) = (&walked, &policy) {
            text.push_str(&walked.text(policy, &recorded));
        }
        print::out(&text);
        Ok(0)
    }

    /// The last decisions, oldest first.
    fn list(&self, number: usize) -> anyhow::Result<u8> {
        let mut log = Log::open(&self.log)?;
        let mut last: VecDeque<Value> = VecDeque::new();
        while let Some(line) = log.next()? {
            log.show(|| format!("{} found", last.len()));
            let Ok(value) = serde_json::from_str::<Value>(&line.text) else { continue };
            if !says(&value, "kind", "decision") || self.denied && !says(&value, "effect", "deny") {
                continue;
            }
            last.push_back(value);
            if last.len() > number {
                last.pop_front();
            }
        }
        log.end();
        if last.is_empty() {
            bail!("the log has no such decision");
        }
        if self.json {
            print::out(&format!("{:#}\n", Value::from(Vec::from(last))));
            return Ok(0);
        }
        let mut text = String::new();
        for value in last {
            let recorded: Recorded = serde_json::from_value(value)?;
            text.push_str(&format!("{} {}\n", recorded.id.as_deref().unwrap_or_default(), outline(&recorded)));
        }
        print::out(&text);
        Ok(0)
    }
}

fn needs(lacking: &str) -> String {
    format!("they cannot be told without {lacking}")
}

fn says(line: &Value, member: &str, text: &str) -> bool {
    line.get(member).and_then(Value::as_str) == Some(text)
}

/// A decision in a line.
fn outline(recorded: &Recorded) -> String {
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    let status = recorded.status.map(|status| status.to_string()).unwrap_or_default();
    let client = recorded.client.as_ref().and_then(|client| client.ip);
    let client = client.map(|ip| format!(" from {ip}")).unwrap_or_default();
    let user = recorded.user.as_ref().map(|user| format!(" as {user}")).unwrap_or_default();
    let asked = if recorded.host.is_some() { recorded.asked() } else { "a request that could not be read".to_owned() };
    let line = format!(
        "{}  {} {status} {}  {asked}{client}{user}",
        recorded.time,
        said(&recorded.effect),
        said(&recorded.reason)
    );
    Plain(&line).to_string()
}

/// What the line says.
fn receipt(recorded: &Recorded, spot: &str) -> String {
    let mut text = format!("{}\n", outline(recorded));
    let mut put = |label: &str, value: Option<String>| {
        if let Some(value) = value {
            text.push_str(&format!("  {label:<9} {}\n", Plain(&value)));
        }
    };
    put("proxy", recorded.dialect.clone());
    put(
        "client",
        recorded.client.as_ref().map(|client| {
            let address = client.ip.map(|ip| ip.to_string());
            let known = address.or_else(|| client.unknown.as_ref().map(|why| format!("unknown, {why}")));
            let from = client.from.as_ref().map(|from| format!(", by `{from}`")).unwrap_or_default();
            format!("{}{from}", known.unwrap_or_else(|| "not kept".to_owned()))
        }),
    );
    put(
        "caller",
        recorded.subject.as_ref().map(|subject| {
            let by = recorded.source.as_ref().map(|source| format!(", known by `{source}`")).unwrap_or_default();
            let groups = match recorded.groups.as_slice() {
                [] => String::new(),
                groups => format!(", of {}", groups.join(", ")),
            };
            format!("{subject}{by}{groups}")
        }),
    );
    put("route", recorded.route.as_ref().map(|route| format!("`{}` of `{}`", route.name, route.host)));
    put("rule", recorded.rule.clone());
    put("limit", recorded.limit.clone());
    let generation = recorded.generation.map(|number| format!(", generation {number}")).unwrap_or_default();
    put("policy", recorded.policy.as_ref().map(|digest| format!("{}{generation}", short(digest))));
    put("line", Some(spot.to_owned()));
    text
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

/// The steps that a policy takes with it.
struct Walked {
    client: ClientRequest,
    notes: Notes,
    /// `Err`: why they cannot be told.
    outcome: Result<Outcome, String>,
    /// It is the policy that decided.
    same: bool,
}

impl Walked {
    fn of(policy: &LoadedPolicy, recorded: &Recorded) -> Walked {
        let mut notes = Notes::default();
        let outcome = match recorded.replay.is_some() || recorded.host.is_none() {
            false => Err(needs("what `audit: {replay: true}` would have kept")),
            true => match replay(&policy.snapshot, recorded, &mut notes) {
                Replayed::Walked(walked) => Ok(Outcome::Walked(walked)),
                Replayed::Unread => {
                    Err("there are none: nobody could read the request, and no policy had a say".to_owned())
                }
                Replayed::Unknown(lacking) => Err(needs(&lacking)),
            },
        };
        let client = ClientRequest {
            method: recorded.method.clone().unwrap_or_default(),
            scheme: recorded.scheme().map_or("https", crate::model::request::Scheme::name).to_owned(),
            host: recorded.authority().unwrap_or_default(),
            target: recorded.target().unwrap_or_default(),
            from: recorded.client.as_ref().and_then(|client| client.ip).map(|ip| ip.to_string()).unwrap_or_default(),
            headers: Vec::new(),
            certificate: None,
        };
        let same = recorded.policy.as_deref() == Some(&*policy.snapshot.digest);
        Walked { client, notes, outcome, same }
    }

    fn text(&self, policy: &LoadedPolicy, recorded: &Recorded) -> String {
        let which = match self.same {
            true => "By this policy, which decided:".to_owned(),
            false => format!(
                "By this policy, which is another than the one that decided ({}):",
                short(&policy.snapshot.digest)
            ),
        };
        let steps = match &self.outcome {
            Ok(outcome) => {
                let explanation = Explanation::new(&self.client, &self.notes, outcome);
                let mut text = explanation.text(policy);
                if recorded.effect.as_deref() != Some(outcome.effect().name()) {
                    text.push_str(&format!("It was {} then.\n", recorded.effect.as_deref().unwrap_or("nothing")));
                }
                text
            }
            Err(why) => format!("Its steps: {}\n", Plain(why)),
        };
        match &self.outcome {
            Ok(_) => format!("\n{which}\n\n{steps}"),
            Err(_) => format!("\n{steps}"),
        }
    }

    fn json(&self) -> anyhow::Result<Value> {
        let explained = match &self.outcome {
            Ok(outcome) => {
                serde_json::from_str(&Explanation::new(&self.client, &self.notes, outcome).json()?).unwrap_or_default()
            }
            Err(_) => Value::Null,
        };
        let no_steps = self.outcome.as_ref().err();
        Ok(json!({"same_policy": self.same, "explanation": explained, "no_steps": no_steps}))
    }
}
