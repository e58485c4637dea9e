//! Examples, tried: the very walk of `serve`, for requests that somebody wrote down.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::authn::Answers;
use crate::engine::walk;
use crate::engine::walk::Assumed;
use crate::engine::walk::Given;
use crate::engine::walk::Walk;
use crate::limit::Purse;
use crate::model::decision::DecisionId;
use crate::model::decision::Effect;
use crate::model::decision::RouteId;
use crate::model::dialect::Dialect;
use crate::model::example::Example;
use crate::model::example::ExampleRequest;
use crate::model::example::Expected;
use crate::model::header::Headers;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::reason::Reason;
use crate::model::request::Attributes;
use crate::model::request::Request;
use crate::model::request::StatedAddress;
use crate::model::request::StatedCertificate;
use crate::model::response::Verdict;
use crate::policy::address::AddressRule;
use crate::policy::condition::Condition;
use crate::policy::route::Access;
use crate::policy::trace::Notes;
use crate::policy::trace::Trace;
use crate::snapshot::Snapshot;
use crate::telemetry::clock;

/// The most failures that are reported of one example: its lists may hold thousands of requests.
const MOST_FAILURES: usize = 3;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub effect: Effect,
    /// As Envoy passes it on: 200 for an allow.
    pub status: u16,
    pub reason: Reason,
    pub route: Option<RouteId>,
    /// What decided.
    pub place: Option<Place>,
    /// What is set, on the request that passes or on the answer that denies it; lower-case names.
    pub headers: Vec<(String, String)>,
    /// For the operator.
    pub detail: Option<String>,
}

/// Try every example of a policy. A failure is an error at its place.
pub fn prove(snapshot: &Snapshot) -> Problems {
    let mut problems = Problems::default();
    if snapshot.examples.is_empty() {
        return problems;
    }
    let (now, clocks) = (clock::now(), Clocks::of(snapshot));
    for example in &snapshot.examples {
        let failures = example.requests.iter().filter_map(|request| {
            let mut notes = Notes::default();
            let judged = judge(snapshot, request, now, &mut notes);
            let wrong = clocks.lacking(request, &notes).map(str::to_owned).or_else(|| match judged {
                Ok(judged) => wrong(example, &judged),
                Err(lacking) => Some(lacking),
            })?;
            Some(format!("{request}: {wrong}"))
        });
        for failure in failures.take(MOST_FAILURES) {
            problems.push(
                Problem::error(example.place.clone(), "", format!("this example fails: {failure}"))
                    .help("`postern explain` shows every step; is the policy wrong, or the example?"),
            );
        }
    }
    problems
}

/// Where a policy looks at the clock. What holds at noon must not refuse the policy at night.
#[derive(Debug)]
pub struct Clocks(HashSet<Place>);

impl Clocks {
    /// Those of this policy.
    pub fn of(snapshot: &Snapshot) -> Clocks {
        let mut places = HashSet::new();
        for route in snapshot.policy.hosts.iter().flat_map(|block| block.routes.iter()) {
            let Access::Require(requirement) = &route.access else { continue };
            requirement.conditions(&mut |condition, place| {
                if let Condition::Schedule(_) = condition {
                    places.insert(place.clone());
                }
            });
        }
        Clocks(places)
    }

    /// What a request lacks that was judged by the clock and does not say when it came.
    pub fn lacking(&self, request: &ExampleRequest, notes: &Notes) -> Option<&'static str> {
        let mut looked = notes.0.iter().filter_map(|note| note.place.as_ref());
        let timeless = request.at.is_none() && looked.any(|place| self.0.contains(place));
        timeless.then_some("what becomes of it depends on the time: write `at`, as `at: 2027-01-31T12:00:00Z`")
    }
}

