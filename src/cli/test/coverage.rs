//! What no case exercises.

use std::collections::HashMap;

use crate::engine::example::Judged;
use crate::model::decision::Effect;
use crate::model::problem::Place;
use crate::policy::route::Access;
use crate::policy::trace::Notes;
use crate::policy::trace::Station;
use crate::policy::truth::Truth;
use crate::snapshot::Snapshot;

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    routes: HashMap<Place, Seen>,
    conditions: HashMap<Place, Seen>,
}

/// Both ways that a thing can go.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    yes: bool,
    no: bool,
}

/// What is missing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gaps {
    pub(super) routes: usize,
    pub(super) routes_seen: usize,
    pub(super) conditions: usize,
    pub(super) conditions_seen: usize,
    pub(super) gaps: Vec<Gap>,
}

/// One thing that no case exercises.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) place: Place,
    pub(super) what: String,
    pub(super) lacks: &'static str,
}

impl Coverage {
    /// A case was tried, and this is what the walk said.
    pub(super) fn note(&mut self, judged: &Judged, notes: &Notes) {
        if let Some(route) = &judged.route {
            self.routes.entry(route.place.clone()).or_default().note(judged.effect == Effect::Allow);
        }
        for note in notes.0.iter().filter(|note| note.station == Station::Decide) {
            let Some(place) = &note.place else { continue };
            let said = |truth: Truth| note.text.ends_with(&format!(": {}", truth.name()));
            let seen = self.conditions.entry(place.clone()).or_default();
            seen.yes |= said(Truth::True);
            seen.no |= said(Truth::False) || said(Truth::Unknown);
        }
    }

    /// What is missing for this policy, in its order.
    pub(super) fn gaps(&self, snapshot: &Snapshot) -> Gaps {
        let mut gaps = Gaps::default();
        let mut met = std::collections::HashSet::new();
        for block in snapshot.policy.hosts.iter() {
            // Routes of `defaults` are routes of every host, and are counted once.
            for route in block.routes.iter().filter(|route| met.insert(route.id.place.clone())) {
                gaps.routes += 1;
                let seen = self.routes.get(&route.id.place).copied().unwrap_or_default();
                let what = format!("route `{}` of `{}`", route.id.name, route.id.host);
                let public = matches!(route.access, Access::Public);
                match seen.lacks(("never decides", "never allows", "never denies"), public) {
                    None => gaps.routes_seen += 1,
                    Some(lacks) => gaps.gaps.push(Gap { place: route.id.place.clone(), what, lacks }),
                }
                let Access::Require(requirement) = &route.access else { continue };
                requirement.conditions(&mut |condition, place| {
                    gaps.conditions += 1;
                    let seen = self.conditions.get(place).copied().unwrap_or_default();
                    match seen.lacks(("never looked at", "never true", "never false"), false) {
                        None => gaps.conditions_seen += 1,
                        Some(lacks) => gaps.gaps.push(Gap { place: place.clone(), what: condition.to_string(), lacks }),
                    }
                });
            }
        }
        gaps
    }
}

impl Seen {
    fn note(&mut self, yes: bool) {
        self.yes |= yes;
        self.no |= !yes;
    }

    /// What has not been seen: anything, a yes, a no (where one is needed).
    fn lacks(
        self,
        (both, yes, no): (&'static str, &'static str, &'static str),
        yes_will_do: bool,
    ) -> Option<&'static str> {
        match self {
            Seen { yes: false, no: false } => Some(both),
            Seen { yes: false, no: true } => Some(yes),
            Seen { yes: true, no: false } if !yes_will_do => Some(no),
            Seen { yes: true, .. } => None,
        }
    }
}
