//! The registered claims every token must get right (RFC 7519 §4.1; J8–J10). Fractions of a second are cut so that a
//! token is never valid for longer than it says.

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::error::TokenError;
use crate::authn::jwt::verify::VerifiedClaims;

/// The last second that can be written as a date of four-digit years; a token beyond is absurd.
const LAST_SECOND: f64 = 253_402_207_200.0;

/// What the registered claims say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Registered {
    pub(super) subject: String,
    /// Seconds since 1970.
    pub(super) expires: i64,
}

/// Judge audience, times and subject. `leeway` is in seconds.
pub(super) fn judge(
    claims: &VerifiedClaims,
    audience: &[String],
    leeway: i64,
    now: Timestamp,
) -> Result<Registered, TokenError> {
    let members = claims.members();
    judge_audience(members, audience)?;
    let now = now.as_second();
    let expires = seconds(members, "exp", f64::floor)?.ok_or_else(|| TokenError::ClaimMissing("exp".into()))?;
    if now >= expires.saturating_add(leeway) {
        return Err(TokenError::Expired(expires));
    }
    for claim in ["nbf", "iat"] {
        match seconds(members, claim, f64::ceil)? {
            Some(at) if now.saturating_add(leeway) < at => return Err(TokenError::NotYetValid { claim, at }),
            Some(_) | None => {}
        }
    }
    match members.get("sub") {
        Some(Value::String(subject)) if !subject.is_empty() => Ok(Registered { subject: subject.clone(), expires }),
        Some(Value::String(_)) | None => Err(TokenError::ClaimMissing("sub".into())),
        Some(_) => Err(TokenError::ClaimType("sub".into())),
    }
}

/// One text, or a flat list of texts, holding one of ours exactly.
fn judge_audience(members: &Map<String, Value>, audience: &[String]) -> Result<(), TokenError> {
    let ours = |text: &str| audience.iter().any(|ours| ours == text);
    let named = match members.get("aud") {
        None => return Err(TokenError::NoAudience),
        Some(Value::String(text)) => ours(text),
        Some(Value::Array(list)) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.ok_or_else(|| TokenError::ClaimType("aud".into()))?.into_iter().any(ours)
        }
        Some(_) => return Err(TokenError::ClaimType("aud".into())),
    };
    if named { Ok(()) } else { Err(TokenError::OtherAudience) }
}

/// A NumericDate (RFC 7519 §2), brought to whole seconds by `round`.
fn seconds(
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
