//! Tokens that mean nothing to us: their provider is asked what they are, by introspection (RFC 7662) or by the userinfo
//! endpoint (OpenID Connect Core §5.3). Whatever is no clear yes is a refusal.

mod answer;
mod assertion;
mod breaker;
mod call;
mod client;
mod introspector;
mod memory;
mod shape;

use std::sync::Arc;

use jiff::Timestamp;

use crate::authn::Answer;
use crate::authn::BadCredential;
use crate::authn::Note;
use crate::authn::Question;
use crate::authn::Verdict;
use crate::authn::introspection::memory::Key;
use crate::authn::jwt::Unverified;
use crate::authn::place::TokenPlace;
use crate::model::identity::Identity;
use crate::model::reason::Reason;
use crate::model::secret::Secret;

pub use assertion::Assertion;
pub use assertion::BadPrivateKey;
pub use call::run;
pub use client::IntrospectionClient;
pub use client::Proof;
pub use introspector::Introspector;
pub use introspector::IntrospectorSettings;
pub use introspector::Way;
pub use memory::Lifetimes;
pub(in crate::authn) use shape::NotOpaque;

/// A token proven, or why it is no good.
pub type Outcome = Result<Arc<Identity>, Refused>;

/// Why a token is no good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub reason: Reason,
    /// For the operator's log. Never holds the token.
    pub detail: Arc<str>,
}

impl Refused {
    /// The provider has not said anything of the token.
    fn unavailable(detail: &str) -> Refused {
        Refused { reason: Reason::UpstreamUnavailable, detail: detail.into() }
    }
}

/// What a provider said, and of which token.
#[derive(Clone, Debug)]
pub struct Heard {
    of: Key,
    outcome: Outcome,
}

/// Opaque tokens of one provider.
#[derive(Debug)]
pub struct IntrospectionSource {
    /// Where the token is looked for, in this order. Never empty.
    pub places: Vec<TokenPlace>,
    /// Signed tokens that name this issuer are asked about, too.
    pub jwts_of: Option<String>,
    /// Asks, and remembers for a moment.
    pub introspector: Arc<Introspector>,
}

impl IntrospectionSource {
    /// Who vouches for its identities: the configured issuer, or the source itself.
    pub(super) fn issuer(&self) -> &Arc<str> {
        self.introspector.issuer()
    }

    /// Is this token this source's business? `parsed` is it as a signed token, where it is one.
    pub(super) fn claims(&self, text: &str, parsed: Option<&Unverified<'_>>) -> Result<(), NotOpaque> {
        shape::judge(text, parsed.is_some()).or_else(|why| match (why, parsed, &self.jwts_of) {
            (NotOpaque::Jwt, Some(token), Some(issuer)) if token.issuer() == Some(issuer) => Ok(()),
            _ => Err(why),
        })
    }

    /// Judge a claimed token. `answer` is what came of an earlier [`Verdict::Needs`].
    pub(super) fn verify(
        &self,
        token: &str,
        now: Timestamp,
        answer: Option<&Answer>,
        notes: &mut dyn FnMut(Note<'_>),
    ) -> Verdict {
        let introspector = &self.introspector;
        let outcome = match answer {
            // An answer is worth something only for the very token it is about (K7).
            Some(Answer::Introspected(heard)) if heard.of == introspector.key(token) => heard.outcome.clone(),
            Some(Answer::Introspected(_) | Answer::Late | Answer::Keys(_) | Answer::Password(_)) => {
                Err(Refused::unavailable("the provider did not answer in time"))
            }
            None => match introspector.recall(token, now) {
                Some(outcome) => {
                    notes(Note::Recalled { source: introspector.source() });
                    outcome
                }
                None => {
                    let token = Secret::new(token.to_owned());
                    return Verdict::Needs(Question::Token { introspector: introspector.clone(), token });
                }
            },
        };
        match outcome {
            Ok(identity) => Verdict::Verified(identity),
            Err(Refused { reason, detail }) => {
                Verdict::Refused(BadCredential { reason, detail: detail.as_ref().to_owned() })
            }
        }
    }
}

#[cfg(test)]
mod tests;
