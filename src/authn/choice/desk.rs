//! The places of one request that were looked at, each read and parsed once however many sources ask.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::authn::Presented;
use crate::authn::api_key::looks_like_key;
use crate::authn::certificate::Stated;
use crate::authn::choice::Faulty;
use crate::authn::jwt::JwtSource;
use crate::authn::jwt::Remembered;
use crate::authn::jwt::TokenError;
use crate::authn::jwt::Unverified;
use crate::authn::pair::Pair;
use crate::authn::place::CredentialPlace;
use crate::authn::place::Found;
use crate::authn::place::TokenPlace;
use crate::authn::quoted::Quoted;
use crate::model::reason::Reason;

/// The places looked at so far.
pub(super) struct Desk<'s, 'r, 'w> {
    presented: Presented<'r, 'w>,
    seen: Vec<Seen<'s, 'w>>,
}

/// A place that was looked at.
pub(super) struct Seen<'s, 'w> {
    place: &'s TokenPlace,
    content: Content<'w>,
    /// What a source remembers of it.
    known: Option<Known<'s>>,
    /// The text as a signed token, parsed when the first source asks for one.
    token: OnceCell<Result<Unverified<'w>, TokenError>>,
    /// `text` as a name and a password, decoded when the first source asks for them.
    pair: OnceCell<Option<Pair>>,
    claimed: bool,
}

/// A token that was verified before, and who did it.
pub(in crate::authn) struct Known<'s> {
    pub(in crate::authn) by: &'s JwtSource,
    pub(in crate::authn) remembered: Arc<Remembered>,
}

/// What stands in a place.
enum Content<'w> {
    Nothing,
    Text(&'w str),
    /// A token that a source remembers: octet by octet what was read as text before.
    Remembered(&'w [u8]),
    Certificate(Stated),
}

impl<'s, 'r, 'w> Desk<'s, 'r, 'w> {
    pub(super) fn new(presented: &Presented<'r, 'w>) -> Desk<'s, 'r, 'w> {
        Desk { presented: *presented, seen: Vec::with_capacity(2) }
    }

    /// Look at a place, or say why what stands there refuses the request whoever it is for. `recall` finds what a source
    /// remembers of it.
    pub(super) fn look(
        &mut self,
        place: &'s TokenPlace,
        recall: impl Fn(&[u8]) -> Option<Known<'s>>,
    ) -> Result<(usize, &mut Seen<'s, 'w>), Faulty> {
        let index = match self.seen.iter().position(|seen| seen.place == place) {
            Some(index) => index,
            None => {
                let (content, known) = read(place, &self.presented, recall)?;
                let (token, pair) = (OnceCell::new(), OnceCell::new());
                self.seen.push(Seen { place, content, known, token, pair, claimed: false });
                self.seen.len().saturating_sub(1)
            }
        };
        // INVARIANT: the index was found or made above.
        match self.seen.get_mut(index) {
            Some(seen) => Ok((index, seen)),
            None => Err(Faulty { place: place.kind(), reason: Reason::Internal, detail: "a place was lost".into() }),
        }
    }

    /// A bearer credential is a claim to be someone; when nobody knows who, the request is refused. Says why nobody
    /// does.
    pub(super) fn unclaimed_bearer(&self) -> Option<String> {
        let bearer = |seen: &&Seen<'_, '_>| seen.place.kind() == CredentialPlace::Bearer;
        let seen = self.seen.iter().filter(bearer).find(|seen| !seen.is_empty() && !seen.claimed)?;
        if looks_like_key(seen.text()) {
            return Some("no source of the route looks for an API key here".to_owned());
        }
        Some(match seen.token() {
            Err(error) => error.to_string(),
            Ok(token) => match token.issuer() {
                Some(issuer) => format!("no source of the route is for the issuer {}", Quoted(issuer)),
                None => "the token names no issuer".to_owned(),
            },
        })
    }

    /// What lies in a place that [`look`](Desk::look) numbered.
    pub(super) fn take(self, index: usize) -> Option<Seen<'s, 'w>> {
        self.seen.into_iter().nth(index)
    }
}

