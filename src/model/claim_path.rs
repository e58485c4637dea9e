//! Where in a token a fact is written: `email`, `realm_access.roles`, `["a.b"].c`, `https://corp.test/groups`.

use std::fmt;

use serde_json::Map;
use serde_json::Value;

use crate::model::claim::Claim;
use crate::model::claim::Object;

/// The deepest path that can be written; tokens nested deeper than 32 are refused anyway.
const MAX_STEPS: usize = 16;

/// The way to one claim.
///
/// A text without brackets first names a *whole* top-level member, dots included; only when there is no such
/// member is it split at its dots and stepped through. A text with `://` in it is always one whole name. Brackets
/// (`["a.b"]`, `a["b.c"].d`) write a name with dots where the two would be confused; such a path is only stepped.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClaimPath {
    text: String,
    whole: bool,
    steps: Vec<String>,
}

/// Why a text is not a claim path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimPathError {
    #[error("a claim path may not be empty")]
    Empty,
    #[error("the claim path `{0}` has an empty step")]
    EmptyStep(String),
    #[error("the claim path `{0}` has a bracket that is not written as [\"name\"]")]
    Bracket(String),
    #[error("the claim path `{0}` lacks a dot after a bracket")]
    AfterBracket(String),
    #[error("the claim path `{0}` has more than {MAX_STEPS} steps")]
    TooDeep(String),
}

impl ClaimPath {
    /// Read a path as the configuration writes it.
    pub fn parse(text: &str) -> Result<ClaimPath, ClaimPathError> {
        if text.is_empty() {
            return Err(ClaimPathError::Empty);
        }
        let (whole, steps) = if text.contains("://") {
            (true, vec![text.to_owned()])
        } else if text.contains('[') {
            (false, bracketed(text)?)
        } else {
            (true, text.split('.').map(str::to_owned).collect())
        };
        if steps.iter().any(String::is_empty) {
            return Err(ClaimPathError::EmptyStep(text.to_owned()));
        }
        if steps.len() > MAX_STEPS {
            return Err(ClaimPathError::TooDeep(text.to_owned()));
        }
        Ok(ClaimPath { text: text.to_owned(), whole, steps })
    }

    /// The path to the top-level member of exactly this name.
    pub fn member(name: &str) -> ClaimPath {
        ClaimPath { text: name.to_owned(), whole: true, steps: vec![name.to_owned()] }
    }

    /// The path through these members, which have no dots or brackets in their names.
    pub fn steps(names: &[&str]) -> ClaimPath {
        ClaimPath { text: names.join("."), whole: true, steps: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// The value at the end of the path.
    pub fn lookup<'v>(&self, claims: &'v Map<String, Value>) -> Option<&'v Value> {
        if self.whole
            && let Some(value) = claims.get(&self.text)
        {
            return Some(value);
        }
        let (first, rest) = self.steps.split_first()?;
        rest.iter().try_fold(claims.get(first)?, |value, step| value.as_object()?.get(step))
    }

    /// The same among claims that are packed.
    pub fn find<'p>(&self, claims: Object<'p>) -> Option<Claim<'p>> {
        if self.whole
            && let Some(claim) = claims.member(&self.text)
        {
            return Some(claim);
        }
        let (first, rest) = self.steps.split_first()?;
        rest.iter().try_fold(claims.member(first)?, |claim, step| match claim {
            Claim::Object(members) => members.member(step),
            Claim::Null | Claim::Bool(_) | Claim::Number(_) | Claim::Text(_) | Claim::List(_) => None,
        })
    }

    /// Put a value where the path finds it.
    pub fn put(&self, claims: &mut Map<String, Value>, value: Value) {
        if self.whole {
            claims.insert(self.text.clone(), value);
            return;
        }
        let Some((last, before)) = self.steps.split_last() else { return };
        let mut inside = claims;
        for step in before {
            let next = inside.entry(step.clone()).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            let Value::Object(members) = next else { return };
            inside = members;
        }
        inside.insert(last.clone(), value);
    }

    /// Is this the top-level member it leads to or through?
    pub fn starts_at(&self, member: &str) -> bool {
        (self.whole && self.text == member) || self.steps.first().is_some_and(|first| first == member)
    }

    /// The path as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ClaimPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Split a path that holds at least one bracket.
