//! From the claims of a token to a user, groups, mail, name and scopes.

mod group;
mod service_account;

use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::error::TokenError;
use crate::model::claim_path::ClaimPath;

pub use group::GroupClaim;
pub use group::Rename;
pub use group::Split;

/// Where an issuer writes what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimMapping {
    /// The user name: one text. Required in every token.
    pub user: ClaimPath,
    /// What is made of it.
    pub user_form: UserForm,
    /// Merged in this order.
    pub groups: Vec<GroupClaim>,
    /// The tokens are of Kubernetes ServiceAccounts: each must say of which, and its groups come before the others.
    pub service_accounts: bool,
    /// The mail address: one text.
    pub email: ClaimPath,
    /// Who vouches for it. An address that nobody vouches for is left out.
    pub email_proof: EmailProof,
    /// The display name: one text.
    pub name: ClaimPath,
}

/// What is made of a user name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserForm {
    /// Make ASCII letters lower-case.
    pub lower_case: bool,
    /// Written before every name.
    pub prefix: String,
}

/// Who vouches for a mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailProof {
    /// The token does, where this claim is `true`.
    Claim(ClaimPath),
    /// The issuer does, for every address.
    Issuer,
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
            user_form: UserForm::default(),
            groups: vec![GroupClaim::plain(ClaimPath::member("groups"))],
            service_accounts: false,
            email: ClaimPath::member("email"),
            email_proof: EmailProof::Claim(ClaimPath::member("email_verified")),
            name: ClaimPath::member("name"),
        }
    }
}

impl ClaimMapping {
    /// Read the claims. A claim of the wrong shape refuses the token: reading it as absent would hide a group that
    /// a rule denies (J8).
    pub(in crate::authn) fn read(&self, claims: &Map<String, Value>) -> Result<Mapped, TokenError> {
        self.refuse_claims_elsewhere(claims)?;
        let (user_claim, email_claim) = (self.user.lookup(claims), self.email.lookup(claims));
        let user = text(user_claim, &self.user)?.ok_or_else(|| TokenError::ClaimMissing(self.user.to_string()))?;
        let email_verified = match &self.email_proof {
            EmailProof::Claim(path) => path.lookup(claims) == Some(&Value::Bool(true)),
            EmailProof::Issuer => true,
        };
        // However the paths are spelled, it is the very claim that counts.
        let from_email =
            |user: &Value| [email_claim, claims.get("email")].into_iter().flatten().any(|it| std::ptr::eq(user, it));
        if user_claim.is_some_and(from_email) {
            if !email_verified {
                return Err(TokenError::UnverifiedEmail);
            }
            // Whose mail domain would `a@b@c` be (I7)?
            if user.matches('@').count() != 1 {
                return Err(TokenError::OddEmail);
            }
        }
        let mut groups = Vec::new();
        if self.service_accounts {
            groups.extend(service_account::groups(claims)?);
        }
        for claim in &self.groups {
            claim.add(&mut groups, claims)?;
        }
        let mut scopes = Vec::new();
        for claim in ["scope", "scp"] {
            add_scopes(&mut scopes, claims.get(claim), claim)?;
        }
        // Anybody can give an address as theirs. What nobody has verified names nobody.
        let email = text(email_claim, &self.email)?.filter(|_| email_verified);
        Ok(Mapped {
            user: self.user_form.apply(user),
            groups,
            email_verified: email.is_some(),
            email,
            name: text(self.name.lookup(claims), &self.name)?,
            scopes,
        })
    }

    /// A provider that has too many groups for a token says where else they are to be had (OpenID Connect Core §5.6.2;
    /// Entra's overage). Reading them as absent would be reading them wrongly.
    fn refuse_claims_elsewhere(&self, claims: &Map<String, Value>) -> Result<(), TokenError> {
        let elsewhere = match claims.get("_claim_names") {
            None | Some(Value::Null) => None,
            Some(Value::Object(names)) => names.keys().find(|name| self.reads(name)),
            Some(_) => return Err(TokenError::ClaimType("_claim_names".to_owned())),
        };
        if let Some(name) = elsewhere {
            return Err(TokenError::ClaimElsewhere(name.clone()));
        }
        // So says Entra in a token that went through a URL.
        match claims.get("hasgroups") {
            None | Some(Value::Null | Value::Bool(false)) => Ok(()),
            Some(_) if claims.contains_key("groups") => Ok(()),
            Some(_) => Err(TokenError::ClaimElsewhere("groups".to_owned())),
        }
    }

    /// Does it matter what this claim says? Groups and scopes always do: conditions on `claims` may name them, too.
    fn reads(&self, name: &str) -> bool {
        let mapped =
            [&self.user, &self.email, &self.name].into_iter().chain(self.groups.iter().map(|group| &group.claim));
        ["groups", "roles", "scope", "scp"].contains(&name) || mapped.into_iter().any(|path| path.starts_at(name))
    }
}

/// One text, found at this path; `null` and the empty text count as absent.
fn text(claim: Option<&Value>, path: &ClaimPath) -> Result<Option<String>, TokenError> {
    match claim {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(_) => Err(TokenError::ClaimType(path.to_string())),
    }
}

/// One text with spaces between (RFC 8693 §4.2), or a list of texts, without those already there.
fn add_scopes(scopes: &mut Vec<String>, value: Option<&Value>, claim: &str) -> Result<(), TokenError> {
    let wrong = || TokenError::ClaimType(claim.to_owned());
    let found: Vec<&str> = match value {
        None | Some(Value::Null) => vec![],
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(list)) => list.iter().map(Value::as_str).collect::<Option<_>>().ok_or_else(wrong)?,
        Some(_) => return Err(wrong()),
    };
    for scope in found {
        if !scope.is_empty() && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    Ok(())
}

impl UserForm {
    fn apply(&self, user: String) -> String {
        let user = if self.lower_case { user.to_ascii_lowercase() } else { user };
        if self.prefix.is_empty() { user } else { format!("{}{user}", self.prefix) }
    }
}

#[cfg(test)]
mod tests;
