//! Which credential counts? Sources claim by shape; the first claimed credential, in the written order of sources and
//! then of their places, is the only one used.
//!
//! Three things are refused whatever the order, because a proxy, we and the application could each take them for
//! someone else: two credentials in one place that a source looks at, a bearer credential that is not one token, and
//! a bearer credential that a source looks for and none claims. Other places may hold what is not ours: a cookie that
//! nobody claims is simply not a credential.

mod desk;

use std::sync::Arc;

use jiff::Timestamp;

use crate::authn::Presented;
use crate::authn::api_key;
use crate::authn::api_key::ApiKeySource;
use crate::authn::api_key::looks_like_key;
use crate::authn::basic::BasicSource;
use crate::authn::certificate::CertificateSource;
use crate::authn::certificate::Stated;
use crate::authn::choice::desk::Desk;
use crate::authn::choice::desk::Known;
use crate::authn::choice::desk::Seen;
use crate::authn::introspection::IntrospectionSource;
use crate::authn::jwt::JwtSource;
use crate::authn::jwt::Unverified;
use crate::authn::note::Note;
use crate::authn::pair::Pair;
use crate::authn::place::CredentialPlace;
use crate::authn::place::TokenPlace;
use crate::authn::source::Kind;
use crate::authn::source::Source;
use crate::model::reason::Reason;

/// The credential that counts.
pub(super) struct Choice<'s, 'w> {
    pub(super) source: &'s Source,
    pub(super) place: CredentialPlace,
    pub(super) credential: Credential<'s, 'w>,
}

