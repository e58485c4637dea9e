//! Who is asking, once proven.

use std::sync::Arc;
use std::sync::OnceLock;

use crate::model::claim_path::ClaimPath;
use crate::model::reason::Reason;
use crate::model::record::Counts;
use crate::model::response::AllowHeaders;

/// A proven identity. The only way to one is [`Identity::verified`], called by the sources in `authn`
/// after the credential has been checked: a search for that name lists every place that trusts someone.
#[derive(Clone, Debug)]
pub struct Identity {
    claims: Claims,
    prepared: OnceLock<Prepared>,
}

/// The headers of an allow to this caller.
#[derive(Clone, Debug)]
struct Prepared {
    terms: Terms,
    headers: Arc<AllowHeaders>,
    counts: Counts,
}

/// What the headers of an allow depend on besides the caller.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Digest of the policy: of the very one, not of an equal one.
    pub policy: Arc<str>,
    /// The route's list of identity sources.
    pub sources: usize,
}

impl PartialEq for Terms {
    fn eq(&self, other: &Terms) -> bool {
        Arc::ptr_eq(&self.policy, &other.policy) && self.sources == other.sources
    }
}

/// What a source learned about a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The source's name in the configuration (`identity:` key).
    pub source: Arc<str>,
    /// Who vouches: the token's issuer, or the source's name where there is none.
    pub issuer: Arc<str>,
    /// The issuer's stable id of the subject (`sub`).
    pub subject: String,
    /// The user name sent upstream and compared by `users`.
    pub user: String,
    /// Groups in the order the source gave them, without duplicates.
    pub groups: Vec<String>,
    /// Mail address, when the source has one.
    pub email: Option<String>,
    /// `email_verified` is true.
    pub email_verified: bool,
    /// Display name, when the source has one.
    pub name: Option<String>,
    /// OAuth scopes.
    pub scopes: Vec<String>,
    /// The verified claims, for conditions on `claims`.
    pub raw: serde_json::Map<String, serde_json::Value>,
    /// When the credential ends, in seconds since 1970.
    pub expires: Option<i64>,
}

impl Identity {
    /// The one constructor. The caller states that the credential was verified; here the subject and the
    /// user must still be sound: not empty, no surrounding white space, no control characters (I7).
    pub fn verified(claims: Claims) -> Result<Identity, Reason> {
        let sound = |text: &str| !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
        if sound(&claims.subject) && sound(&claims.user) {
            Ok(Identity { claims, prepared: OnceLock::new() })
        } else {
            Err(Reason::TokenClaims)
        }
    }
}

impl Identity {
    /// The headers of an allow to this caller, and what was left out of them. They are kept for the first terms that
    /// ask, which are as good as always the only ones.
    pub fn allow_headers<E>(
        &self,
        terms: Terms,
        prepare: impl FnOnce() -> Result<(AllowHeaders, Counts), E>,
    ) -> Result<(Arc<AllowHeaders>, Counts), E> {
        if let Some(kept) = self.prepared.get().filter(|kept| kept.terms == terms) {
            return Ok((Arc::clone(&kept.headers), kept.counts));
        }
        let (headers, counts) = prepare()?;
        let headers = Arc::new(headers);
        // Another thread may have been faster, or other terms were: then it stays as it is.
        let _ = self.prepared.set(Prepared { terms, headers: Arc::clone(&headers), counts });
        Ok((headers, counts))
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        self.claims == other.claims
    }
}

impl Identity {
    /// Is the claim at this path a mail address that nobody has verified? Anybody can give any address as theirs.
    pub fn states_unverified_mail(&self, path: &ClaimPath) -> bool {
        let Some(serde_json::Value::String(stated)) = self.claims.raw.get("email") else { return false };
        let verified = self.claims.email.as_ref().filter(|_| self.claims.email_verified);
        path.starts_at("email") && verified != Some(stated)
    }
}

impl std::ops::Deref for Identity {
    type Target = Claims;

    fn deref(&self) -> &Claims {
        &self.claims
    }
}

/// The caller of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Principal {
    /// Nobody proved anything (public routes, or `anonymous` as a last source).
    Anonymous,
    /// A proven identity.
    Identified(Arc<Identity>),
}

impl Principal {
    /// The identity, if there is one.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Principal::Anonymous => None,
            Principal::Identified(identity) => Some(identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_unsound_subjects_and_users_are_refused() {
        let claims = |subject: &str, user: &str| Claims {
            source: "people".into(),
            issuer: "https://sso.test".into(),
            subject: subject.into(),
            user: user.into(),
            groups: vec![],
            email: None,
            email_verified: false,
            name: None,
            scopes: vec![],
            raw: serde_json::Map::new(),
            expires: None,
        };
        for (subject, user, good) in [
            ("1", "alice", true),
            ("1", "Zoë", true),
            ("", "alice", false),
            ("1", "", false),
            (" 1", "alice", false),
            ("1", "alice ", false),
            ("1", "ali\nce", false),
            ("1\0", "alice", false),
        ] {
            assert_eq!(Identity::verified(claims(subject, user)).is_ok(), good, "{subject:?} {user:?}");
        }
    }
}
