//! What a provider says of a token (RFC 7662 §2.2, OpenID Connect Core §5.3.2), and whether that makes a caller of ours.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use crate::authn::introspection::Refused;
use crate::authn::json;
use crate::authn::json::JsonError;
use crate::authn::jwt::ClaimMapping;
use crate::authn::jwt::TokenError;
use crate::authn::jwt::judge_audience;
use crate::authn::jwt::seconds;
use crate::authn::quoted::Quoted;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::reason::Reason;

/// Why an answer says nothing of the token. Whoever gives it is broken: the token is neither good nor bad (K9).
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("the answer {0}")]
    Json(#[from] JsonError),
    #[error("the answer's `active` is not true or false")]
    NoVerdict,
    #[error("the answer names no `sub`")]
    NoSubject,
}

/// A sound answer.
pub(super) enum Said {
    Active(Active),
    Inactive,
}

/// The members of an answer that vouches for its token. Made only here, from `active: true` or from the word on a
/// user (J18).
pub(super) struct Active(Map<String, Value>);

/// Read an answer to an introspection request.
pub(super) fn introspected(body: &[u8]) -> Result<Said, AnswerError> {
    let members = json::parse_object(body)?;
    match members.get("active") {
        Some(Value::Bool(true)) => Ok(Said::Active(Active(members))),
        Some(Value::Bool(false)) => Ok(Said::Inactive),
        Some(_) | None => Err(AnswerError::NoVerdict),
    }
}

/// Read an answer to a userinfo request, which has a subject or is none.
pub(super) fn user_information(body: &[u8]) -> Result<Said, AnswerError> {
    let members = json::parse_object(body)?;
    match members.get("sub") {
        Some(Value::String(subject)) if !subject.is_empty() => Ok(Said::Active(Active(members))),
        Some(_) | None => Err(AnswerError::NoSubject),
    }
}

/// What an active token must be besides.
#[derive(Clone, Debug)]
pub(super) struct Demands {
    pub(super) source: Arc<str>,
    /// Who vouches: the configured issuer, or the source's name.
    pub(super) vouches: Arc<str>,
    /// What `iss` must be, where the answer has one.
    pub(super) issuer: Option<String>,
    /// One of these must be in `aud`; empty: nothing is demanded.
    pub(super) audience: Vec<String>,
    /// In seconds.
    pub(super) leeway: i64,
    /// The answer must say that the token is an access token.
    pub(super) typed: bool,
    pub(super) mapping: ClaimMapping,
}

/// Why an active token is no good here.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    Claim(#[from] TokenError),
    #[error("the token is of another issuer: {}", Quoted(.0))]
    OtherIssuer(String),
    #[error("the token is no access token: its `{claim}` is {}", Quoted(.value))]
    OtherUse { claim: &'static str, value: String },
    #[error("nothing says that the token is an access token: the answer has no `token_type`")]
    Untyped,
    #[error("the token is bound to a key (`cnf`), and whether its bearer has that key is not known here")]
    Bound,
}

impl Unfit {
    fn reason(&self) -> Reason {
        match self {
            Unfit::Claim(error) => error.reason(),
            Unfit::OtherIssuer(_) | Unfit::OtherUse { .. } | Unfit::Untyped | Unfit::Bound => Reason::TokenClaims,
        }
    }
}

impl Demands {
    /// Judge an active token.
    pub(super) fn judge(&self, active: Active, now: Timestamp) -> Result<Arc<Identity>, Refused> {
        self.identity(active, now)
            .map(Arc::new)
            .map_err(|unfit| Refused { reason: unfit.reason(), detail: unfit.to_string().into() })
    }

    fn identity(&self, Active(members): Active, now: Timestamp) -> Result<Identity, Unfit> {
        self.judge_issuer(&members)?;
        judge_use(&members, self.typed)?;
        if !self.audience.is_empty() {
            judge_audience(&members, &self.audience)?;
        }
        let expires = self.judge_times(&members, now)?;
        let (subject, members) = subject(members)?;
        let mapped = self.mapping.read(&members)?;
        let identity = Identity::verified(Claims {
            source: self.source.clone(),
            issuer: self.vouches.clone(),
            subject,
            user: mapped.user,
            groups: mapped.groups,
            email: mapped.email,
            email_verified: mapped.email_verified,
            name: mapped.name,
            scopes: mapped.scopes,
            raw: members,
            expires,
        });
        identity.map_err(|_| TokenError::UnsoundName.into())
    }

    fn judge_issuer(&self, members: &Map<String, Value>) -> Result<(), Unfit> {
        match (&self.issuer, members.get("iss")) {
            (None, _) | (Some(_), None) => Ok(()),
            (Some(issuer), Some(Value::String(stated))) if stated == issuer => Ok(()),
            (Some(_), Some(Value::String(stated))) => Err(Unfit::OtherIssuer(stated.clone())),
            (Some(_), Some(_)) => Err(TokenError::ClaimType("iss".to_owned()).into()),
        }
    }

    /// The provider has judged the times already; an answer that contradicts itself is not believed.
    fn judge_times(&self, members: &Map<String, Value>, now: Timestamp) -> Result<Option<i64>, Unfit> {
        let now = now.as_second();
        let expires = seconds(members, "exp", f64::floor)?;
        if let Some(at) = expires
            && now >= at.saturating_add(self.leeway)
        {
            return Err(TokenError::Expired(at).into());
        }
        for claim in ["nbf", "iat"] {
            if let Some(at) = seconds(members, claim, f64::ceil)?
                && now.saturating_add(self.leeway) < at
            {
                return Err(TokenError::NotYetValid { claim, at }.into());
            }
        }
        Ok(expires)
    }
}

/// Providers answer about refresh and identity tokens, too, and some without a word of what they are; and a token that is
/// bound to a key is not a bearer's.
fn judge_use(members: &Map<String, Value>, typed: bool) -> Result<(), Unfit> {
    let mut stated = false;
    for (claim, uses) in [
        ("token_type", &["bearer", "access_token"][..]),
        ("token_use", &["access", "access_token"]),
        ("typ", &["bearer", "jwt", "at+jwt", "application/at+jwt"]),
    ] {
        match members.get(claim) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) if uses.iter().any(|known| value.eq_ignore_ascii_case(known)) => stated = true,
            Some(Value::String(value)) => return Err(Unfit::OtherUse { claim, value: value.clone() }),
            Some(_) => return Err(TokenError::ClaimType(claim.to_owned()).into()),
        }
    }
    if typed && !stated {
        return Err(Unfit::Untyped);
    }
    match members.get("cnf") {
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(Unfit::Bound),
    }
}

/// A token without a user is its client's (RFC 6749 §4.4): the client is the subject then, as RFC 9068 §2.2 has it.
fn subject(mut members: Map<String, Value>) -> Result<(String, Map<String, Value>), TokenError> {
    let stated = |claim: &'static str| match members.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(Value::String(_)) => Err(TokenError::ClaimMissing(claim.to_owned())),
        Some(_) => Err(TokenError::ClaimType(claim.to_owned())),
    };
    if let Some(subject) = stated("sub")? {
        return Ok((subject, members));
    }
    let client = stated("client_id")?.ok_or_else(|| TokenError::ClaimMissing("sub".to_owned()))?;
    members.insert("sub".to_owned(), Value::String(client.clone()));
    Ok((client, members))
}

#[cfg(test)]
mod tests;
