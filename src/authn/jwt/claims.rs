//! The registered claims every token must get right (RFC 7519 §4.1; J8–J10). Fractions of a second are cut so that a
//! token is never valid for longer than it says.

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::JwtSettings;
use crate::authn::jwt::TokenKind;
use crate::authn::jwt::error::TokenError;
use crate::authn::jwt::kind::Typed;
use crate::authn::jwt::verify::VerifiedClaims;

/// The last second that can be written as a date of four-digit years; a token beyond is absurd.
const LAST_SECOND: f64 = 253_402_207_200.0;

/// What the registered claims say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) subject: String,
    pub(super) lifetime: Lifetime,
}

/// When a token is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// The later of `nbf` and `iat`, and which of them it is.
    begins: Option<(i64, &'static str)>,
    issued: Option<i64>,
    pub(super) expires: i64,
}

impl Lifetime {
    #[cfg(test)]
    pub(super) fn until(expires: i64) -> Lifetime {
        Lifetime { begins: None, issued: None, expires }
    }

    /// Refuse a token that is not valid now, or valid for too long. Durations are in seconds.
    pub(super) fn judge(&self, leeway: i64, longest: i64, now: Timestamp) -> Result<(), TokenError> {
        let now = now.as_second();
        if now >= self.expires.saturating_add(leeway) {
            return Err(TokenError::Expired(self.expires));
        }
        if let Some((at, claim)) = self.begins
            && now.saturating_add(leeway) < at
        {
            return Err(TokenError::NotYetValid { claim, at });
        }
        // What is left of its life counts too, or leaving out `iat` would hide how long that is.
        let from_issue = self.issued.map_or(0, |issued| self.expires.saturating_sub(issued));
        let lifetime = from_issue.max(self.expires.saturating_sub(now.saturating_add(leeway)));
        if lifetime > longest { Err(TokenError::TooLongLived { lifetime, longest }) } else { Ok(()) }
    }
}

/// Judge audience, party, kind, binding, times and subject.
pub(super) fn judge(
    claims: &VerifiedClaims,
    typed: Typed,
    settings: &JwtSettings,
    now: Timestamp,
) -> Result<Registered, TokenError> {
    let members = claims.members();
    let audiences = judge_audience(members, &settings.audience)?;
    judge_party(members, audiences, settings)?;
    settings.kind.judge(typed, members)?;
    // RFC 7800 §3.1: whoever presents such a token must prove to have a key.
    if members.contains_key("cnf") && !settings.insecure_bound_tokens {
        return Err(TokenError::Bound);
    }
    let lifetime = lifetime(members)?;
    lifetime.judge(settings.leeway, settings.max_lifetime, now)?;
    match members.get("sub") {
        Some(Value::String(subject)) if !subject.is_empty() => Ok(Registered { subject: subject.clone(), lifetime }),
        Some(Value::String(_)) | None => Err(TokenError::ClaimMissing("sub".into())),
        Some(_) => Err(TokenError::ClaimType("sub".into())),
    }
}

fn lifetime(members: &Map<String, Value>) -> Result<Lifetime, TokenError> {
    let expires = seconds(members, "exp", f64::floor)?.ok_or_else(|| TokenError::ClaimMissing("exp".into()))?;
    let not_before = seconds(members, "nbf", f64::ceil)?;
    let issued = seconds(members, "iat", f64::ceil)?;
    let begins = not_before.map(|at| (at, "nbf")).into_iter().chain(issued.map(|at| (at, "iat")));
    Ok(Lifetime { begins: begins.max_by_key(|(at, _)| *at), issued, expires })
}

/// OpenID Connect Core §3.1.3.7, steps 4 and 5; RFC 9068 §2.2 calls the party `client_id`.
fn judge_party(members: &Map<String, Value>, audiences: usize, settings: &JwtSettings) -> Result<(), TokenError> {
    let text = |name: &str| match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(TokenError::ClaimType(name.to_owned())),
    };
    let (authorized, client) = (text("azp")?, text("client_id")?);
    let is_one_of = |parties: &[String], party: &str| parties.iter().any(|known| known == party);
    if !settings.authorized_parties.is_empty() {
        let party = authorized.or(client).ok_or(TokenError::OtherParty)?;
        return if is_one_of(&settings.authorized_parties, party) { Ok(()) } else { Err(TokenError::OtherParty) };
    }
    match authorized {
        Some(party) if settings.kind == TokenKind::Id && !is_one_of(&settings.audience, party) => {
            Err(TokenError::OtherParty)
        }
        None if settings.kind == TokenKind::Id && audiences > 1 => Err(TokenError::NoParty),
        Some(_) | None => Ok(()),
    }
}

/// One text, or a flat list of texts, holding one of ours exactly. Gives their number.
pub(in crate::authn) fn judge_audience(members: &Map<String, Value>, audience: &[String]) -> Result<usize, TokenError> {
    let ours = |text: &str| audience.iter().any(|ours| ours == text);
    let (is_ours, named) = match members.get("aud") {
        None => return Err(TokenError::NoAudience),
        Some(Value::String(text)) => (ours(text), 1),
        Some(Value::Array(list)) => {
            let mut is_ours = false;
            for element in list {
                is_ours |= ours(element.as_str().ok_or_else(|| TokenError::ClaimType("aud".into()))?);
            }
            (is_ours, list.len())
        }
        Some(_) => return Err(TokenError::ClaimType("aud".into())),
    };
    if is_ours { Ok(named) } else { Err(TokenError::OtherAudience) }
}

/// A NumericDate (RFC 7519 §2), brought to whole seconds by `round`.
pub(in crate::authn) fn seconds(
    members: &Map<String, Value>,
    claim: &'static str,
    round: fn(f64) -> f64,
) -> Result<Option<i64>, TokenError> {
    let number = match members.get(claim) {
        None => return Ok(None),
        Some(Value::Number(number)) => number.as_f64().ok_or(TokenError::NotATime(claim))?,
        Some(_) => return Err(TokenError::ClaimType(claim.to_owned())),
    };
    if !(0.0..=LAST_SECOND).contains(&number) {
        return Err(TokenError::NotATime(claim));
    }
    // Exact: whole seconds of this range are far below 2^53.
    Ok(Some(round(number) as i64))
}