/// A credential and who judges it. A new kind of source has an arm here.
pub(super) enum Credential<'s, 'w> {
    Jwt(&'s JwtSource, Unverified<'w>),
    /// A token that its source verified before.
    Remembered(Known<'s>),
    Certificate(&'s CertificateSource, Stated),
    Opaque(&'s IntrospectionSource, &'w str),
    ApiKey(&'s ApiKeySource, api_key::Found<'w>),
    /// Without a pair: what was sent is not one.
    Basic(&'s BasicSource, Option<Pair>),
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
    presented: &Presented<'_, 'w>,
    now: Timestamp,
    notes: &mut dyn FnMut(Note<'_>),
) -> Result<Option<Choice<'s, 'w>>, Faulty> {
    let mut desk = Desk::new(presented);
    let mut first = None;
    for source in sources {
        for place in source.places() {
            let (index, seen) = desk.look(place, |octets| recall(sources, place, octets, now))?;
            if !claims(source, place, seen, notes) {
                continue;
            }
            seen.claim();
            let name = &*source.name;
            if first.is_none() {
                notes(Note::Claimed { source: name, place });
                first = Some((index, &**source));
            } else {
                notes(Note::Later { source: name, place });
            }
        }
    }
    if let Some(detail) = desk.unclaimed_bearer() {
        return Err(Faulty { place: CredentialPlace::Bearer, reason: Reason::TokenUnclaimed, detail });
    }
    first.map(|(index, source)| chosen(source, index, desk)).transpose()
}

/// A token that some source which looks here knows already: then it need not be read to find out whose it is.
fn recall<'s>(sources: &'s [Arc<Source>], place: &TokenPlace, octets: &[u8], now: Timestamp) -> Option<Known<'s>> {
    sources.iter().find_map(|source| match &source.kind {
        Kind::Jwt(by) if by.places().contains(place) => {
            by.recall(octets, now).map(|remembered| Known { by, remembered })
        }
        _ => None,
    })
}

/// The claimed credential. One that is not what its source claimed it for is a fault of ours, and never the same as none:
/// without one, a caller may be let in as anonymous.
fn chosen<'s, 'w>(source: &'s Source, index: usize, desk: Desk<'s, '_, 'w>) -> Result<Choice<'s, 'w>, Faulty> {
    let taken = desk.take(index).and_then(|seen| take(source, seen));
    match taken {
        Some((place, credential)) => Ok(Choice { source, place, credential }),
        None => {
            let detail = format!("the credential claimed by `{}` is not of its kind", source.name);
            Err(Faulty { place: CredentialPlace::Bearer, reason: Reason::Internal, detail })
        }
    }
}

/// Is what stands there this source's business? Says why not.
fn claims(source: &Source, place: &TokenPlace, seen: &Seen<'_, '_>, notes: &mut dyn FnMut(Note<'_>)) -> bool {
    let name = &*source.name;
    if seen.is_empty() {
        notes(Note::Empty { source: name, place });
        return false;
    }
    match &source.kind {
        Kind::Jwt(jwt) => match seen.issuer() {
            Ok(issuer) if jwt.claims(issuer) => true,
            Ok(issuer) => {
                notes(Note::OtherIssuer { source: name, place, issuer });
                false
            }
            Err(why) => {
                notes(Note::NotAToken { source: name, place, why });
                false
            }
        },
        Kind::Certificate(certificate) => {
            let claimed = seen.certificate().is_some_and(|stated| certificate.claims(stated));
            if !claimed {
                notes(Note::NobodysCertificate { source: name });
            }
            claimed
        }
        Kind::Introspection(provider) => {
            let claimed = provider.claims(seen.text(), seen.token().ok());
            if let Err(why) = claimed {
                notes(Note::NotOpaque { source: name, place, why });
            }
            claimed.is_ok()
        }
        Kind::ApiKey(keys) => {
            let claimed = keys.claims(place, key_text(place, seen));
            if !claimed {
                notes(Note::NotAKey { source: name, place });
            }
            claimed
        }
        Kind::Basic(_) => {
            let is_key = key_text(place, seen).is_some_and(looks_like_key);
            if is_key {
                notes(Note::AKey { source: name, place });
            }
            !is_key
        }
    }
}

/// What may be an API key in this place: the password of a basic credential, or all of it.
fn key_text<'a>(place: &TokenPlace, seen: &'a Seen<'_, '_>) -> Option<&'a str> {
    match place {
        TokenPlace::Basic => seen.pair().map(|pair| pair.password.expose().as_str()),
        TokenPlace::Bearer | TokenPlace::Header(_) | TokenPlace::Cookie(_) => Some(seen.text()),
        TokenPlace::Certificate(_) => None,
    }
}

/// The claimed credential in the form its source judges.
fn take<'s, 'w>(source: &'s Source, mut seen: Seen<'s, 'w>) -> Option<(CredentialPlace, Credential<'s, 'w>)> {
    let place = seen.place().kind();
    let credential = match &source.kind {
        Kind::Jwt(jwt) => match seen.known_to(jwt) {
            Some(known) => Credential::Remembered(known),
            None => Credential::Jwt(jwt, seen.into_token()?),
        },
        Kind::Certificate(certificate) => Credential::Certificate(certificate, seen.into_certificate()?),
        Kind::Introspection(provider) => Credential::Opaque(provider, seen.text()),
        Kind::ApiKey(keys) => Credential::ApiKey(
            keys,
            match place {
                CredentialPlace::Basic => api_key::Found::Pair(seen.into_pair()?),
                CredentialPlace::Bearer | CredentialPlace::Header | CredentialPlace::Cookie => {
                    api_key::Found::Text(seen.text())
                }
                CredentialPlace::Certificate => return None,
            },
        ),
        Kind::Basic(users) => Credential::Basic(users, seen.into_pair()),
    };
    Some((place, credential))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::jwt::Algorithm;
    use crate::authn::testing::Issuer;
    use crate::model::header::Headers;

    #[test]
    fn f1_a_claim_that_cannot_be_kept_is_a_fault_and_not_an_absence() {
        let source = Issuer::new("https://sso.test", Algorithm::Es256).source("people", &[TokenPlace::Bearer]);
        let mut headers = Headers::new(false);
        headers.push("authorization", b"Bearer opaque");
        let presented = Presented::headers(&headers);
        let place = TokenPlace::Bearer;
        let mut desk = Desk::new(&presented);
        let (index, _) = desk.look(&place, |_| None).unwrap_or_else(|faulty| panic!("{}", faulty.detail));
        for index in [index, index + 1] {
            let mut desk = Desk::new(&presented);
            let _ = desk.look(&place, |_| None);
            let reason = chosen(&source, index, desk).map(|_| ()).map_err(|faulty| faulty.reason);
            assert_eq!(reason, Err(Reason::Internal));
        }
    }
}
