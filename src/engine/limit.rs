//! Limits on a walk: what a request takes, what its answer says of it, and what is kept for the record.

use std::sync::Arc;

use http::HeaderName;
use http::header::RETRY_AFTER;

use crate::limit::Purse;
use crate::limit::purse::Counted;
use crate::limit::purse::Stop;
use crate::limit::shared::Order;
use crate::model::header::HeaderText;
use crate::model::limit::Rate;
use crate::model::limit::Standing;
use crate::model::limit::Take;
use crate::model::limit::Weighed;
use crate::model::limit::Weight;
use crate::model::problem::Place;
use crate::model::reason::Reason;
use crate::policy::limit::Due;
use crate::policy::limit::Limit;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;
use crate::snapshot::Limiter;

/// What limits have to do with one request.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    /// For the record, each limit once.
    pub(super) weighed: Vec<Weighed>,
    standings: Vec<Stands>,
}

/// One budget, as the client is told.
#[derive(Debug)]
struct Stands {
    limit: Arc<Limit>,
    rate: Rate,
    standing: Standing,
}

/// Why a walk does not go on.
#[derive(Debug)]
pub(super) enum Held {
    /// A limit refuses, which stands there.
    Refused { reason: Reason, place: Place },
    /// A store must be asked over the network.
    Asks(Order),
}

