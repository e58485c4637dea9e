//! What `explain` found, for people and for programs.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::cli::explain::Outcome;
use crate::cli::load::LoadedPolicy;
use crate::cli::request::ClientRequest;
use crate::model::decision::RouteId;
use crate::model::identity::Identity;
use crate::model::problem::Place;
use crate::model::response::Verdict;
use crate::policy::denial::DECISION_HEADER;
use crate::policy::trace::Notes;
use crate::telemetry::log::Plain;

/// One explanation; its fields in the order and under the names that programs see.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Explanation<'e> {
    request: Asked<'e>,
    steps: Vec<Step<'e>>,
    effect: &'static str,
    status: u16,
    reason: &'static str,
    /// What exactly was wrong, where the reason leaves that open.
    detail: Option<&'e str>,
    route: Option<Route<'e>>,
    /// What decided.
    place: Option<Position<'e>>,
    client_ip: Option<IpAddr>,
    identity: Option<Caller<'e>>,
    /// Headers set on the request that passes.
    set: BTreeMap<&'e str, &'e str>,
    /// Headers removed from it.
    remove: Vec<&'e str>,
    /// Headers for the client: of the answer when it does not pass, beside the application's when it does.
    headers: BTreeMap<&'e str, &'e str>,
}

#[derive(Debug, Serialize)]
struct Asked<'e> {
    method: &'e str,
    scheme: &'e str,
    host: &'e str,
    target: &'e str,
    from: &'e str,
}

#[derive(Debug, Serialize)]
struct Step<'e> {
    station: &'static str,
    text: &'e str,
    place: Option<Position<'e>>,
}

#[derive(Debug, Serialize)]
struct Position<'e> {
    file: &'e str,
    line: u32,
    column: u32,
    #[serde(skip)]
    place: &'e Place,
}

#[derive(Debug, Serialize)]
struct Route<'e> {
    host: &'e str,
    name: &'e str,
}

#[derive(Debug, Serialize)]
struct Caller<'e> {
    user: &'e str,
    source: &'e str,
    issuer: &'e str,
    groups: Vec<&'e str>,
}

impl<'e> Explanation<'e> {
    pub(in crate::cli) fn new(client: &'e ClientRequest, notes: &'e Notes, outcome: &'e Outcome) -> Explanation<'e> {
        let ClientRequest { method, scheme, host, target, from, .. } = client;
        let step = |note: &'e crate::policy::trace::Note| Step {
            station: note.station.name(),
            text: &note.text,
            place: note.place.as_ref().map(Position::of),
        };
        let walked = match outcome {
            Outcome::Walked(walked) => Some(walked),
            Outcome::Refused(_) => None,
        };
        let decision = walked.map(|walked| &walked.decision);
        let reason = outcome.reason();
        let (mut status, mut set, mut remove) = (reason.status(), BTreeMap::new(), Vec::new());
        let mut headers = BTreeMap::new();
        match walked.map(|walked| &walked.verdict) {
            None => {}
            Some(Verdict::Allow(allow)) => {
                set.extend(allow.headers.set().map(|(name, value)| (name.as_str(), value)));
                remove.extend(allow.headers.remove().iter().map(|name| name.as_str()));
                headers.extend(allow.told.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            }
            Some(Verdict::Deny(denial)) => {
                status = denial.status;
                // Nothing was decided for anybody, so there is no decision to name.
                let told = denial.headers.iter().filter(|(name, _)| *name != DECISION_HEADER);
                headers.extend(told.map(|(name, value)| (name.as_str(), value.as_str())));
            }
        }
        Explanation {
            request: Asked { method, scheme, host, target, from },
            steps: notes.0.iter().map(step).collect(),
            effect: outcome.effect().name(),
            status,
            reason: reason.code(),
            detail: outcome.detail(),
            route: decision.and_then(|decision| decision.route.as_deref()).map(Route::of),
            place: decision.and_then(|decision| decision.place.as_ref()).map(Position::of),
            client_ip: walked.and_then(|walked| walked.address.ip()),
            identity: decision.and_then(|decision| decision.principal.identity()).map(Caller::of),
            set,
            remove,
            headers,
        }
    }

    /// For programs.
    pub(in crate::cli) fn json(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// For people: the steps, the outcome, and the line that decided.
    pub(in crate::cli) fn text(&self, policy: &LoadedPolicy) -> String {
        let Asked { method, scheme, host, target, from } = self.request;
        let mut text =
            format!("{} {} from {}\n\n", Plain(method), Plain(&format!("{scheme}://{host}{target}")), Plain(from));
        let mut last = "";
        for step in &self.steps {
            let station = if step.station == last { "" } else { step.station };
            last = step.station;
            let place = step.place.as_ref().map(|at| format!("  [{}:{}]", at.file, at.line)).unwrap_or_default();
            text.push_str(&format!("  {station:<13} {}{place}\n", Plain(step.text)));
        }
        text.push_str(&format!("\n{} {} {}\n", self.effect, self.status, self.reason));
        if let Some(route) = &self.route {
            text.push_str(&format!("  route `{}` of `{}`\n", route.name, route.host));
        }
        if let Some(detail) = self.detail {
            text.push_str(&format!("  because {}\n", Plain(detail)));
        }
        if let Some(at) = &self.place {
            text.push_str(&format!("  decided at {}\n", at.place));
            text.push_str(&policy.snippet(at.place));
        }
        text
    }
}

impl<'e> Position<'e> {
    fn of(place: &'e Place) -> Position<'e> {
        Position { file: &place.file, line: place.line, column: place.column, place }
    }
}

impl<'e> Route<'e> {
    fn of(route: &'e RouteId) -> Route<'e> {
        Route { host: &route.host, name: &route.name }
    }
}

impl<'e> Caller<'e> {
    fn of(identity: &'e Identity) -> Caller<'e> {
        let groups = identity.groups().iter().collect();
        Caller { user: identity.user(), source: identity.source(), issuer: identity.issuer(), groups }
    }
}
