//! The JOSE header: what we read of it, what we refuse, what we never look at (J1, J4–J6, J17).

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use serde_json::Map;
use serde_json::Value;

use crate::authn::json;
use crate::authn::jwks::MAX_KID;
use crate::authn::jwt::algorithm::Algorithm;
use crate::authn::jwt::error::TokenError;
use crate::authn::jwt::kind::Typed;
use crate::authn::jwt::token::octets;

/// The header of a token that may be verified. `jwk`, `jku`, `x5u` and `x5c` are not among it: keys come from the
/// configuration only.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
    pub(super) typed: Typed,
}

/// Reads the headers of one source. The last one under which a signature verified is kept: tokens of one key have the
/// same, octet for octet, and what it says follows from its octets and from our settings alone.
#[derive(Debug)]
pub(super) struct Headers {
    allowed: Vec<Algorithm>,
    last: ArcSwapOption<Read>,
}

/// A header that was read.
#[derive(Debug)]
pub(super) struct Read {
    part: Box<str>,
    pub(super) says: Header,
}

impl Headers {
    /// Headers that may name these algorithms.
    pub(super) fn new(allowed: Vec<Algorithm>) -> Headers {
        Headers { allowed, last: ArcSwapOption::empty() }
    }

    /// Read the first part of a token.
    pub(super) fn read(&self, part: &str) -> Result<Arc<Read>, TokenError> {
        if let Some(last) = self.last.load_full().filter(|last| *last.part == *part) {
            return Ok(last);
        }
        let says = Header::parse(part, &self.allowed)?;
        Ok(Arc::new(Read { part: part.into(), says }))
    }

    /// A signature verified under this one.
    pub(super) fn keep(&self, read: &Arc<Read>) {
        if !self.last.load().as_ref().is_some_and(|last| Arc::ptr_eq(last, read)) {
            self.last.store(Some(Arc::clone(read)));
        }
    }
}

impl Header {
    /// Read the first part of a token.
    fn parse(part: &str, allowed: &[Algorithm]) -> Result<Header, TokenError> {
        let members =
            json::parse_object(&octets("header", part)?).map_err(|error| TokenError::Json { part: "header", error })?;
        // RFC 7515 §4.1.11: an extension we do not know makes the token invalid, and we know none.
        for extension in ["crit", "b64"] {
            if members.contains_key(extension) {
                return Err(TokenError::Extension(extension));
            }
        }
        let algorithm = algorithm(&members, allowed)?;
        let typed = typed(&members)?;
        refuse_nested(&members)?;
        let kid = match members.get("kid") {
            None => None,
            Some(Value::String(kid)) if kid.len() <= MAX_KID => Some(kid.clone()),
            Some(Value::String(_)) => return Err(TokenError::LongKeyId),
            Some(_) => return Err(TokenError::HeaderType("kid")),
        };
        Ok(Header { algorithm, kid, typed })
    }
}

fn algorithm(members: &Map<String, Value>, allowed: &[Algorithm]) -> Result<Algorithm, TokenError> {
    let Some(Value::String(name)) = members.get("alg") else {
        return Err(TokenError::HeaderType("alg"));
    };
    if name.trim().eq_ignore_ascii_case("none") {
        return Err(TokenError::Unsigned);
    }
    let algorithm = Algorithm::parse(name).ok_or_else(|| TokenError::UnknownAlgorithm(name.clone()))?;
    if allowed.contains(&algorithm) { Ok(algorithm) } else { Err(TokenError::AlgorithmNotAllowed(algorithm)) }
}

/// RFC 7519 §5.1 and RFC 9068 §2.1: an access or identity token.
fn typed(members: &Map<String, Value>) -> Result<Typed, TokenError> {
    let is = |kind: &str, known: &[&str]| known.iter().any(|known| kind.eq_ignore_ascii_case(known));
    match members.get("typ") {
        None | Some(Value::Null) => Ok(Typed::Plain),
        Some(Value::String(kind)) if is(kind, &["jwt"]) => Ok(Typed::Plain),
        Some(Value::String(kind)) if is(kind, &["at+jwt", "application/at+jwt"]) => Ok(Typed::AccessToken),
        Some(Value::String(kind)) => Err(TokenError::OtherKind(kind.clone())),
        Some(_) => Err(TokenError::HeaderType("typ")),
    }
}

