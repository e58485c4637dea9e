//! Stations 2 to 8 as one plain function: no IO, no clock. `serve`, `explain` and everything that asks "what would it
//! decide" take this very walk.

use std::sync::Arc;

use http::header::LOCATION;
use http::header::WWW_AUTHENTICATE;
use jiff::Timestamp;

use crate::authn::Answers;
use crate::authn::Attempt;
use crate::authn::CredentialPlace;
use crate::authn::Need;
use crate::authn::Note;
use crate::authn::Presented;
use crate::authn::authenticate;
use crate::engine::limit::Budgets;
use crate::engine::limit::Held;
use crate::limit::Purse;
use crate::limit::purse::Stop as At;
use crate::limit::shared::Order;
use crate::model::client_ip::ClientAddress;
use crate::model::decision::Decision;
use crate::model::decision::DecisionId;
use crate::model::identity::Principal;
use crate::model::identity::Terms;
use crate::model::limit::Weighed;
use crate::model::reason::Reason;
use crate::model::record::Counts;
use crate::model::replay::Seen;
use crate::model::request::Request;
use crate::model::response::Allow;
use crate::model::response::AllowHeaders;
use crate::model::response::Verdict;
use crate::policy::Denied;
use crate::policy::Routed;
use crate::policy::condition::RequestFacts;
use crate::policy::denial::Challenge;
use crate::policy::denial::Refused;
use crate::policy::early_data;
use crate::policy::spoof::Spoofed;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;
use crate::snapshot::Snapshot;

/// Where a walk ends, or what it cannot go on without.
#[derive(Debug)]
pub enum Walk {
    Done(Box<Walked>),
    /// Walk again with the answer to this.
    Needs(Need),
    /// Walk again when the purse has heard what the store of limits says to this.
    Takes(Order),
    /// Only of a request that is remembered: nobody knows what these sources would have made of its credentials.
    Unknown,
}

/// A finished walk.
#[derive(Debug)]
pub struct Walked {
    pub decision: Decision,
    pub verdict: Verdict,
    pub address: ClientAddress,
    pub counts: Counts,
    /// The limits that counted it.
    pub limits: Vec<Weighed>,
    /// For the operator, never for the client.
    pub detail: Option<String>,
    /// What became of the credentials.
    pub seen: Seen,
    /// The list of identity sources that was asked, and those that other readings of the path have.
    pub asked: Option<usize>,
    pub also_asked: Vec<usize>,
}

/// What a walk is told besides the request.
#[derive(Clone, Debug)]
pub struct Given {
    pub decision_id: DecisionId,
    pub now: Timestamp,
    /// What earlier walks needed, and what came of it.
    pub answers: Answers,
    /// Take this for granted instead of looking at credentials: `explain --as` and replays, never `serve`.
    pub assumed: Option<Assumed>,
}

/// Who is asking, when credentials are not looked at.
#[derive(Clone, Debug)]
pub enum Assumed {
    /// This caller, whatever the route asks.
    Caller(Principal),
    /// What a log remembers.
    Remembered(Box<Remembered>),
}

/// What identity sources made of the credentials of a request when it was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// The lists of sources that were asked, by their names.
    pub sources: Vec<Vec<String>>,
    /// `None`: nobody was asked.
    pub credentials: Option<Credentials>,
}

/// What they said.
#[derive(Clone, Debug, PartialEq)]
pub enum Credentials {
    Absent,
    Proven(Principal),
    Refused { reason: Reason, login_helps: bool },
}

