//! Where on a request a token stands, and finding it there: exactly one, or none, or a refusal (J19).

use std::fmt;

use crate::authn::certificate::Statement;
use crate::model::header::Headers;
use crate::model::header::Single;

/// Where a source looks for its token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenPlace {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Bearer,
    /// `Authorization: Basic …` (RFC 7617).
    Basic,
    /// The whole value of the header field of this lower-case name.
    Header(String),
    /// The cookie of this name, case included.
    Cookie(String),
    /// The client certificate of the connection, as the proxy states it.
    Certificate(Statement),
}

/// The kind of place a credential stood in; decides between a login redirect and a plain 401.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialPlace {
    Bearer,
    Basic,
    Header,
    Cookie,
    Certificate,
}

/// What stands in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'w> {
    /// Nothing that could be a credential of this kind.
    Nothing,
    /// One credential.
    One(&'w str),
    /// More than one.
    Many,
    /// A bearer credential that does not fit its grammar.
    BadBearer,
}

impl TokenPlace {
    /// The kind of place.
    pub fn kind(&self) -> CredentialPlace {
        match self {
            TokenPlace::Bearer => CredentialPlace::Bearer,
            TokenPlace::Basic => CredentialPlace::Basic,
            TokenPlace::Header(_) => CredentialPlace::Header,
            TokenPlace::Cookie(_) => CredentialPlace::Cookie,
            TokenPlace::Certificate(_) => CredentialPlace::Certificate,
        }
    }

    /// What follows the scheme of the one bearer credential, before anybody has looked whether it is a token: only for
    /// comparing it with tokens that were read before.
    pub(super) fn unread_bearer<'w>(&self, headers: &Headers<'w>) -> Option<&'w [u8]> {
        if *self != TokenPlace::Bearer {
            return None;
        }
        match headers.one("authorization") {
            Single::One(value) => bearer(value),
            Single::Absent | Single::Many => None,
        }
    }

    /// Look there.
    pub(super) fn find<'w>(&self, headers: &Headers<'w>) -> Found<'w> {
        match self {
            TokenPlace::Bearer => find_bearer(headers),
            TokenPlace::Basic => find_basic(headers),
            TokenPlace::Header(name) => find_header(headers, name),
            TokenPlace::Cookie(name) => find_cookie(headers, name),
            // A certificate is no text: see `Statement::find`.
            TokenPlace::Certificate(_) => Found::Nothing,
        }
    }
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TokenPlace::Bearer => f.write_str("the bearer token"),
            TokenPlace::Basic => f.write_str("the basic credential"),
            TokenPlace::Header(name) => write!(f, "the header `{name}`"),
            TokenPlace::Cookie(name) => write!(f, "the cookie `{name}`"),
            TokenPlace::Certificate(statement) => statement.fmt(f),
        }
    }
}

/// Does the request carry a bearer credential, sound or not?
pub(super) fn has_bearer(headers: &Headers<'_>) -> bool {
    headers
        .all("authorization")
        .any(|value| value.split(|octet| *octet == b',').any(|element| bearer(element).is_some()))
}

fn find_bearer<'w>(headers: &Headers<'w>) -> Found<'w> {
    let value = match headers.one("authorization") {
        Single::Absent => return Found::Nothing,
        Single::Many => return Found::Many,
        Single::One(value) => value,
    };
    let credential = bearer(value);
    if let Some(token) = credential.filter(|token| is_token68(token)) {
        return std::str::from_utf8(token).map_or(Found::BadBearer, Found::One);
    }
    // Several `Authorization` fields that the proxy joined; Envoy does so even where it sends all others apart. Other
    // schemes have commas of their own, so only a bearer credential among the elements shows it; a bearer token itself
    // has no comma.
    if value.contains(&b',') && may_be_several(headers, value) && has_bearer(headers) {
        return Found::Many;
    }
    if credential.is_some() { Found::BadBearer } else { Found::Nothing }
}