/// RFC 7519 §5.2: not a token within a token.
fn refuse_nested(members: &Map<String, Value>) -> Result<(), TokenError> {
    match members.get("cty") {
        None => Ok(()),
        Some(Value::String(kind)) if kind.to_ascii_lowercase().ends_with("jwt") => Err(TokenError::Nested),
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(TokenError::HeaderType("cty")),
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;
    use crate::model::reason::Reason;

    fn read(header: &str) -> Result<Header, Reason> {
        Header::parse(&URL_SAFE_NO_PAD.encode(header), &Algorithm::DEFAULT).map_err(|error| error.reason())
    }

    fn refused_all(reason: Reason, headers: &[&str]) {
        for header in headers {
            assert_eq!(read(header), Err(reason), "{header}");
        }
    }

    #[test]
    fn plain_headers_are_read() {
        for (header, algorithm, kid, typed) in [
            (r#"{"alg":"RS256"}"#, Algorithm::Rs256, None, Typed::Plain),
            (r#"{"alg":"ES256","typ":"JWT","kid":"a"}"#, Algorithm::Es256, Some("a"), Typed::Plain),
            (r#"{"alg":"EdDSA","typ":"at+JWT","kid":""}"#, Algorithm::EdDsa, Some(""), Typed::AccessToken),
            (r#"{"alg":"Ed25519","typ":"application/at+jwt"}"#, Algorithm::EdDsa, None, Typed::AccessToken),
            (r#"{"alg":"RS256","typ":null,"cty":"json"}"#, Algorithm::Rs256, None, Typed::Plain),
        ] {
            assert_eq!(read(header), Ok(Header { algorithm, kid: kid.map(str::to_owned), typed }), "{header}");
        }
    }

    #[test]
    fn a_header_is_kept_for_the_very_same_octets_only() {
        let part = |header: &str| URL_SAFE_NO_PAD.encode(header);
        let headers = Headers::new(vec![Algorithm::Rs256]);
        let sound = headers.read(&part(r#"{"alg":"RS256","kid":"a"}"#)).expect("a header");
        headers.keep(&sound);
        assert!(Arc::ptr_eq(&sound, &headers.read(&sound.part).expect("the same")));
        for (header, kid) in [
            (r#"{"alg":"RS256","kid":"b"}"#, Some("b")),
            (r#"{"kid":"a","alg":"RS256"}"#, Some("a")),
            (r#"{"alg":"RS256"}"#, None),
        ] {
            let read = headers.read(&part(header)).expect("a header");
            assert!(!Arc::ptr_eq(&sound, &read));
            assert_eq!(read.says.kid.as_deref(), kid, "{header}");
        }
        for header in [
            r#"{"alg":"none","kid":"a"}"#,
            r#"{"alg":"ES256","kid":"a"}"#,
            r#"{"alg":"RS256","kid":"a","crit":[]}"#,
            "",
        ] {
            assert!(headers.read(&part(header)).is_err(), "{header}");
        }
        let other = headers.read(&part(r#"{"alg":"RS256"}"#)).expect("a header");
        headers.keep(&other);
        assert!(Arc::ptr_eq(&other, &headers.read(&other.part).expect("the same")));
        assert!(!Arc::ptr_eq(&sound, &headers.read(&sound.part).expect("read again")));
    }

    #[test]
    fn j1_none_is_refused_in_every_spelling() {
        refused_all(
            Reason::TokenAlgorithm,
            &[
                r#"{"alg":"none"}"#,
                r#"{"alg":"None"}"#,
                r#"{"alg":"NONE"}"#,
                r#"{"alg":"nOnE"}"#,
                r#"{"alg":" none"}"#,
                r#"{"alg":""}"#,
                r#"{"\u0061lg":"none"}"#,
                r#"{"alg":"\u006eone"}"#,
            ],
        );
        refused_all(
            Reason::TokenMalformed,
            &["{}", r#"{"alg":null}"#, r#"{"alg":["RS256"]}"#, r#"{"alg":0}"#, r#"{"ALG":"RS256"}"#],
        );
    }

    #[test]
    fn only_listed_algorithms_pass() {
        refused_all(
            Reason::TokenAlgorithm,
            &[
                r#"{"alg":"HS256"}"#,
                r#"{"alg":"RS512"}"#,
                r#"{"alg":"ES256K"}"#,
                r#"{"alg":"rs256"}"#,
                r#"{"alg":"RS256 "}"#,
            ],
        );
    }

    #[test]
    fn j4_a_key_id_is_a_short_text() {
        let longest = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(256));
        let longer = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(257));
        assert!(read(&longest).is_ok());
        refused_all(
            Reason::TokenMalformed,
            &[&longer, r#"{"alg":"RS256","kid":1}"#, r#"{"alg":"RS256","kid":null}"#, r#"{"alg":"RS256","kid":["a"]}"#],
        );
        assert!(read(r#"{"alg":"RS256","kid":"../../etc/passwd"}"#).is_ok(), "only ever compared");
    }

    #[test]
    fn j6_extensions_are_refused() {
        refused_all(
            Reason::TokenMalformed,
            &[
                r#"{"alg":"RS256","crit":[]}"#,
                r#"{"alg":"RS256","crit":["exp"],"exp":1}"#,
                r#"{"alg":"RS256","crit":null}"#,
                r#"{"alg":"RS256","b64":false}"#,
                r#"{"alg":"RS256","b64":true}"#,
                r#"{"alg":"RS256","\u0063rit":["x"]}"#,
            ],
        );
    }

    #[test]
    fn j7_doubled_members_are_refused() {
        refused_all(
            Reason::TokenMalformed,
            &[r#"{"alg":"none","alg":"RS256"}"#, r#"{"alg":"RS256","a\u006cg":"RS256"}"#],
        );
    }

    #[test]
    fn j17_other_kinds_of_token_are_refused() {
        refused_all(
            Reason::TokenMalformed,
            &[
                r#"{"alg":"RS256","typ":"logout+jwt"}"#,
                r#"{"alg":"RS256","typ":"dpop+jwt"}"#,
                r#"{"alg":"RS256","typ":"JWE"}"#,
                r#"{"alg":"RS256","typ":""}"#,
                r#"{"alg":"RS256","typ":1}"#,
                r#"{"alg":"RS256","typ":["JWT"]}"#,
                r#"{"alg":"RS256","cty":"JWT"}"#,
                r#"{"alg":"RS256","cty":"application/jwt"}"#,
                r#"{"alg":"RS256","cty":1}"#,
            ],
        );
    }
}
