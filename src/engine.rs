//! The corridor: one function from a decoded check to its answer, the same for every dialect.

pub mod example;
mod limit;
pub mod replay;
pub mod walk;

use std::hash::BuildHasher;
use std::hash::RandomState;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use arc_swap::ArcSwap;

use crate::audit::Audit;
use crate::authn::Answer;
use crate::authn::Answers;
use crate::authn::Need;
use crate::engine::walk::Given;
use crate::engine::walk::Walk;
use crate::engine::walk::Walked;
use crate::limit::Purse;
use crate::limit::shared::Order;
use crate::model::decision::Decision;
use crate::model::decision::DecisionId;
use crate::model::decision::Effect;
use crate::model::header::Headers;
use crate::model::reason::Reason;
use crate::model::record::Client;
use crate::model::record::Counts;
use crate::model::record::Record;
use crate::model::request::Attributes;
use crate::model::request::Refusal;
use crate::model::request::Request;
use crate::model::response::Response;
use crate::model::response::Verdict;
use crate::model::status::AuditStatus;
use crate::model::trace::TraceContext;
use crate::policy::address::AddressRule;
use crate::policy::denial::Challenge;
use crate::policy::denial::Refused;
use crate::policy::trace::Silent;
use crate::snapshot::Snapshot;
use crate::telemetry::Telemetry;
use crate::telemetry::clock;

/// How long a check waits for others when its caller states no deadline.
const WAIT_WITHOUT_DEADLINE: Duration = Duration::from_millis(100);

/// A walk that ends so is none of ours: see [`Walk::Unknown`].
const NOT_REMEMBERED: &str = "a request that is there was taken for one that is remembered";

/// Answers checks with the current [`Snapshot`].
pub struct Engine {
    snapshot: ArcSwap<Snapshot>,
    telemetry: Arc<Telemetry>,
    audit: Option<Arc<Audit>>,
    /// Makes decision ids of this process differ from those of every other.
    process: u32,
    answered: AtomicU64,
}

impl Engine {
    /// An engine that decides by `snapshot`.
    pub fn new(snapshot: Arc<Snapshot>, telemetry: Arc<Telemetry>) -> Engine {
        // The standard library seeds its hashers from the system. A cryptographic generator would spend 30 ms on
        // starting up, and ids need to be distinct, not secret.
        let random = RandomState::new().hash_one(0_u64);
        let process = (random & u64::from(u32::MAX)) as u32;
        Engine { snapshot: ArcSwap::new(snapshot), telemetry, audit: None, process, answered: AtomicU64::new(0) }
    }

    /// The same, which keeps a line of every decision here.
    pub fn with_audit(self, audit: Arc<Audit>) -> Engine {
        Engine { audit: Some(audit), ..self }
    }

    /// What decides now. A request takes it once and keeps it to its end.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// From now on decide by this. Requests under way keep what they took.
    pub fn exchange(&self, snapshot: Arc<Snapshot>) {
        self.snapshot.store(snapshot);
    }

    /// How the audit log stands, if there is one.
    pub fn audit_status(&self) -> Option<AuditStatus> {
        self.audit.as_ref().map(|audit| audit.status())
    }

