//! From one claim to groups.

use std::borrow::Cow;

use regex::Regex;
use regex::RegexBuilder;
use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::error::TokenError;
use crate::model::claim_path::ClaimPath;

/// The largest program an expression may become, in octets.
const REGEX_SIZE: usize = 1 << 20;

/// A claim that holds groups, and what is made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupClaim {
    pub claim: ClaimPath,
    pub split: Split,
    pub rename: Option<Rename>,
    /// Make ASCII letters lower-case. Others stay: folding them can turn one name into another (`K`, the Kelvin sign).
    pub lower_case: bool,
    /// Written before every group.
    pub prefix: String,
}

/// How one text holds several groups. A list is taken as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Split {
    /// It holds one.
    #[default]
    One,
    /// Spaces between.
    Spaces,
    /// Commas between.
    Commas,
    /// A JSON array of texts.
    Json,
    /// No text: an object of clients with their `roles`, as Keycloak writes `resource_access`.
    Clients,
}

/// Another name for a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    rule: Rule,
    /// What the rule does not match stays as it is, instead of being left out. What stays can then be called like
    /// something that was renamed.
    keep_others: bool,
}

#[derive(Clone, Debug)]
enum Rule {
    StripPrefix(String),
    Replace(Regex, String),
}

/// By what is written: all expressions are compiled alike.
impl PartialEq for Rule {
    fn eq(&self, other: &Rule) -> bool {
        match (self, other) {
            (Rule::StripPrefix(own), Rule::StripPrefix(other)) => own == other,
            (Rule::Replace(own, by), Rule::Replace(other, with)) => own.as_str() == other.as_str() && by == with,
            (Rule::StripPrefix(_), Rule::Replace(..)) | (Rule::Replace(..), Rule::StripPrefix(_)) => false,
        }
    }
}

impl Eq for Rule {}

impl Rename {
    /// Take the prefix off.
    pub fn strip_prefix(prefix: &str, keep_others: bool) -> Rename {
        Rename { rule: Rule::StripPrefix(prefix.to_owned()), keep_others }
    }

    /// Replace what the expression matches whole. The error says what is wrong with the expression.
    pub fn replace(expression: &str, by: &str, keep_others: bool) -> Result<Rename, String> {
        let compile = |expression: &str| RegexBuilder::new(expression).size_limit(REGEX_SIZE).build();
        // Alone first: parentheses that close ours and open others, `a)|(b`, would go round the anchors.
        let regex = compile(expression).and_then(|_| compile(&format!("^(?:{expression})$")));
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "it becomes too large a program".to_owned(),
            // The last line says what; the lines before it draw our wrapping.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })?;
        Ok(Rename { rule: Rule::Replace(regex, by.to_owned()), keep_others })
    }

    fn apply<'g>(&self, group: &'g str) -> Option<Cow<'g, str>> {
        let renamed = match &self.rule {
            Rule::StripPrefix(prefix) => group.strip_prefix(prefix.as_str()).map(Cow::Borrowed),
            Rule::Replace(regex, by) => regex.captures(group).map(|captures| {
                let mut name = String::new();
                captures.expand(by, &mut name);
                Cow::Owned(name)
            }),
        };
        renamed.or_else(|| self.keep_others.then_some(Cow::Borrowed(group)))
    }
}

impl GroupClaim {
    /// A claim that is one group or a list of them.
    pub fn plain(claim: ClaimPath) -> GroupClaim {
        GroupClaim { claim, split: Split::One, rename: None, lower_case: false, prefix: String::new() }
    }

    /// Add the groups of these claims that are not there yet.
    pub(super) fn add(&self, groups: &mut Vec<String>, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let Some(value) = self.claim.lookup(claims).filter(|value| !value.is_null()) else { return Ok(()) };
        let found = self.found(value).ok_or_else(|| TokenError::ClaimType(self.claim.to_string()))?;
        for group in found {
            let renamed = match &self.rename {
                Some(rename) => rename.apply(&group),
                None => Some(Cow::Borrowed(&*group)),
            };
            let Some(renamed) = renamed.filter(|renamed| !renamed.is_empty()) else { continue };
            let mut name = String::with_capacity(self.prefix.len() + renamed.len());
            name.push_str(&self.prefix);
            name.push_str(&renamed);
            if self.lower_case {
                // The prefix is the operator's own, and stays as written.
                name.truncate(self.prefix.len());
                name.push_str(&renamed.to_ascii_lowercase());
            }
            if !groups.contains(&name) {
                groups.push(name);
            }
        }
        Ok(())
    }

    /// The groups as the claim has them; `None` for a claim of the wrong shape.
    fn found<'v>(&self, value: &'v Value) -> Option<Vec<Cow<'v, str>>> {
        if self.split == Split::Clients {
            return client_roles(value);
        }
        match value {
            Value::Array(list) => list.iter().map(|element| element.as_str().map(Cow::Borrowed)).collect(),
            Value::String(text) => match self.split {
                Split::One => Some(vec![Cow::Borrowed(text)]),
                Split::Spaces => Some(text.split(' ').map(Cow::Borrowed).collect()),
                Split::Commas => Some(text.split(',').map(|group| Cow::Borrowed(group.trim_matches(' '))).collect()),
                Split::Json if text.is_empty() => Some(vec![]),
                Split::Json => {
                    let list: Vec<String> = serde_json::from_str(text).ok()?;
                    Some(list.into_iter().map(Cow::Owned).collect())
                }
                Split::Clients => None,
            },
            _ => None,
        }
    }
}

