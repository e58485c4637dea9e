//! What came of judging a log again: counts, and what would be decided otherwise.

use std::collections::BTreeMap;
use std::collections::HashSet;

use crate::audit::replay::Recorded;
use crate::audit::replay::RecordedRoute;
use crate::engine::walk::Walked;
use crate::model::decision::Effect;
use crate::model::problem::Place;
use crate::model::reason::Reason;

/// Different things that cannot be told, each counted by itself; others are counted together.
const UNKNOWN_KINDS: usize = 100;
/// Subjects of a group that are told apart.
const SUBJECTS: usize = 10_000;
/// Subjects that are named.
const NAMED: usize = 5;

/// How a decision would be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    DenyToAllow,
    AllowToDeny,
}

impl Change {
    /// The more dangerous one first.
    pub(super) const ALL: [Change; 2] = [Change::DenyToAllow, Change::AllowToDeny];

    pub(super) fn name(self) -> &'static str {
        match self {
            Change::DenyToAllow => "deny-to-allow",
            Change::AllowToDeny => "allow-to-deny",
        }
    }
}

/// Where decisions belong together: the route of the new policy, and what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) change: Change,
    /// Host block and name; `None`: there is none for them.
    pub(super) route: Option<(String, String)>,
    pub(super) reason: &'static str,
    /// The line of the new policy that decides.
    pub(super) place: Option<Place>,
}

/// Decisions that belong together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) count: u64,
    /// The first few, by the names that applications see.
    pub(super) named: Vec<String>,
    subjects: HashSet<(String, String)>,
    pub(super) sample: Sample,
}

/// One request of a group.
#[derive(Debug)]
pub(super) struct Sample {
    /// `file:line` of the log.
    pub(super) spot: String,
    pub(super) recorded: Recorded,
}

/// Everything.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Requests that were judged again, or would be the same under every policy.
    pub(super) decisions: u64,
    /// Of these, those that stay what they were.
    pub(super) same: u64,
    /// Of these, those with another reason or route.
    pub(super) otherwise: u64,
    pub(super) groups: BTreeMap<Key, Group>,
    pub(super) unknown: BTreeMap<String, u64>,
    pub(super) not_kept: u64,
    pub(super) other_lines: u64,
    pub(super) malformed: u64,
    pub(super) first_malformed: Option<String>,
}

impl Group {
    /// How many different subjects, and whether there may be more.
    pub(super) fn subjects(&self) -> (usize, bool) {
        (self.subjects.len(), self.subjects.len() >= SUBJECTS)
    }

    fn join(&mut self, recorded: &Recorded) {
        self.count += 1;
        let Some(subject) = &recorded.subject else { return };
        let known = (recorded.issuer.clone().unwrap_or_default(), subject.clone());
        if self.subjects.len() < SUBJECTS && self.subjects.insert(known) && self.named.len() < NAMED {
            self.named.push(recorded.user.clone().unwrap_or_else(|| subject.clone()));
        }
    }
}

impl Tally {
    /// Decisions that would be others.
    pub(super) fn flips(&self) -> u64 {
        self.groups.values().map(|group| group.count).sum()
    }

    /// Those of one kind.
    pub(super) fn of(&self, change: Change) -> u64 {
        self.groups.iter().filter(|(key, _)| key.change == change).map(|(_, group)| group.count).sum()
    }

    /// Decisions of which nothing can be told.
    pub(super) fn unknown(&self) -> u64 {
        self.unknown.values().sum()
    }

    /// A request that nobody could read.
    pub(super) fn unread(&mut self) {
        self.decisions += 1;
        self.same += 1;
    }

    pub(super) fn malformed(&mut self, what: String) {
        self.malformed += 1;
        self.first_malformed.get_or_insert(what);
    }

    pub(super) fn cannot_tell(&mut self, lacking: String) {
        self.decisions += 1;
        let known = self.unknown.len() < UNKNOWN_KINDS || self.unknown.contains_key(&lacking);
        *self.unknown.entry(if known { lacking } else { "other things".to_owned() }).or_default() += 1;
    }

    /// A request that was judged again.
    pub(super) fn told(&mut self, recorded: &Recorded, walked: &Walked, spot: &str) {
        let decision = &walked.decision;
        let change = match (recorded.effect.as_deref(), decision.effect()) {
            (Some("allow"), Effect::Deny) => Change::AllowToDeny,
            (Some("deny"), Effect::Allow) => Change::DenyToAllow,
            (Some("allow" | "deny"), _) => return self.stays(recorded, walked),
            _ => return self.cannot_tell("what was decided".to_owned()),
        };
        self.decisions += 1;
        let route = decision.route.as_ref().map(|route| (route.host.to_string(), route.name.to_string()));
        let key = Key { change, route, reason: decision.reason.code(), place: decision.place.clone() };
        let group = self.groups.entry(key).or_insert_with(|| Group {
            count: 0,
            named: Vec::new(),
            subjects: HashSet::new(),
            sample: Sample { spot: spot.to_owned(), recorded: recorded.clone() },
        });
        group.join(recorded);
    }

    fn stays(&mut self, recorded: &Recorded, walked: &Walked) {
        self.decisions += 1;
        self.same += 1;
        let Walked { decision, .. } = walked;
        let route = decision.route.as_ref();
        let route = route.map(|route| RecordedRoute { host: route.host.to_string(), name: route.name.to_string() });
        let reason = recorded.reason.as_deref().and_then(Reason::parse);
        self.otherwise += u64::from(reason != Some(decision.reason) || recorded.route != route);
    }
}
