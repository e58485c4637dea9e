//! A requirement: conditions joined by all, any and not.

use crate::model::problem::Place;
use crate::policy::condition::Condition;
use crate::policy::condition::Facts;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;
use crate::policy::truth::Truth;

/// A built requirement. Nothing in it can fail; only [`Truth::True`] lets anybody in.
#[derive(Debug)]
pub enum Requirement {
    Condition(Condition, Place),
    All(Vec<Requirement>, Place),
    Any(Vec<Requirement>, Place),
    Not(Box<Requirement>, Place),
}

impl Requirement {
    /// Evaluate. An empty `all` is false like an empty `any`: a requirement that demands nothing permits nobody.
    pub fn holds(&self, facts: &Facts<'_>, trace: &mut impl Trace) -> Truth {
        match self {
            Requirement::Condition(condition, place) => {
                let truth = condition.holds(facts);
                trace.note(Station::Decide, Some(place), || format!("{condition}: {}", truth.name()));
                truth
            }
            Requirement::All(parts, _) if parts.is_empty() => Truth::False,
            Requirement::All(parts, _) => {
                parts.iter().fold(Truth::True, |truth, part| truth.and(part.holds(facts, trace)))
            }
            Requirement::Any(parts, _) => {
                parts.iter().fold(Truth::False, |truth, part| truth.or(part.holds(facts, trace)))
            }
            Requirement::Not(part, place) => {
                let truth = part.holds(facts, trace).not();
                trace.note(Station::Decide, Some(place), || format!("not: {}", truth.name()));
                truth
            }
        }
    }

    /// The line that keeps this from being true; `None` when it is true.
    pub fn blame(&self, facts: &Facts<'_>) -> Option<Place> {
        let silent = &mut crate::policy::trace::Silent;
        if self.holds(facts, silent) == Truth::True {
            return None;
        }
        match self {
            Requirement::All(parts, place) => parts.iter().find_map(|part| part.blame(facts)).or(Some(place.clone())),
            Requirement::Condition(_, place) | Requirement::Any(_, place) | Requirement::Not(_, place) => {
                Some(place.clone())
            }
        }
    }

    /// Visit every condition.
    pub fn conditions<'r>(&'r self, visit: &mut impl FnMut(&'r Condition, &'r Place)) {
        match self {
            Requirement::Condition(condition, place) => visit(condition, place),
            Requirement::All(parts, _) | Requirement::Any(parts, _) => {
                for part in parts {
                    part.conditions(visit);
                }
            }
            Requirement::Not(part, _) => part.conditions(visit),
        }
    }
}
