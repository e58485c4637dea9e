//! From the claims of a token to a user, groups, mail, name and scopes.

use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::error::TokenError;
use crate::model::claim_path::ClaimPath;

/// Where an issuer writes what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimMapping {
    /// The user name: one text. Required in every token.
    pub user: ClaimPath,
    /// Each a list of texts or one text; merged in this order.
    pub groups: Vec<ClaimPath>,
    /// The mail address: one text.
    pub email: ClaimPath,
    /// The display name: one text.
    pub name: ClaimPath,
}

/// What a mapping found.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::authn) struct Mapped {
    pub(in crate::authn) user: String,
    pub(in crate::authn) groups: Vec<String>,
    pub(in crate::authn) email: Option<String>,
    pub(in crate::authn) email_verified: bool,
    pub(in crate::authn) name: Option<String>,
    pub(in crate::authn) scopes: Vec<String>,
}

impl Default for ClaimMapping {
    /// The standard claims of OpenID Connect Core §5.1, with the one user name every token has.
    fn default() -> ClaimMapping {
        ClaimMapping {
            user: ClaimPath::member("sub"),
            groups: vec![ClaimPath::member("groups")],
            email: ClaimPath::member("email"),
            name: ClaimPath::member("name"),
        }
    }
}

impl ClaimMapping {
    /// Read the claims. A claim of the wrong shape refuses the token: reading it as absent would hide a group that
    /// a rule denies (J8).
    pub(in crate::authn) fn read(&self, claims: &Map<String, Value>) -> Result<Mapped, TokenError> {
        let user = text(claims, &self.user)?.ok_or_else(|| TokenError::ClaimMissing(self.user.to_string()))?;
        let email_verified = claims.get("email_verified") == Some(&Value::Bool(true));
        if self.takes_user_from_email(claims) {
            if !email_verified {
                return Err(TokenError::UnverifiedEmail);
            }
            // Whose mail domain would `a@b@c` be (I7)?
            if user.matches('@').count() != 1 {
                return Err(TokenError::OddEmail);
            }
        }
        let mut groups = Vec::new();
        for path in &self.groups {
            add_texts(&mut groups, path.lookup(claims), path.as_str(), false)?;
        }
        let mut scopes = Vec::new();
        for claim in ["scope", "scp"] {
            add_texts(&mut scopes, claims.get(claim), claim, true)?;
        }
        Ok(Mapped {
            user,
            groups,
            email: text(claims, &self.email)?,
            email_verified,
            name: text(claims, &self.name)?,
            scopes,
        })
    }

    /// Is the user's claim the very one that holds the mail address, however the paths are spelled?
    fn takes_user_from_email(&self, claims: &Map<String, Value>) -> bool {
        let user = self.user.lookup(claims);
        [self.email.lookup(claims), claims.get("email")]
            .into_iter()
            .flatten()
            .any(|email| user.is_some_and(|user| std::ptr::eq(user, email)))
    }
}

/// One text; `null` and the empty text count as absent.
fn text(claims: &Map<String, Value>, path: &ClaimPath) -> Result<Option<String>, TokenError> {
    match path.lookup(claims) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(_) => Err(TokenError::ClaimType(path.to_string())),
    }
}

/// One text (`spaced`: several, with spaces between; RFC 8693 §4.2) or a list of texts, without those already there.
fn add_texts(texts: &mut Vec<String>, value: Option<&Value>, claim: &str, spaced: bool) -> Result<(), TokenError> {
    let wrong = || TokenError::ClaimType(claim.to_owned());
    let found: Vec<&str> = match value {
        None | Some(Value::Null) => vec![],
        Some(Value::String(text)) if spaced => text.split(' ').collect(),
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?,
        Some(_) => return Err(wrong()),
    };
    for text in found {
        if !text.is_empty() && !texts.iter().any(|known| known == text) {
            texts.push(text.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
