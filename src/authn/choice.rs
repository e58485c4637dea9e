//! Which credential counts? Sources claim by shape; the first claimed credential, in the written order of sources and
//! then of their places, is the only one used.
//!
//! Three things are refused whatever the order, because a proxy, we and the application could each take them for
//! someone else: two credentials in one place that a source looks at, a bearer credential that is not one token, and
//! a bearer credential that a source looks for and none claims. Other places may hold what is not ours: a cookie that
//! nobody claims is simply not a credential.

use std::sync::Arc;

use crate::authn::jwt::JwtSource;
use crate::authn::jwt::TokenError;
use crate::authn::jwt::Unverified;
use crate::authn::note::Note;
use crate::authn::place::CredentialPlace;
use crate::authn::place::Found;
use crate::authn::place::TokenPlace;
use crate::authn::quoted::Quoted;
use crate::authn::source::Kind;
use crate::authn::source::Source;
use crate::model::header::Headers;
use crate::model::reason::Reason;

/// The credential that counts.
pub(super) struct Choice<'s, 'w> {
    pub(super) source: &'s Source,
    pub(super) jwt: &'s JwtSource,
    pub(super) place: CredentialPlace,
    pub(super) token: Unverified<'w>,
}

/// Credentials among which there is no choosing.
pub(super) struct Faulty {
    pub(super) place: CredentialPlace,
    pub(super) reason: Reason,
    pub(super) detail: String,
}

/// Look at every place of every source once, and choose.
pub(super) fn choose<'s, 'w>(
    sources: &'s [Arc<Source>],
    headers: &Headers<'w>,
    notes: &mut dyn FnMut(Note<'_>),
) -> Result<Option<Choice<'s, 'w>>, Faulty> {
    let mut desk = Desk { seen: Vec::with_capacity(2) };
    let mut first = None;
    for source in sources {
        let Kind::Jwt(jwt) = &source.kind;
        for place in jwt.places() {
            let (index, seen) = desk.look(place, headers)?;
            let name = &*source.name;
            match &seen.content {
                Content::Nothing => notes(Note::Empty { source: name, place }),
                Content::Other(why) => notes(Note::NotAToken { source: name, place, why }),
                Content::Token(token) if !jwt.claims(token) => {
                    notes(Note::OtherIssuer { source: name, place, issuer: token.issuer() });
                }
                Content::Token(_) => {
                    seen.claimed = true;
                    if first.is_none() {
                        notes(Note::Claimed { source: name, place });
                        first = Some((index, &**source, jwt));
                    } else {
                        notes(Note::Later { source: name, place });
                    }
                }
            }
        }
    }
    if let Some(detail) = desk.seen.iter().find_map(Seen::unclaimed_bearer) {
        return Err(Faulty { place: CredentialPlace::Bearer, reason: Reason::TokenUnclaimed, detail });
    }
    Ok(first.and_then(|(index, source, jwt)| match desk.seen.into_iter().nth(index) {
        Some(Seen { place, content: Content::Token(token), .. }) => {
            Some(Choice { source, jwt, place: place.kind(), token })
        }
        Some(_) | None => None,
    }))
}

/// The places looked at so far, each read once however many sources ask.
struct Desk<'s, 'w> {
    seen: Vec<Seen<'s, 'w>>,
}

/// A place that was looked at.
struct Seen<'s, 'w> {
    place: &'s TokenPlace,
    content: Content<'w>,
    claimed: bool,
}

/// What one place holds.
enum Content<'w> {
    Nothing,
    Other(TokenError),
    Token(Unverified<'w>),
}

impl<'s, 'w> Desk<'s, 'w> {
    fn look(&mut self, place: &'s TokenPlace, headers: &Headers<'w>) -> Result<(usize, &mut Seen<'s, 'w>), Faulty> {
        let index = match self.seen.iter().position(|seen| seen.place == place) {
            Some(index) => index,
            None => {
                self.seen.push(Seen { place, content: read(place, headers)?, claimed: false });
                self.seen.len().saturating_sub(1)
            }
        };
        // INVARIANT: the index was found or made above.
        match self.seen.get_mut(index) {
            Some(seen) => Ok((index, seen)),
            None => Err(Faulty { place: place.kind(), reason: Reason::Internal, detail: "a place was lost".into() }),
        }
    }
}

fn read<'w>(place: &TokenPlace, headers: &Headers<'w>) -> Result<Content<'w>, Faulty> {
    let faulty = |reason, detail| Faulty { place: place.kind(), reason, detail };
    match place.find(headers) {
        Found::Nothing => Ok(Content::Nothing),
        Found::One(text) => Ok(Unverified::parse(text).map_or_else(Content::Other, Content::Token)),
        Found::Many => Err(faulty(Reason::DuplicateCredential, format!("more than one value in {place}"))),
        Found::BadBearer => {
            Err(faulty(Reason::TokenMalformed, "the bearer credential is not exactly one token".to_owned()))
        }
    }
}

impl Seen<'_, '_> {
    /// A bearer credential is a claim to be someone; when nobody knows who, the request is refused.
    fn unclaimed_bearer(&self) -> Option<String> {
        if self.claimed || self.place.kind() != CredentialPlace::Bearer {
            return None;
        }
        match &self.content {
            Content::Nothing => None,
            Content::Other(error) => Some(error.to_string()),
            Content::Token(token) => Some(match token.issuer() {
                Some(issuer) => format!("no source of the route is for the issuer {}", Quoted(issuer)),
                None => "the token names no issuer".to_owned(),
            }),
        }
    }
}
