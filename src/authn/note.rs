//! What `explain` hears of an attempt, in the order it happened. Notes borrow, so that nobody pays who does not listen.

use std::fmt;

use crate::authn::introspection::NotOpaque;
use crate::authn::jwt::Algorithm;
use crate::authn::jwt::TokenError;
use crate::authn::place::TokenPlace;
use crate::authn::quoted::Quoted;

/// One step of [`authenticate`](crate::authn::authenticate), for `explain`.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// Nothing stands where the source looks.
    Empty { source: &'a str, place: &'a TokenPlace },
    /// Something stands there, but it has not the form of a token.
    NotAToken { source: &'a str, place: &'a TokenPlace, why: &'a TokenError },
    /// A token of another issuer stands there.
    OtherIssuer { source: &'a str, place: &'a TokenPlace, issuer: Option<&'a str> },
    /// Something stands there, but it has not the form of an opaque token.
    NotOpaque { source: &'a str, place: &'a TokenPlace, why: NotOpaque },
    /// Something stands there, but it does not look like an API key.
    NotAKey { source: &'a str, place: &'a TokenPlace },
    /// An API key stands there, and this source knows passwords.
    AKey { source: &'a str, place: &'a TokenPlace },
    /// The source claims this credential: the only one used.
    Claimed { source: &'a str, place: &'a TokenPlace },
    /// The source would claim this credential too, but another came first.
    Later { source: &'a str, place: &'a TokenPlace },
    /// No rule of the source matches the certificate.
    NobodysCertificate { source: &'a str },
    /// The certificate is of this name, by the first rule that matches.
    Certificate { source: &'a str, name: &'a str },
    /// What the provider said of this token a moment ago is used again.
    Recalled { source: &'a str },
    /// The signature verified with this key.
    Key { source: &'a str, kid: Option<&'a str>, algorithm: Algorithm },
    /// The secret is that of the API key with this id.
    ApiKey { source: &'a str, id: &'a str },
    /// The password is that of this user.
    Password { source: &'a str, user: &'a str },
}

/// Takes no notes.
pub fn quiet(_: Note<'_>) {}

impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Empty { source, place } => write!(f, "{source}: nothing in {place}"),
            Note::NotAToken { source, place, why } => write!(f, "{source}: {place} is not claimed: {why}"),
            Note::OtherIssuer { source, place, issuer: Some(issuer) } => {
                write!(f, "{source}: {place} is of another issuer, {}", Quoted(issuer))
            }
            Note::OtherIssuer { source, place, issuer: None } => write!(f, "{source}: {place} names no issuer"),
            Note::NotOpaque { source, place, why } => write!(f, "{source}: {place} is not claimed: {why}"),
            Note::Recalled { source } => write!(f, "{source}: the provider was asked about this token a moment ago"),
            Note::NotAKey { source, place } => write!(f, "{source}: {place} is not claimed: it is no API key"),
            Note::AKey { source, place } => write!(f, "{source}: {place} is not claimed: it is an API key"),
            Note::Claimed { source, place } => write!(f, "{source}: claims {place}"),
            Note::Later { source, place } => write!(f, "{source}: would claim {place}, but another came first"),
            Note::NobodysCertificate { source } => {
                write!(f, "{source}: the client certificate matches none of its rules")
            }
            Note::Certificate { source, name } => write!(f, "{source}: the client certificate is of {}", Quoted(name)),
            Note::Key { source, kid: Some(kid), algorithm } => {
                write!(f, "{source}: the {algorithm} signature verifies with key {}", Quoted(kid))
            }
            Note::Key { source, kid: None, algorithm } => {
                write!(f, "{source}: the {algorithm} signature verifies with a key without id")
            }
            Note::ApiKey { source, id } => write!(f, "{source}: the API key `{id}`"),
            Note::Password { source, user } => write!(f, "{source}: the password of {}", Quoted(user)),
        }
    }
}
