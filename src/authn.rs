//! Who is asking? Finds the one credential that counts, and proves it or refuses it. Pure and synchronous: keys that
//! must be fetched are asked for in the answer, never waited for here.

mod choice;
mod json;
pub mod jwks;
pub mod jwt;
mod note;
mod place;
mod quoted;
mod source;

use std::sync::Arc;

use jiff::Timestamp;

use crate::authn::choice::Choice;
use crate::authn::jwks::FetchOutcome;
use crate::authn::jwks::Keys;
use crate::authn::jwt::Verdict;
use crate::model::header::Headers;
use crate::model::identity::Identity;
use crate::model::reason::Reason;

pub use note::Note;
pub use note::quiet;
pub use place::CredentialPlace;
pub use place::TokenPlace;
pub use source::Kind;
pub use source::Source;

/// What became of one request's credentials.
#[derive(Clone, Debug)]
pub enum Attempt {
    /// No credential that a source of the route claims.
    Absent,
    /// There is a credential, and it is no good.
    Rejected(Rejection),
    /// The credential is proven.
    Verified(Arc<Identity>),
    /// It cannot be judged without a key that is not here. Wait for [`Keys::fetch_now`], then ask again.
    NeedKeys(NeedKeys),
}

/// A refused credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    pub reason: Reason,
    /// The source that claimed the credential.
    pub source: Option<Arc<str>>,
    /// Where the credential stood.
    pub place: Option<CredentialPlace>,
    /// For the operator's log. Never holds the credential.
    pub detail: String,
    /// The request carries a bearer credential, so the challenge says `invalid_token`.
    pub bearer_present: bool,
}

/// The key that is missing.
#[derive(Clone, Debug)]
pub struct NeedKeys {
    pub source: Arc<str>,
    pub issuer: Arc<str>,
    pub kid: Option<String>,
    pub keys: Arc<Keys>,
}

/// What the caller did about missing keys before asking (again).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Nothing yet.
    No,
    /// The keys are as fresh as they can be had.
    Fresh,
    /// They could not be fetched, or not in time.
    Failed,
}

impl From<FetchOutcome> for Waited {
    fn from(outcome: FetchOutcome) -> Waited {
        match outcome {
            FetchOutcome::Fresh | FetchOutcome::Cooldown => Waited::Fresh,
            FetchOutcome::Failed => Waited::Failed,
        }
    }
}

/// Find the one credential that counts for a route with these sources, and judge it. `waited` is [`Waited::No`] until
/// the caller has waited for the keys an earlier answer asked for.
pub fn authenticate(
    sources: &[Arc<Source>],
    headers: &Headers<'_>,
    now: Timestamp,
    waited: Waited,
    notes: &mut dyn FnMut(Note<'_>),
) -> Attempt {
    let refuse = |source: Option<&Source>, place: CredentialPlace, reason: Reason, detail: String| {
        Attempt::Rejected(Rejection {
            reason,
            source: source.map(|source| source.name.clone()),
            place: Some(place),
            detail,
            bearer_present: place::has_bearer(headers),
        })
    };
    let Choice { source, jwt, place, token } = match choice::choose(sources, headers, notes) {
        Ok(Some(choice)) => choice,
        Ok(None) => return Attempt::Absent,
        Err(faulty) => return refuse(None, faulty.place, faulty.reason, faulty.detail),
    };
    match jwt.verify(token, now, waited, notes) {
        Verdict::Verified(identity) => Attempt::Verified(identity),
        Verdict::Refused(error) => refuse(Some(source), place, error.reason(), error.to_string()),
        Verdict::NeedKeys(kid) => Attempt::NeedKeys(NeedKeys {
            source: source.name.clone(),
            issuer: jwt.issuer().clone(),
            kid,
            keys: jwt.keys().clone(),
        }),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