/// What the policy makes of it. `Err`: it cannot be told.
pub fn judge(
    snapshot: &Snapshot,
    asked: &ExampleRequest,
    now: Timestamp,
    trace: &mut impl Trace,
) -> Result<Judged, String> {
    let mut headers = Headers::new(false);
    for (name, value) in &asked.headers {
        headers.push(name, value.as_bytes());
    }
    // Where a header says who the client is, the example says it in `from`, too.
    if let AddressRule::Header(name) = &snapshot.policy.address
        && !asked.headers.iter().any(|(written, _)| written.eq_ignore_ascii_case(name))
    {
        headers.push(name, asked.from.as_bytes());
    }
    let attributes = Attributes {
        dialect: Dialect::ExtAuthz,
        method: &asked.method,
        scheme: Some(asked.scheme),
        host: &asked.host,
        target: &asked.target,
        address: StatedAddress { peer: Some(&asked.from), forwarded_for: Vec::new() },
        certificate: StatedCertificate::default(),
        headers,
        ignored_forwarding: 0,
    };
    let request = match Request::parse(attributes) {
        Ok(request) => request,
        Err(refusal) => {
            return Ok(Judged {
                effect: Effect::Deny,
                status: refusal.reason.status(),
                reason: refusal.reason,
                route: None,
                place: None,
                headers: Vec::new(),
                detail: Some(refusal.detail),
            });
        }
    };
    let assumed = asked.caller.clone().map(Assumed::Caller);
    let given = Given { decision_id: DecisionId(0), now: asked.at.unwrap_or(now), answers: Answers::none(), assumed };
    match walk::walk(snapshot, &request, &given, &mut Purse::looking(clock::instant()), trace) {
        Walk::Done(walked) => {
            let (status, headers) = match &walked.verdict {
                Verdict::Allow(allow) => {
                    let set = allow.headers.set().map(|(name, value)| (name.as_str().to_owned(), value.to_owned()));
                    (200, set.collect())
                }
                Verdict::Deny(denial) => {
                    let told = denial.headers.iter().map(|(name, value)| (name.to_string(), value.to_string()));
                    (denial.status, told.collect())
                }
            };
            let decision = walked.decision;
            Ok(Judged {
                effect: decision.effect(),
                status,
                reason: decision.reason,
                route: decision.route.map(|route| (*route).clone()),
                place: decision.place,
                headers,
                detail: walked.detail,
            })
        }
        Walk::Needs(need) => {
            Err(format!("it cannot be told without asking the identity source `{}`: write `as`", need.source))
        }
        Walk::Takes(_) | Walk::Unknown => Err("it cannot be told".to_owned()),
    }
}

/// What is otherwise than it should be; `None` where nothing is.
pub fn wrong(example: &Example, judged: &Judged) -> Option<String> {
    let Expected { effect, status, reason, route, headers, absent } = &example.expected;
    let mut wanted = Vec::new();
    if let Some(effect) = effect.filter(|effect| *effect != judged.effect) {
        wanted.push(format!("`{}`", effect.name()));
    }
    if let Some(status) = status.filter(|status| *status != judged.status) {
        wanted.push(format!("status {status}"));
    }
    if let Some(reason) = reason.filter(|reason| *reason != judged.reason) {
        wanted.push(format!("`{}`", reason.code()));
    }
    let decided_by = judged.route.as_ref();
    if let Some(route) = route.as_ref().filter(|route| decided_by.is_none_or(|by| *by.name != ***route)) {
        wanted.push(format!("route `{route}`"));
    }
    // Whoever stands in a route to be let in is let in by it. Who denies matters less: another spelling may lead elsewhere.
    let elsewhere = judged.effect == Effect::Allow
        && example.under.as_ref().is_some_and(|under| decided_by.is_none_or(|by| by.place != *under));
    if elsewhere && route.is_none() {
        wanted.push("the route it stands in".to_owned());
    }
    let said = |name: &String| judged.headers.iter().find(|(set, _)| set == name).map(|(_, value)| value);
    for (name, values) in headers {
        match said(name) {
            None => wanted.push(format!("header `{name}`, which is not set")),
            Some(value) if !values.iter().any(|wanted| wanted == value) => {
                wanted.push(format!("header `{name}: {}`, which is `{value}`", values.join("` or `")));
            }
            Some(_) => {}
        }
    }
    wanted.extend(absent.iter().filter(|name| said(name).is_some()).map(|name| format!("no header `{name}`")));
    (!wanted.is_empty()).then(|| format!("{judged}, and this was expected: {}", wanted.join(", ")))
}

/// `denied with 403 requirement_failed by route `/x` of `app.test` [policy.yaml:12]`.
impl std::fmt::Display for Judged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let effect = match self.effect {
            Effect::Allow => "allowed",
            Effect::Deny => "denied",
        };
        write!(f, "{effect} with {} {}", self.status, self.reason.code())?;
        if let Some(route) = &self.route {
            write!(f, " by route `{}` of `{}`", route.name, route.host)?;
        }
        if let Some(place) = &self.place {
            write!(f, " [{}:{}]", place.file, place.line)?;
        }
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}