/// Walk a canonical request through the policy. What it takes from limits it takes from `purse`, which goes along when
/// the walk is taken again.
pub fn walk(
    snapshot: &Snapshot,
    request: &Request<'_>,
    given: &Given,
    purse: &mut Purse,
    trace: &mut impl Trace,
) -> Walk {
    let policy = &snapshot.policy;
    let spoofed = policy.spoof.inspect(&request.headers, request.dialect, trace);
    let address = policy.address.apply(request, trace);
    let facts = RequestFacts {
        address,
        method: request.method,
        query: request.path.query(),
        headers: &request.headers,
        now: given.now,
    };
    let mut visit = Visit {
        snapshot,
        request,
        given,
        address,
        counts: Counts::default(),
        login_helps: false,
        challenge: Challenge::default(),
        detail: None,
        seen: Seen::Nothing,
        asked: None,
        also_asked: Vec::new(),
        budgets: Budgets::default(),
    };
    visit.counts.spoofed = spoofed.count();
    if spoofed.refuse {
        visit.detail = Some(match spoofed.names.as_slice() {
            [] => "the client names an identity header in `connection`".to_owned(),
            names => format!("the client sent {}", names.join(", ")),
        });
        let denied = Denied { reason: Reason::SpoofedHeader, place: None, block: None, route: None };
        return visit.deny(denied, Principal::Anonymous, trace);
    }
    if early_data::must_come_again(request) {
        trace.note(Station::Request, None, || format!("a {} in TLS early data", request.method));
        let denied = Denied { reason: Reason::EarlyData, place: None, block: None, route: None };
        return visit.deny(denied, Principal::Anonymous, trace);
    }
    let routed = match policy.route(request, trace).and_then(|routed| routed.gates(&facts, trace).map(|()| routed)) {
        Ok(routed) => routed,
        Err(denied) => return visit.deny(denied, Principal::Anonymous, trace),
    };
    if let Some(limiter) = &snapshot.limits {
        let dues = limiter.rules.first(&routed, &facts);
        match visit.budgets.take(limiter, (At::Gate, &dues), purse, trace) {
            Ok(()) => {}
            Err(Held::Refused { reason, place }) => {
                return visit.deny(routed.limited(reason, place), Principal::Anonymous, trace);
            }
            Err(Held::Asks(order)) => return Walk::Takes(order),
        }
    }
    let principal = match visit.identify(&routed, trace) {
        Ok(principal) => principal,
        Err(Stop::Needs(need)) => return Walk::Needs(need),
        Err(Stop::Unknown) => return Walk::Unknown,
        Err(Stop::Denied(reason)) => {
            visit.seen = Seen::Refused { login_helps: visit.login_helps };
            let denied = Denied {
                reason,
                place: Some(routed.route.id.place.clone()),
                block: Some(routed.block),
                route: Some(routed.route),
            };
            return visit.deny(denied, Principal::Anonymous, trace);
        }
    };
    match routed.decide(&principal, facts, trace) {
        Ok(reason) => visit.allow(&routed, reason, principal, (&facts, &spoofed), purse, trace),
        Err(denied) => visit.deny(denied, principal, trace),
    }
}

/// What is gathered on the way.
struct Visit<'r> {
    snapshot: &'r Snapshot,
    request: &'r Request<'r>,
    given: &'r Given,
    address: ClientAddress,
    counts: Counts,
    login_helps: bool,
    challenge: Challenge,
    detail: Option<String>,
    seen: Seen,
    asked: Option<usize>,
    also_asked: Vec<usize>,
    budgets: Budgets,
}

/// Why there is no principal.
enum Stop {
    Needs(Need),
    Unknown,
    Denied(Reason),
}

