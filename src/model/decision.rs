//! The verdict on one request.

use std::fmt;
use std::sync::Arc;

use crate::model::identity::Principal;
use crate::model::problem::Place;
use crate::model::reason::Reason;

/// Allow or deny. Deny is the default of everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Effect {
    Allow,
    #[default]
    Deny,
}

impl Effect {
    /// Every effect: the closed label set of the metrics.
    pub const ALL: [Effect; 2] = [Effect::Allow, Effect::Deny];

    /// `allow` or `deny`.
    pub fn name(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        }
    }
}

/// The name and place of a configured route, shared by everything that mentions it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId {
    /// The host key it stands under, or `defaults`.
    pub host: Arc<str>,
    /// Its `name`, or its path pattern.
    pub name: Arc<str>,
    pub place: Place,
}

impl fmt::Display for RouteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host, self.name)
    }
}

/// The verdict: whether, why, by which route, and for whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    pub reason: Reason,
    /// The route that decided, when one was found.
    pub route: Option<Arc<RouteId>>,
    /// The line that decided: a gate, a condition, the route, or the host block.
    pub place: Option<Place>,
    pub principal: Principal,
}

impl Decision {
    /// A denial before anybody was identified.
    pub fn deny(reason: Reason) -> Decision {
        Decision { reason, route: None, place: None, principal: Principal::Anonymous }
    }

    /// Follows from the reason alone, so the two can never disagree.
    pub fn effect(&self) -> Effect {
        if self.reason.allows() { Effect::Allow } else { Effect::Deny }
    }
}

/// A name for one decision: 26 characters of Crockford base 32, sortable by time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DecisionId(pub u128);

impl DecisionId {
    /// Its characters.
    pub fn text(self) -> [u8; 26] {
        let mut text = [b'0'; 26];
        let mut rest = self.0;
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET.get((rest & 31) as usize).copied().unwrap_or(b'0');
            rest >>= 5;
        }
        text
    }

    /// The reverse; `None` for what is no id.
    pub fn parse(text: &str) -> Option<DecisionId> {
        if text.len() != 26 {
            return None;
        }
        let digit = |letter: u8| ALPHABET.iter().position(|known| *known == letter);
        let whole =
            text.bytes().try_fold(0_u128, |whole, letter| whole.checked_mul(32)?.checked_add(digit(letter)? as u128));
        whole.map(DecisionId)
    }
}

/// Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or("0"))
    }
}

impl fmt::Debug for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decision_ids_are_26_sortable_characters() {
        assert_eq!(DecisionId(0).to_string(), "0".repeat(26));
        assert_eq!(DecisionId(u128::MAX).to_string(), format!("7{}", "Z".repeat(25)));
        for (text, id) in [("0".repeat(26), Some(0)), (format!("7{}", "Z".repeat(25)), Some(u128::MAX))] {
            assert_eq!(DecisionId::parse(&text), id.map(DecisionId));
        }
        for text in ["", "0", &"Z".repeat(26), &"U".repeat(26), &"0".repeat(27)] {
            assert_eq!(DecisionId::parse(text), None, "{text}");
        }
        assert!(DecisionId(31).to_string() < DecisionId(32).to_string());
    }

    #[test]
    fn the_effect_follows_from_the_reason() {
        assert_eq!(Decision::deny(Reason::Internal).effect(), Effect::Deny);
        assert_eq!(Effect::default(), Effect::Deny);
    }
}