/// `{"app": {"roles": ["admin"]}}` is `app:admin`. A client with a colon in its name could pass for another's role.
fn client_roles(value: &Value) -> Option<Vec<Cow<'_, str>>> {
    let mut found = Vec::new();
    for (client, access) in value.as_object()? {
        let roles = match access.as_object()?.get("roles") {
            None | Some(Value::Null) => continue,
            Some(roles) => roles.as_array()?,
        };
        for role in roles {
            let role = role.as_str()?;
            if !client.contains(':') && !role.is_empty() {
                found.push(Cow::Owned(format!("{client}:{role}")));
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn groups(claim: &GroupClaim, value: Value) -> Option<Vec<String>> {
        let mut groups = Vec::new();
        let claims = json!({"groups": value});
        claim.add(&mut groups, claims.as_object().expect("an object")).ok().map(|()| groups)
    }

    fn plain() -> GroupClaim {
        GroupClaim::plain(ClaimPath::member("groups"))
    }

    #[track_caller]
    fn expect(claim: &GroupClaim, value: Value, want: &[&str]) {
        let want = want.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>();
        assert_eq!(groups(claim, value.clone()), Some(want), "{value}");
    }

    #[test]
    fn one_text_holds_several_groups_only_where_that_is_said() {
        let split = |split| GroupClaim { split, ..plain() };
        expect(&plain(), json!("a b,c"), &["a b,c"]);
        expect(&split(Split::Spaces), json!("a  b,c a"), &["a", "b,c"]);
        expect(&split(Split::Commas), json!("a, b c ,,a"), &["a", "b c"]);
        expect(&split(Split::Json), json!(r#"["a","b c","\u0061",""]"#), &["a", "b c"]);
        expect(&split(Split::Json), json!(""), &[]);
        for spread in [Split::One, Split::Spaces, Split::Commas, Split::Json] {
            expect(&split(spread), json!(["a b", "c,d"]), &["a b", "c,d"]);
            expect(&split(spread), json!(null), &[]);
            for wrong in [json!(1), json!(true), json!({"a": 1}), json!(["a", 1]), json!([["a"]])] {
                assert_eq!(groups(&split(spread), wrong.clone()), None, "{spread:?} {wrong}");
            }
        }
        for wrong in ["a", "[a]", "[\"a\"", "[1]", "{\"a\":1}", "[\"a\",null]", "[\"a\"] x"] {
            assert_eq!(groups(&split(Split::Json), json!(wrong)), None, "{wrong}");
        }
    }

    #[test]
    fn client_roles_are_named_after_their_client() {
        let clients = GroupClaim { split: Split::Clients, ..plain() };
        let access = json!({"app": {"roles": ["admin", "user", ""]}, "wiki": {"roles": ["admin"]}, "none": {}, "x:y": {"roles": ["z"]}});
        expect(&clients, access, &["app:admin", "app:user", "wiki:admin"]);
        for wrong in [
            json!([]),
            json!("a"),
            json!({"app": []}),
            json!({"app": {"roles": "admin"}}),
            json!({"app": {"roles": [1]}}),
        ] {
            assert_eq!(groups(&clients, wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn groups_are_renamed_lowered_and_prefixed() {
        let renamed = |rename| GroupClaim { rename: Some(rename), ..plain() };
        let value = || json!(["/Admins", "admins", "/", "/a/b"]);
        expect(&renamed(Rename::strip_prefix("/", false)), value(), &["Admins", "a/b"]);
        expect(&renamed(Rename::strip_prefix("/", true)), value(), &["Admins", "admins", "a/b"]);
        let names = Rename::replace("CN=([^,]+),.*", "$1", false).expect("an expression");
        let value = json!(["CN=Admins,OU=x", "xCN=Root,OU=x", "CN=,OU=x", "Root"]);
        expect(&renamed(names), value, &["Admins"]);
        let both = Rename::replace("(?P<a>.)(?P<b>.)", "${b}${a}", true).expect("an expression");
        expect(&renamed(both), json!(["xy", "xyz"]), &["yx", "xyz"]);
        assert!(Rename::replace("(", "x", false).is_err_and(|error| error.contains("unclosed group")));
        assert!(Rename::replace("a)|(b", "x", false).is_err_and(|error| error.contains("unopened group")));
        assert!(Rename::replace("(?:\\pL{1000}){1000}", "x", false).is_err());

        let lowered = GroupClaim { lower_case: true, prefix: "Corp:".into(), ..plain() };
        expect(
            &lowered,
            json!(["Admins", "ADMINS", "\u{212a}ings", "ÄRZTE"]),
            &["Corp:admins", "Corp:\u{212a}ings", "Corp:Ärzte"],
        );
    }
}