    /// Counters and clocks.
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        &self.telemetry
    }

    /// Answer one check, waiting where it must. It waits for others at most half of the caller's deadline, all waits
    /// together.
    pub async fn authorize(&self, attributes: Result<Attributes<'_>, Refusal>, deadline: Option<Duration>) -> Response {
        self.check(attributes, deadline).answer().await
    }

    /// Answer one check at once where that can be done, which is nearly always.
    pub fn check<'e, 'w>(
        &'e self,
        attributes: Result<Attributes<'w>, Refusal>,
        deadline: Option<Duration>,
    ) -> Checked<impl Future<Output = Response> + Send + use<'e, 'w>> {
        let attributes = match attributes {
            Ok(attributes) => attributes,
            Err(refusal) => return Checked::Answered(self.refuse(&refusal)),
        };
        let started = clock::instant();
        let now = clock::now();
        let ignored_forwarding = attributes.ignored_forwarding;
        let trace = self.trace(&attributes.headers);
        let snapshot = self.snapshot();
        let request = match Request::parse(attributes) {
            Ok(request) => request,
            Err(refusal) => {
                let counts = Counts { ignored_forwarding, ..Counts::default() };
                return Checked::Answered(self.refused(&refusal, &snapshot, trace, counts, Some(started.elapsed())));
            }
        };
        let given = Given { decision_id: self.next_id(now), now, answers: Answers::none(), assumed: None };
        let mut purse = Purse::taking(started);
        match walk::walk(&snapshot, &request, &given, &mut purse, &mut Silent) {
            Walk::Done(walked) => {
                let open = Open { engine: self, snapshot, request, given, purse, started, trace, ignored_forwarding };
                Checked::Answered(open.close(*walked))
            }
            Walk::Unknown => {
                let open = Open { engine: self, snapshot, request, given, purse, started, trace, ignored_forwarding };
                Checked::Answered(open.fault(NOT_REMEMBERED))
            }
            Walk::Needs(need) => {
                let open = Open { engine: self, snapshot, request, given, purse, started, trace, ignored_forwarding };
                Checked::Waits(open.wait(Wanted::Answer(need), patience(deadline)))
            }
            Walk::Takes(order) => {
                let open = Open { engine: self, snapshot, request, given, purse, started, trace, ignored_forwarding };
                Checked::Waits(open.wait(Wanted::Budgets(order), patience(deadline)))
            }
        }
    }

    /// Answer a check that cannot be judged at all: undecodable, over capacity, past its deadline, or after a panic.
    pub fn refuse(&self, refusal: &Refusal) -> Response {
        self.refused(refusal, &self.snapshot(), None, Counts::default(), None)
    }

    /// The trace that a request is part of, where somebody is told of it.
    fn trace(&self, headers: &Headers<'_>) -> Option<TraceContext> {
        let told = self.audit.is_some() || self.telemetry.names_traces();
        told.then(|| TraceContext::of(headers)).flatten()
    }

    fn refused(
        &self,
        refusal: &Refusal,
        snapshot: &Snapshot,
        trace: Option<TraceContext>,
        counts: Counts,
        took: Option<Duration>,
    ) -> Response {
        let now = clock::now();
        let decision_id = self.next_id(now);
        // A refusal is a denial whatever reason it was given.
        let reason = if refusal.reason.allows() { Reason::Internal } else { refusal.reason };
        let challenge = Challenge::default();
        let refused = Refused { reason, decision_id, request: None, block: None, login_helps: false, challenge };
        let verdict = Verdict::Deny(refused.denial());
        let record = Record {
            at: now,
            decision_id,
            dialect: refusal.dialect,
            decision: &Decision::deny(reason),
            status: status(&verdict),
            method: None,
            host: None,
            path: None,
            query: None,
            client: None,
            mentioned: None,
            policy: &snapshot.digest,
            generation: snapshot.generation,
            took,
            trace,
            replay: None,
            detail: Some(&refusal.detail),
            limits: &[],
            counts,
        };
        if let Some(audit) = &self.audit {
            // A denial stays one, with a line or without.
            audit.record(&record);
        }
        self.telemetry.record(&record);
        Response { decision_id, verdict }
    }

    /// 48 bits of milliseconds, 32 bits of this process, 48 bits of a counter.
    fn next_id(&self, now: jiff::Timestamp) -> DecisionId {
        let millisecond = now.as_millisecond().max(0).cast_unsigned() & 0xFFFF_FFFF_FFFF;
        let count = self.answered.fetch_add(1, Ordering::Relaxed) & 0xFFFF_FFFF_FFFF;
        DecisionId(u128::from(millisecond) << 80 | u128::from(self.process) << 48 | u128::from(count))
    }
}

/// What became of a check.
pub enum Checked<F> {
    Answered(Response),
    /// It cannot be answered without something that others have.
    Waits(F),
}

impl<F: Future<Output = Response>> Checked<F> {
    /// The same with the wait on the heap: few checks wait, and the others have no use for its kilobyte.
    pub fn boxed<'f>(self) -> Checked<Pin<Box<dyn Future<Output = Response> + Send + 'f>>>
    where
        F: Send + 'f,
    {
        match self {
            Checked::Answered(response) => Checked::Answered(response),
            Checked::Waits(response) => Checked::Waits(Box::pin(response)),
        }
    }

    /// The answer, however long it takes.
    pub async fn answer(self) -> Response {
        match self {
            Checked::Answered(response) => response,
            Checked::Waits(response) => response.await,
        }
    }
}

/// What a walk waits for.
enum Wanted {
    Answer(Need),
    Budgets(Order),
}

/// How long a check waits for others, all waits together.
fn patience(deadline: Option<Duration>) -> Duration {
    deadline.map_or(WAIT_WITHOUT_DEADLINE, |deadline| deadline / 2)
}

/// A check under way.
struct Open<'e, 'w> {
    engine: &'e Engine,
    snapshot: Arc<Snapshot>,
    request: Request<'w>,
    given: Given,
    /// What it has taken from limits so far.
    purse: Purse,
    started: Instant,
    trace: Option<TraceContext>,
    ignored_forwarding: u32,
}

