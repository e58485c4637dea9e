//! `claims: {department: [eng, ops]}`: verified claims compared by value.

use std::fmt;

use serde_json::Value;

use crate::model::claim::Claim;
use crate::model::claim_path::ClaimPath;
use crate::model::identity::Identity;

/// The claim at a path must be, or be a list that holds, one of these values.
#[derive(Debug)]
pub struct ClaimTest {
    pub path: ClaimPath,
    /// Strings, numbers and booleans only; compared by type and value.
    pub values: Vec<Value>,
}

impl ClaimTest {
    /// Does it ask for a mail address that nobody has verified? Anybody can give any address as theirs.
    pub fn asks_for_unverified_mail(&self, identity: &Identity) -> bool {
        identity.states_unverified_mail(&self.path)
    }

    /// Does the claim hold one of the values? An absent claim does not.
    pub fn holds(&self, identity: &Identity) -> bool {
        match identity.claim(&self.path) {
            Some(Claim::List(mut items)) => items.any(|item| self.is_wanted(&item)),
            Some(claim) => self.is_wanted(&claim),
            None => false,
        }
    }

    fn is_wanted(&self, found: &Claim<'_>) -> bool {
        self.values.iter().any(|wanted| match (wanted, found) {
            (Value::Number(wanted), Claim::Number(found)) => wanted.as_f64() == found.as_f64(),
            (wanted, found) => found.is(wanted),
        })
    }
}

impl fmt::Display for ClaimTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<_> = self.values.iter().map(Value::to_string).collect();
        write!(f, "{{{}: [{}]}}", self.path, values.join(", "))
    }
}
