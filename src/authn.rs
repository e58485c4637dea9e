//! Who is asking? Finds the one credential that counts, and proves it or refuses it. Pure and synchronous: what must be
//! waited for is asked for in the answer, never waited for here.

pub mod api_key;
pub mod basic;
pub mod certificate;
mod choice;
mod failures;
pub mod introspection;
mod json;
pub mod jwks;
pub mod jwt;
mod need;
mod note;
mod pair;
mod place;
mod quoted;
mod random;
pub mod revocation;
mod source;

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::authn::choice::Choice;
use crate::authn::choice::Credential;
use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::model::identity::Identity;
use crate::model::reason::Reason;
use crate::model::request::Request;
use crate::model::request::StatedCertificate;

pub use need::Answer;
pub use need::Answers;
pub use need::Need;
pub use need::Question;
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
    /// It cannot be judged without something that is not here. Wait for [`Need::answer`], then ask again.
    Needs(Need),
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

/// Find the one credential that counts for a route with these sources, and judge it. `answers` holds what was waited
/// for since the first time this was asked.
pub fn authenticate(
    sources: &[Arc<Source>],
    presented: &Presented<'_, '_>,
    now: Timestamp,
    answers: &Answers,
    notes: &mut dyn FnMut(Note<'_>),
) -> Attempt {
    let refuse = |source: Option<&Source>, place: CredentialPlace, reason: Reason, detail: String| {
        Attempt::Rejected(Rejection {
            reason,
            source: source.map(|source| source.name.clone()),
            place: Some(place),
            detail,
            bearer_present: place::has_bearer(presented.headers),
        })
    };
    let Choice { source, place, credential } = match choice::choose(sources, presented, now, notes) {
        Ok(Some(choice)) => choice,
        Ok(None) => return Attempt::Absent,
        Err(faulty) => return refuse(None, faulty.place, faulty.reason, faulty.detail),
    };
    let verdict = match credential {
        Credential::Jwt(jwt, token) => jwt.verify(token, now, answers.of(&source.name), notes),
        Credential::Remembered(known) => known.by.accept(&known.remembered, notes),
        Credential::Certificate(certificate, stated) => certificate.verify(&stated, now, notes),
        Credential::Opaque(provider, token) => provider.verify(token, now, answers.of(&source.name), notes),
        Credential::ApiKey(keys, found) => keys.verify(&found, presented.address, now, notes),
        Credential::Basic(users, pair) => users.verify(pair, presented.address, now, answers.of(&source.name), notes),
    };
    match verdict {
        Verdict::Verified(identity) => Attempt::Verified(identity),
        Verdict::Refused(refused) => refuse(Some(source), place, refused.reason, refused.detail),
        Verdict::Needs(question) => Attempt::Needs(Need { source: source.name.clone(), question }),
    }
}

/// What a request brings along that may prove who sent it.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'r, 'w> {
    /// The client's header fields.
    pub headers: &'r Headers<'w>,
    /// What the proxy states about the connection's client certificate.
    pub certificate: StatedCertificate<'w>,
    /// Which proxy asks.
    pub dialect: Dialect,
    /// The client's address, when it is known.
    pub address: Option<IpAddr>,
}

impl<'r, 'w> Presented<'r, 'w> {
    /// What a request brings along.
    pub fn of(request: &'r Request<'w>, address: Option<IpAddr>) -> Presented<'r, 'w> {
        Presented { headers: &request.headers, certificate: request.certificate, dialect: request.dialect, address }
    }

    /// Header fields alone, as if Envoy had sent them.
    pub fn headers(headers: &'r Headers<'w>) -> Presented<'r, 'w> {
        let certificate = StatedCertificate::default();
        Presented { headers, certificate, dialect: Dialect::ExtAuthz, address: None }
    }
}

/// What a source says of the credential it claims.
#[derive(Debug)]
enum Verdict {
    Verified(Arc<Identity>),
    Refused(BadCredential),
    /// It cannot say yet.
    Needs(Question),
}

/// Why a credential is no good.
#[derive(Debug)]
struct BadCredential {
    reason: Reason,
    /// For the operator's log. Never holds the credential.
    detail: String,
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