impl Visit<'_> {
    /// Station 5: the route's identity sources. A public route looks at no credential.
    fn identify<T: Trace>(&mut self, routed: &Routed<'_>, trace: &mut T) -> Result<Principal, Stop> {
        let (snapshot, request, given) = (self.snapshot, self.request, self.given);
        if routed.asks_nobody() {
            return Ok(Principal::Anonymous);
        }
        self.asked = Some(routed.route.sources.list);
        self.also_asked.extend(routed.other_sources());
        match &given.assumed {
            None => {}
            Some(Assumed::Caller(assumed)) => {
                trace.note(Station::Authenticate, None, || format!("taken for granted: {}", describe(assumed)));
                return Ok(assumed.clone());
            }
            Some(Assumed::Remembered(remembered)) => return self.remember(remembered, trace),
        }
        let attempt = |list: usize, trace: &mut T| {
            let sources = snapshot.sources.get(list).map_or(&[][..], Vec::as_slice);
            let mut note = |note: Note<'_>| trace.note(Station::Authenticate, None, || note.to_string());
            authenticate(sources, &Presented::of(request, self.address.ip()), given.now, &given.answers, &mut note)
        };
        self.challenge = snapshot.challenge(routed.route.sources.list);
        let principal = match attempt(routed.route.sources.list, trace) {
            Attempt::Verified(identity) => {
                if let Some(revocation) = snapshot.revocations.find(&identity) {
                    let detail = format!("revoked in {}", revocation.written);
                    trace.note(Station::Authenticate, None, || format!("refused: {detail}"));
                    self.detail = Some(detail);
                    return Err(Stop::Denied(Reason::Revoked));
                }
                let principal = Principal::Identified(identity);
                trace.note(Station::Authenticate, None, || format!("proven: {}", describe(&principal)));
                self.seen = Seen::Proven;
                principal
            }
            Attempt::Absent => {
                self.login_helps = true;
                self.seen = Seen::Absent;
                Principal::Anonymous
            }
            Attempt::Needs(need) => return Err(Stop::Needs(need)),
            Attempt::Rejected(rejection) => {
                let stale_cookie =
                    rejection.reason == Reason::TokenExpired && rejection.place == Some(CredentialPlace::Cookie);
                self.login_helps = stale_cookie && !rejection.bearer_present;
                trace.note(Station::Authenticate, None, || format!("refused: {}", rejection.detail));
                self.detail = Some(rejection.detail);
                return Err(Stop::Denied(rejection.reason));
            }
        };
        // Another reading may be another route with other sources: they must know this very caller, too.
        for list in routed.other_sources() {
            let same = match attempt(list, trace) {
                Attempt::Verified(identity) => principal == Principal::Identified(identity),
                Attempt::Absent => principal == Principal::Anonymous,
                Attempt::Needs(need) => return Err(Stop::Needs(need)),
                Attempt::Rejected(_) => false,
            };
            if !same {
                return Err(Stop::Denied(Reason::AmbiguousPath));
            }
        }
        Ok(principal)
    }

    /// Station 5 of a request that is only remembered: the same, if the same sources are asked.
    fn remember(&mut self, remembered: &Remembered, trace: &mut impl Trace) -> Result<Principal, Stop> {
        let sources = self.snapshot.source_names(self.asked.into_iter().chain(self.also_asked.iter().copied()));
        let Some(credentials) = remembered.credentials.as_ref().filter(|_| sources.iter().eq(&remembered.sources))
        else {
            return Err(Stop::Unknown);
        };
        self.challenge = self.asked.map(|list| self.snapshot.challenge(list)).unwrap_or_default();
        match credentials {
            Credentials::Absent => {
                trace.note(Station::Authenticate, None, || "remembered: no credential".to_owned());
                (self.login_helps, self.seen) = (true, Seen::Absent);
                Ok(Principal::Anonymous)
            }
            Credentials::Proven(principal) => {
                trace.note(Station::Authenticate, None, || format!("remembered: {}", describe(principal)));
                self.seen = Seen::Proven;
                Ok(principal.clone())
            }
            Credentials::Refused { reason, login_helps } => {
                trace.note(Station::Authenticate, None, || format!("remembered: refused, {reason}"));
                self.login_helps = *login_helps;
                Err(Stop::Denied(*reason))
            }
        }
    }

    /// Stations 7 and 8 for an allow: what is counted for the caller, when nothing else is in the way; then every owned
    /// header is set or made absent.
    fn allow(
        mut self,
        routed: &Routed<'_>,
        reason: Reason,
        principal: Principal,
        (facts, spoofed): (&RequestFacts<'_>, &Spoofed),
        purse: &mut Purse,
        trace: &mut impl Trace,
    ) -> Walk {
        let headers = match self.allow_headers(routed, &principal, spoofed) {
            Ok(headers) => headers,
            Err(reason) => {
                let denied = Denied {
                    reason,
                    place: Some(routed.route.id.place.clone()),
                    block: Some(routed.block),
                    route: Some(routed.route),
                };
                return self.deny(denied, principal, trace);
            }
        };
        if let Some(limiter) = &self.snapshot.limits {
            let mentioned = &self.snapshot.policy.headers.group_rule.mentioned;
            let dues = limiter.rules.then(routed, &principal, facts, |group| mentioned.contains(group));
            match self.budgets.take(limiter, (At::Caller, &dues), purse, trace) {
                Ok(()) => {}
                Err(Held::Refused { reason, place }) => {
                    return self.deny(routed.limited(reason, place), principal, trace);
                }
                Err(Held::Asks(order)) => return Walk::Takes(order),
            }
        }
        for (number, name) in headers.names().iter().enumerate() {
            // An assertion is a credential, and an explanation is passed around.
            let assertion = self.snapshot.policy.headers.assertion.as_ref() == Some(name);
            trace.note(Station::Respond, None, || match assertion {
                true => format!("set {name}: a signed assertion"),
                false => format!("set {name}: {}", headers.value(number)),
            });
        }
        for name in headers.remove() {
            trace.note(Station::Respond, None, || format!("remove {name}"));
        }
        let decision = Decision {
            reason,
            route: Some(routed.route.id.clone()),
            place: Some(routed.route.id.place.clone()),
            principal,
        };
        let told = self.budgets.headers();
        self.done(decision, Verdict::Allow(Allow { reason, headers, told }))
    }

    /// What the allow changes in the request, or why the identity cannot be carried.
    fn allow_headers(
        &mut self,
        routed: &Routed<'_>,
        principal: &Principal,
        spoofed: &Spoofed,
    ) -> Result<Arc<AllowHeaders>, Reason> {
        let (snapshot, sources) = (self.snapshot, routed.route.sources.list);
        let fresh = |set| snapshot.headers_with(set, spoofed.removable().collect(), sources);
        // Nothing in them is of this request alone.
        let lasting = spoofed.names.is_empty() && snapshot.assertions.is_none();
        let mut counts = Counts::default();
        let headers = match principal.identity() {
            None if lasting => snapshot.nobodys_headers(sources),
            None => Arc::new(fresh(Vec::new())),
            Some(identity) if lasting => {
                let terms = Terms { policy: Arc::clone(&snapshot.digest), sources };
                let (headers, dropped) = identity.allow_headers(terms, || {
                    let mut counts = Counts::default();
                    let set = snapshot.policy.headers.of(identity, &mut counts)?;
                    Ok((snapshot.lasting_headers(set, sources), counts))
                })?;
                counts = dropped;
                headers
            }
            Some(identity) => {
                let mut set = snapshot.policy.headers.of(identity, &mut counts)?;
                if let Some(assertions) = &snapshot.assertions {
                    let signed = assertions.sign(identity, self.request.host.name(), self.given.now);
                    set.push((assertions.header().clone(), signed.ok_or(Reason::GroupsTooLarge)?));
                }
                Arc::new(fresh(set))
            }
        };
        self.counts.dropped_groups += counts.dropped_groups;
        self.counts.dropped_values += counts.dropped_values;
        Ok(headers)
    }

    /// Station 8 for a denial.
    fn deny(mut self, denied: Denied<'_>, principal: Principal, trace: &mut impl Trace) -> Walk {
        let refused = Refused {
            reason: denied.reason,
            decision_id: self.given.decision_id,
            request: Some(self.request),
            block: denied.block,
            login_helps: self.login_helps,
            challenge: self.challenge,
        };
        let mut denial = refused.denial();
        match denied.reason {
            Reason::RateLimited => {
                denial.headers.extend(self.budgets.headers());
                self.detail = self.budgets.refused_by().map(|limit| format!("past the limit `{limit}`"));
            }
            Reason::LimitsUnavailable => {
                let limit = self.budgets.refused_by();
                self.detail = limit.map(|limit| format!("the store of the limit `{limit}` cannot be asked"));
            }
            _ => {}
        }
        trace.note(Station::Respond, denied.place.as_ref(), || format!("{} {}", denial.status, denial.reason));
        for (name, value) in denial.headers.iter().filter(|(name, _)| *name == LOCATION || *name == WWW_AUTHENTICATE) {
            trace.note(Station::Respond, None, || format!("{name}: {value}"));
        }
        let route = denied.route.map(|route| route.id.clone());
        let decision = Decision { reason: denied.reason, route, place: denied.place, principal };
        self.done(decision, Verdict::Deny(denial))
    }

    fn done(self, decision: Decision, verdict: Verdict) -> Walk {
        let Visit { address, counts, detail, seen, asked, also_asked, budgets, .. } = self;
        let limits = budgets.weighed;
        Walk::Done(Box::new(Walked { decision, verdict, address, counts, limits, detail, seen, asked, also_asked }))
    }
}

/// A caller in words, for a trace.
fn describe(principal: &Principal) -> String {
    let Some(identity) = principal.identity() else { return "an anonymous caller".to_owned() };
    let groups = match identity.groups() {
        groups if groups.is_empty() => "no groups".to_owned(),
        groups => format!("groups {}", groups.join(", ")),
    };
    format!("`{}` of {}, {groups}", identity.user(), identity.source())
}

#[cfg(test)]
mod tests;