impl Budgets {
    /// Take what is due.
    pub(super) fn take(
        &mut self,
        limiter: &Limiter,
        (stop, dues): (Stop, &[Due<'_>]),
        purse: &mut Purse,
        trace: &mut impl Trace,
    ) -> Result<(), Held> {
        if dues.is_empty() {
            return Ok(());
        }
        let rates = || dues.iter().enumerate().flat_map(|(of, due)| due.limit.rates.iter().map(move |rate| (of, rate)));
        let takes: Vec<Take<'_>> = rates()
            .filter_map(|(of, rate)| {
                let Due { limit, who, cost } = *dues.get(of)?;
                let Limit { definition, shadow, shared, .. } = **limit;
                Some(Take { definition, who, rate: *rate, cost, limit: of, shadow, shared })
            })
            .collect();
        let drawn = purse.take(stop, &takes, &limiter.stores).map_err(Held::Asks)?;
        let counts: Vec<(usize, &Rate, Counted)> =
            rates().zip(&drawn.counts).map(|((of, rate), counted)| (of, rate, *counted)).collect();
        let mut refusing = None;
        for (number, due) in dues.iter().enumerate() {
            let limit = due.limit;
            let of_limit = || counts.iter().filter(move |(of, ..)| *of == number);
            let weight = weight(limit, of_limit().map(|(_, _, counted)| counted));
            // Of a request that another limit refuses, this one has counted nothing.
            if let Some(weight) = weight.filter(|weight| weight.refuses() || drawn.admitted) {
                self.weigh(limit, weight);
            }
            trace.note(Station::Limit, Some(&limit.place), || describe(due, weight, of_limit()));
            if let Some(weight) = weight.filter(|weight| weight.refuses()) {
                let reason = match weight {
                    Weight::Unavailable => Reason::LimitsUnavailable,
                    Weight::Allowed | Weight::Limited | Weight::Shadow | Weight::Uncounted => Reason::RateLimited,
                };
                refusing.get_or_insert((reason, limit.place.clone()));
            }
            if !limit.shadow {
                self.standings.extend(of_limit().filter_map(|(_, rate, counted)| match counted {
                    Counted::Stands(standing) => {
                        Some(Stands { limit: Arc::clone(limit), rate: **rate, standing: *standing })
                    }
                    Counted::Unasked | Counted::Uncounted | Counted::Unavailable => None,
                }));
            }
        }
        match refusing {
            // INVARIANT: whatever is not admitted is refused, and by whom is only said where it is known.
            None if drawn.admitted => Ok(()),
            None => {
                let place = dues.first().map_or_else(|| Place::whole(""), |due| due.limit.place.clone());
                Err(Held::Refused { reason: Reason::RateLimited, place })
            }
            Some((reason, place)) => Err(Held::Refused { reason, place }),
        }
    }

    /// The limit that refused the request.
    pub(super) fn refused_by(&self) -> Option<&Arc<str>> {
        self.weighed.iter().find(|weighed| weighed.outcome.refuses()).map(|weighed| &weighed.limit)
    }

    /// The headers that tell a client how it stands: draft-ietf-httpapi-ratelimit-headers, and those of before. When
    /// it is refused, the time to come again as well (RFC 9110 §10.2.3).
    pub(super) fn headers(&self) -> Vec<(HeaderName, HeaderText)> {
        let Some(tightest) = self.standings.iter().min_by_key(|stands| stands.tightness()) else { return Vec::new() };
        let (mut policy, mut state) = (Vec::new(), Vec::new());
        for (number, stands) in self.standings.iter().enumerate() {
            let label = self.label(number, stands);
            policy.push(format!("\"{label}\";q={};w={}", stands.rate.quota(), stands.rate.window().seconds()));
            state.push(format!("\"{label}\";r={};t={}", stands.standing.remaining, seconds(stands.standing.full_in)));
        }
        let wait = self.standings.iter().filter_map(|stands| stands.standing.wait).max();
        let mut headers = vec![
            (POLICY, policy.join(", ")),
            (STATE, state.join(", ")),
            (LIMIT, tightest.rate.quota().to_string()),
            (REMAINING, tightest.standing.remaining.to_string()),
            (RESET, seconds(tightest.standing.full_in).to_string()),
        ];
        headers.extend(wait.map(|wait| (RETRY_AFTER, seconds(wait).max(1).to_string())));
        headers.into_iter().filter_map(|(name, text)| Some((name, HeaderText::new(text)?))).collect()
    }

    fn weigh(&mut self, limit: &Limit, outcome: Weight) {
        self.weighed.push(Weighed { limit: Arc::clone(&limit.name), outcome });
    }

    /// The label of one budget: no two of an answer are the same.
    fn label(&self, number: usize, stands: &Stands) -> String {
        let label = &stands.limit.label;
        let before = self.standings.iter().take(number).filter(|other| other.limit.label == *label).count();
        if before == 0 { label.to_string() } else { format!("{label}-{}", before + 1) }
    }
}

impl Stands {
    /// Who refuses comes first, and of them who does so longest; then who has the smallest part left.
    fn tightness(&self) -> (std::cmp::Reverse<u64>, u64) {
        let part = self.standing.remaining.saturating_mul(1_000_000) / self.rate.burst().max(1);
        (std::cmp::Reverse(self.standing.wait.unwrap_or(0)), part)
    }
}

/// What a limit made of a request, if it was asked at all.
fn weight<'c>(limit: &Limit, counts: impl Iterator<Item = &'c Counted>) -> Option<Weight> {
    let mut weight = None;
    for counted in counts {
        let next = match counted {
            Counted::Unasked => continue,
            Counted::Stands(Standing { wait: None, .. }) => Weight::Allowed,
            Counted::Stands(_) if limit.shadow => Weight::Shadow,
            Counted::Stands(_) => Weight::Limited,
            Counted::Uncounted => Weight::Uncounted,
            Counted::Unavailable => Weight::Unavailable,
        };
        // One of its rates has room, another has not: then it refuses.
        if weight.is_none_or(|weight| weight == Weight::Allowed) {
            weight = Some(next);
        }
    }
    weight
}

/// One limit in words.
fn describe<'s>(
    due: &Due<'_>,
    weight: Option<Weight>,
    counts: impl Iterator<Item = &'s (usize, &'s Rate, Counted)>,
) -> String {
    let Due { limit, cost, .. } = due;
    let left: Vec<String> = counts
        .map(|(_, rate, counted)| match counted {
            Counted::Stands(Standing { remaining, wait: Some(wait), .. }) => {
                format!("{rate}: {remaining} left, {cost} in {} s", seconds(*wait).max(1))
            }
            Counted::Stands(Standing { remaining, .. }) => format!("{rate}: takes {cost}, {remaining} left"),
            Counted::Unasked => format!("{rate}: not asked"),
            Counted::Uncounted | Counted::Unavailable => format!("{rate}: its store cannot be asked"),
        })
        .collect();
    let outcome = match weight {
        None | Some(Weight::Allowed) => "",
        Some(Weight::Limited | Weight::Unavailable) => ": refused",
        Some(Weight::Shadow) => ": would be refused",
        Some(Weight::Uncounted) => ": passes uncounted",
    };
    format!("`{}` per {}, {}{outcome}", limit.name, limit.per, left.join(", "))
}

/// Whole seconds, rounded up: who waits for so long has waited long enough.
fn seconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000_000)
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STATE: HeaderName = HeaderName::from_static("ratelimit");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