impl<'s, 'w> Seen<'s, 'w> {
    pub(super) fn place(&self) -> &'s TokenPlace {
        self.place
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(self.content, Content::Nothing)
    }

    /// What stands there, as it came; empty where nothing does.
    pub(super) fn text(&self) -> &'w str {
        match self.content {
            Content::Text(text) => text,
            Content::Remembered(octets) => std::str::from_utf8(octets).unwrap_or_default(),
            Content::Nothing | Content::Certificate(_) => "",
        }
    }

    /// A source takes it.
    pub(super) fn claim(&mut self) {
        self.claimed = true;
    }

    /// What this source remembers of it.
    pub(super) fn known_to(&mut self, source: &JwtSource) -> Option<Known<'s>> {
        self.known.take().filter(|known| std::ptr::eq(known.by, source))
    }

    /// The issuer it names as a signed token.
    pub(super) fn issuer(&self) -> Result<Option<&str>, &TokenError> {
        match &self.known {
            Some(known) => Ok(Some(known.by.issuer())),
            None => self.token().map(Unverified::issuer),
        }
    }

    /// It as a signed token.
    pub(super) fn token(&self) -> Result<&Unverified<'w>, &TokenError> {
        self.token.get_or_init(|| self.parse()).as_ref()
    }

    pub(super) fn into_token(self) -> Option<Unverified<'w>> {
        self.token.get_or_init(|| self.parse());
        self.token.into_inner()?.ok()
    }

    /// It as a client certificate.
    pub(super) fn certificate(&self) -> Option<&Stated> {
        match &self.content {
            Content::Certificate(stated) => Some(stated),
            Content::Nothing | Content::Text(_) | Content::Remembered(_) => None,
        }
    }

    pub(super) fn into_certificate(self) -> Option<Stated> {
        match self.content {
            Content::Certificate(stated) => Some(stated),
            Content::Nothing | Content::Text(_) | Content::Remembered(_) => None,
        }
    }

    /// It as a user name and a password.
    pub(super) fn pair(&self) -> Option<&Pair> {
        self.pair.get_or_init(|| Pair::decode(self.text())).as_ref()
    }

    pub(super) fn into_pair(self) -> Option<Pair> {
        self.pair.get_or_init(|| Pair::decode(self.text()));
        self.pair.into_inner()?
    }

    fn parse(&self) -> Result<Unverified<'w>, TokenError> {
        Unverified::parse(self.text())
    }
}

/// What stands in a place, and what a source remembers of it. A bearer token that is remembered was found to be one then,
/// and is not read again.
fn read<'s, 'w>(
    place: &TokenPlace,
    presented: &Presented<'_, 'w>,
    recall: impl Fn(&[u8]) -> Option<Known<'s>>,
) -> Result<(Content<'w>, Option<Known<'s>>), Faulty> {
    if let TokenPlace::Certificate(statement) = place {
        return Ok((statement.find(presented).map_or(Content::Nothing, Content::Certificate), None));
    }
    let unread = place.unread_bearer(presented.headers);
    if let Some((octets, known)) = unread.and_then(|octets| Some((octets, recall(octets)?))) {
        return Ok((Content::Remembered(octets), Some(known)));
    }
    let faulty = |reason, detail| Faulty { place: place.kind(), reason, detail };
    match place.find(presented.headers) {
        Found::Nothing => Ok((Content::Nothing, None)),
        Found::One(text) => {
            let known = if unread.is_some() { None } else { recall(text.as_bytes()) };
            Ok((Content::Text(text), known))
        }
        Found::Many => Err(faulty(Reason::DuplicateCredential, format!("more than one value in {place}"))),
        Found::BadBearer => {
            Err(faulty(Reason::TokenMalformed, "the bearer credential is not exactly one token".to_owned()))
        }
    }
}