impl Open<'_, '_> {
    /// Walk again with every answer, until the walk comes to its end.
    async fn wait(mut self, mut wanted: Wanted, patience: Duration) -> Response {
        // All waits together end then.
        let until = clock::after(patience);
        loop {
            let first = match wanted {
                Wanted::Answer(need) => {
                    let source = need.source.clone();
                    let answer = tokio::time::timeout_at(until, need.answer(self.given.now)).await;
                    self.given.answers.keep(source, answer.unwrap_or(Answer::Late))
                }
                Wanted::Budgets(order) => {
                    let asked = clock::instant();
                    // What others have taken of the time is no way around a limit.
                    let left = until.saturating_duration_since(clock::after(Duration::ZERO));
                    let (heard, how) = order.place(left.max(patience / 4)).await;
                    self.engine.telemetry.metrics().asked_limits(how, asked.elapsed());
                    self.purse.hear(order.stop, heard)
                }
            };
            if !first {
                return self.fault("a station asks for ever");
            }
            wanted = match walk::walk(&self.snapshot, &self.request, &self.given, &mut self.purse, &mut Silent) {
                Walk::Done(walked) => return self.close(*walked),
                Walk::Needs(need) => Wanted::Answer(need),
                Walk::Takes(order) => Wanted::Budgets(order),
                Walk::Unknown => return self.fault(NOT_REMEMBERED),
            };
        }
    }

    /// A fault of ours: the request does not pass.
    fn fault(&self, detail: &str) -> Response {
        let refusal = Refusal { dialect: self.request.dialect, reason: Reason::Internal, detail: detail.to_owned() };
        let counts = Counts { ignored_forwarding: self.ignored_forwarding, ..Counts::default() };
        self.engine.refused(&refusal, &self.snapshot, self.trace, counts, Some(self.started.elapsed()))
    }

    /// Account for the end of the walk, and answer.
    fn close(&self, walked: Walked) -> Response {
        let keeps_replays = self.engine.audit.as_ref().is_some_and(|audit| audit.keeps_replays());
        let replay = keeps_replays.then(|| replay::replayable(&self.snapshot, &self.request, &walked));
        let Walked { decision, verdict, address, mut counts, limits, detail, .. } = walked;
        counts.ignored_forwarding = self.ignored_forwarding;
        let path = self.request.path.canonical_text();
        let snapshot = &self.snapshot;
        let decision_id = self.given.decision_id;
        let record = Record {
            at: self.given.now,
            decision_id,
            dialect: self.request.dialect,
            decision: &decision,
            status: status(&verdict),
            method: Some(self.request.method),
            host: Some(self.request.host.name()),
            path: Some(&path),
            query: self.request.path.query(),
            client: Some(Client { address, from: from(&snapshot.policy.address) }),
            mentioned: Some(&snapshot.policy.headers.group_rule.mentioned),
            policy: &snapshot.digest,
            generation: snapshot.generation,
            took: Some(self.started.elapsed()),
            trace: self.trace,
            replay,
            detail: detail.as_deref(),
            limits: &limits,
            counts,
        };
        if let Some(audit) = &self.engine.audit
            && !audit.record(&record)
            && audit.is_required()
            && decision.effect() == Effect::Allow
        {
            return self.without_line(&record);
        }
        self.engine.telemetry.record(&record);
        Response { decision_id, verdict }
    }

    /// An allow of which no line can be kept, where nobody may pass without one.
    fn without_line(&self, allowed: &Record<'_>) -> Response {
        let reason = Reason::AuditUnavailable;
        let decision_id = allowed.decision_id;
        let request = Some(&self.request);
        let challenge = Challenge::default();
        let refused = Refused { reason, decision_id, request, block: None, login_helps: false, challenge };
        let verdict = Verdict::Deny(refused.denial());
        let decision = Decision { reason, ..allowed.decision.clone() };
        let record = Record { decision: &decision, status: status(&verdict), ..allowed.clone() };
        if let Some(audit) = &self.engine.audit {
            // The file may have room for it though a collector has none.
            audit.record(&record);
        }
        self.engine.telemetry.record(&record);
        Response { decision_id, verdict }
    }
}

/// How the client's address is found, as `client_ip.from` writes it.
fn from(rule: &AddressRule) -> &'static str {
    match rule {
        AddressRule::Dialect => "dialect",
        AddressRule::ForwardedFor { .. } => "xff",
        AddressRule::Forwarded { .. } => "forwarded",
        AddressRule::Header(_) => "header",
    }
}

fn status(verdict: &Verdict) -> u16 {
    match verdict {
        Verdict::Allow(_) => 200,
        Verdict::Deny(denial) => denial.status,
    }
}

#[cfg(test)]
mod tests;
