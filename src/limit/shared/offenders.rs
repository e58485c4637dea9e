//! Whom the shared store has refused a moment ago: as long as it said so, it need not be asked again.

use std::time::Duration;
use std::time::Instant;

use quick_cache::sync::Cache;

use crate::limit::shared::order::Budget;
use crate::model::limit::Standing;

/// Budgets that are remembered. One that is forgotten costs a question.
const PLACES: usize = 16 * 1024;

/// A refusal is believed for so long at most: somebody may have given the budget back.
const BELIEVED: Duration = Duration::from_secs(1);

/// Refusals.
pub(super) struct Offenders(Cache<Budget, Refusal>);

#[derive(Clone, Copy, Debug)]
struct Refusal {
    /// Whoever wants less may be admitted sooner.
    price: u64,
    at: Instant,
    standing: Standing,
}

impl Offenders {
    pub(super) fn new() -> Offenders {
        Offenders(Cache::new(PLACES))
    }

    /// A budget was asked for this price at that moment, and stood so.
    pub(super) fn note(&self, budget: Budget, price: u64, at: Instant, standing: Standing) {
        if standing.wait.is_some() {
            self.0.insert(budget, Refusal { price, at, standing });
        } else if self.0.peek(&budget).is_some() {
            // It had enough for somebody who wanted less: it has less now than was said.
            self.0.remove(&budget);
        }
    }

    /// How a budget stands that would refuse this price now.
    pub(super) fn find(&self, budget: Budget, price: u64, now: Instant) -> Option<Standing> {
        let Refusal { price: refused, at, standing } = self.0.get(&budget)?;
        let since = now.saturating_duration_since(at);
        let gone = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX);
        let wait = standing.wait?.checked_sub(gone).filter(|wait| *wait > 0)?;
        let full_in = standing.full_in.saturating_sub(gone);
        // What has been refilled meanwhile is less than was wanted then.
        (price >= refused && since < BELIEVED).then_some(Standing { full_in, wait: Some(wait), ..standing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::clock;

    #[test]
    fn a_refusal_is_believed_for_as_long_as_it_said_and_a_second_at_most() {
        let (offenders, start) = (Offenders::new(), clock::instant());
        let budget = |number| Budget([number; 16]);
        let standing = |wait| Standing { remaining: 1, full_in: 9_000_000_000, wait };
        offenders.note(budget(1), 20, start, standing(Some(5_000_000)));
        offenders.note(budget(2), 20, start, standing(Some(5_000_000_000)));
        offenders.note(budget(3), 20, start, standing(None));
        offenders.note(budget(5), 20, start, standing(Some(5_000_000)));
        offenders.note(budget(5), 10, start, standing(None));
        let waits = |number, price, after: u64| {
            offenders.find(budget(number), price, start + Duration::from_micros(after)).and_then(|found| found.wait)
        };
        for (number, price, after, want) in [
            (1, 20, 0, Some(5_000_000)),
            (1, 21, 4_000, Some(1_000_000)),
            (1, 19, 0, None),
            (1, 20, 5_000, None),
            (2, 20, 999_999, Some(4_000_001_000)),
            (2, 20, 1_000_000, None),
            (3, 20, 0, None),
            (4, 20, 0, None),
            (5, 20, 0, None),
        ] {
            assert_eq!(waits(number, price, after), want, "{number} {price} {after}");
        }
    }
}