fn bracketed(text: &str) -> Result<Vec<String>, ClaimPathError> {
    let bad_bracket = || ClaimPathError::Bracket(text.to_owned());
    let mut steps = Vec::new();
    let mut rest = text;
    loop {
        if let Some(inside) = rest.strip_prefix("[\"") {
            let (name, after) = inside.split_once("\"]").ok_or_else(bad_bracket)?;
            if name.contains(['"', '\\']) {
                return Err(bad_bracket());
            }
            steps.push(name.to_owned());
            rest = after;
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).ok_or_else(bad_bracket)?;
            if name.contains(']') {
                return Err(bad_bracket());
            }
            steps.push(name.to_owned());
            rest = after;
        }
        if rest.is_empty() {
            return Ok(steps);
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.starts_with("[\"") => {}
            None if rest.starts_with('[') => return Err(bad_bracket()),
            None => return Err(ClaimPathError::AfterBracket(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::claim::Packer;

    #[test]
    fn a_whole_name_wins_over_steps() {
        let claims = serde_json::json!({
            "email": "a@x",
            "realm_access": {"roles": ["r"], "a.b": 1},
            "a.b": "whole",
            "a": {"b": "stepped", "c.d": {"e": "deep"}},
            "https://corp.test/groups": ["g"],
            "https://corp": {"test/groups": "wrong"},
        });
        let mut packer = Packer::new();
        packer.value(&claims);
        let packed = packer.finish();
        let Some(Claim::Object(packed)) = packed.value(0) else { panic!("an object") };
        let claims = claims.as_object().expect("an object");
        for (path, want) in [
            ("email", Some(serde_json::json!("a@x"))),
            ("realm_access.roles", Some(serde_json::json!(["r"]))),
            ("a.b", Some(serde_json::json!("whole"))),
            ("a[\"b\"]", Some(serde_json::json!("stepped"))),
            ("[\"a.b\"]", Some(serde_json::json!("whole"))),
            ("a[\"c.d\"].e", Some(serde_json::json!("deep"))),
            ("a.[\"c.d\"].e", Some(serde_json::json!("deep"))),
            ("realm_access[\"a.b\"]", Some(serde_json::json!(1))),
            ("https://corp.test/groups", Some(serde_json::json!(["g"]))),
            ("https://other.test/groups", None),
            ("realm_access.roles.x", None),
            ("absent", None),
        ] {
            let path = ClaimPath::parse(path).expect(path);
            assert_eq!(path.lookup(claims), want.as_ref(), "{path}");
            assert_eq!(path.find(packed).map(|claim| claim.tree()), want, "{path}");
        }
    }

    #[test]
    fn bad_paths_are_refused() {
        for (path, want) in [
            ("", ClaimPathError::Empty),
            ("a..b", ClaimPathError::EmptyStep("a..b".into())),
            (".a", ClaimPathError::EmptyStep(".a".into())),
            ("a.", ClaimPathError::EmptyStep("a.".into())),
            ("[\"\"]", ClaimPathError::EmptyStep("[\"\"]".into())),
            ("a[0]", ClaimPathError::Bracket("a[0]".into())),
            ("a[\"b", ClaimPathError::Bracket("a[\"b".into())),
            ("a[\"b\\\"]", ClaimPathError::Bracket("a[\"b\\\"]".into())),
            ("a]b[\"c\"]", ClaimPathError::Bracket("a]b[\"c\"]".into())),
            ("[\"a\"]b", ClaimPathError::AfterBracket("[\"a\"]b".into())),
            ("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", ClaimPathError::TooDeep("a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q".into())),
        ] {
            assert_eq!(ClaimPath::parse(path), Err(want), "{path}");
        }
    }
}