/// The same for `Basic`. What follows the scheme is returned as it is: whether it decodes is its source's business.
fn find_basic<'w>(headers: &Headers<'w>) -> Found<'w> {
    let value = match headers.one("authorization") {
        Single::Absent => return Found::Nothing,
        Single::Many => return Found::Many,
        Single::One(value) => value,
    };
    let is_basic = |element: &[u8]| after_scheme(element, b"basic").is_some();
    if value.contains(&b',') && may_be_several(headers, value) && value.split(|octet| *octet == b',').any(is_basic) {
        return Found::Many;
    }
    match after_scheme(value, b"basic") {
        None => Found::Nothing,
        // Octets that are no text decode to nothing, as an empty text does.
        Some(token) => Found::One(std::str::from_utf8(token).unwrap_or_default()),
    }
}

/// What follows the scheme `Bearer`, if that is the scheme.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    after_scheme(value, b"bearer")
}

/// What follows this scheme, if it is the one of a value (RFC 9110 §11.4).
fn after_scheme<'v>(value: &'v [u8], wanted: &[u8]) -> Option<&'v [u8]> {
    let (scheme, rest) = value.trim_ascii().split_at_checked(wanted.len())?;
    let is_whole = rest.first().is_none_or(|octet| matches!(octet, b' ' | b'\t' | b','));
    (scheme.eq_ignore_ascii_case(wanted) && is_whole).then(|| strip_spaces(rest))
}

/// May a value with a comma be several fields that the proxy joined?
fn may_be_several(headers: &Headers<'_>, value: &[u8]) -> bool {
    headers.joined() || value.split(|octet| *octet == b',').skip(1).any(has_scheme)
}

/// Does this look like a credential of its own, rather than the rest of one?
fn has_scheme(element: &[u8]) -> bool {
    element.trim_ascii().contains(&b' ')
}

fn strip_spaces(value: &[u8]) -> &[u8] {
    let spaces = value.iter().take_while(|octet| **octet == b' ').count();
    value.get(spaces..).unwrap_or_default()
}

/// RFC 9110 §11.2.
fn is_token68(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|octet| **octet == b'=').count();
    let text = token.get(..token.len() - padding).unwrap_or_default();
    // Without a way out in the middle the compiler looks at many octets at a time.
    !text.is_empty() && text.iter().fold(true, |all, octet| all & is_token68_octet(*octet))
}

/// A letter, a digit, or one of `+-./_~`. `-./` and the digits follow each other.
fn is_token68_octet(octet: u8) -> bool {
    (octet | 0x20).is_ascii_lowercase()
        | (b'-'..=b'9').contains(&octet)
        | (octet == b'+')
        | (octet == b'_')
        | (octet == b'~')
}

fn find_header<'w>(headers: &Headers<'w>, name: &str) -> Found<'w> {
    match headers.one(name) {
        Single::Absent => Found::Nothing,
        Single::Many => Found::Many,
        Single::One(value) if headers.joined() && value.contains(&b',') => Found::Many,
        Single::One(value) => one(value),
    }
}

/// RFC 6265 §4.2.1, over every `Cookie` field; where the proxy joins fields, a comma may stand between two.
fn find_cookie<'w>(headers: &Headers<'w>, name: &str) -> Found<'w> {
    let joined = headers.joined();
    let pairs = headers
        .all("cookie")
        .flat_map(move |value| value.split(move |octet| *octet == b';' || (joined && *octet == b',')));
    let mut found = None;
    for pair in pairs {
        let mut parts = pair.splitn(2, |octet| *octet == b'=');
        let (Some(own), Some(value)) = (parts.next(), parts.next()) else { continue };
        if own.trim_ascii() != name.as_bytes() {
            continue;
        }
        if found.is_some() {
            return Found::Many;
        }
        found = Some(one(value.trim_ascii()));
    }
    found.unwrap_or(Found::Nothing)
}

/// A value that may hold a token; an empty one or one that is not text cannot.
fn one(value: &[u8]) -> Found<'_> {
    match std::str::from_utf8(value) {
        Ok(text) if !text.is_empty() => Found::One(text),
        Ok(_) | Err(_) => Found::Nothing,
    }
}

#[cfg(test)]
mod tests;
