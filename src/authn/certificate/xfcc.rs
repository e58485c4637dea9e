//! Envoy's `x-forwarded-client-cert`, strictly: one element, each key once unless Envoy repeats it, sound quoting (I8). More than one element
//! means that a proxy in front added its own, or that a client sent one; which of them counts only a person can say.

use crate::authn::certificate::facts::CertificateError;
use crate::authn::certificate::facts::Facts;
use crate::authn::certificate::facts::sound;

/// Why a value is not one sound element.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum XfccError {
    #[error("it holds more than one element")]
    Many,
    #[error("its quoting or its pairs are malformed")]
    Malformed,
    #[error("it holds neither `Hash`, `URI`, `DNS` nor `Cert`")]
    Nameless,
    #[error("`{0}` stands there twice")]
    Twice(&'static str),
    #[error("`Hash` is not that of the certificate beside it")]
    OtherHash,
    #[error("{0}")]
    Certificate(#[from] CertificateError),
}

/// The facts of the one element. Where it holds the certificate itself, only that is believed.
pub(super) fn parse(value: &str) -> Result<Facts, XfccError> {
    let mut facts = Facts::default();
    let mut certificate = None;
    let mut seen = Vec::new();
    for pair in pairs(value)? {
        let (key, value) = pair?;
        let known = KEYS.iter().find(|known| key.eq_ignore_ascii_case(known)).ok_or(XfccError::Malformed)?;
        if !matches!(*known, "By" | "URI" | "DNS") {
            if seen.contains(known) {
                return Err(XfccError::Twice(known));
            }
            seen.push(known);
        }
        match *known {
            // Envoy writes an empty value for a certificate without such a name.
            _ if value.is_empty() => {}
            "Hash" => facts.fingerprint = Some(hash(&value)?),
            "Cert" => certificate = Some(Facts::parse(&value)?),
            "URI" => facts.uris.push(sound(&value)?),
            "DNS" => facts.dns.push(sound(&value)?.to_ascii_lowercase()),
            // `By` is the proxy's own certificate, the chain is not the holder's, and a subject as text has no one
            // spelling.
            _ => {}
        }
    }
    match certificate {
        None if facts == Facts::default() => Err(XfccError::Nameless),
        None => Ok(facts),
        Some(certificate) if facts.fingerprint.is_some() && facts.fingerprint != certificate.fingerprint => {
            Err(XfccError::OtherHash)
        }
        Some(certificate) => Ok(certificate),
    }
}

/// The keys Envoy writes.
const KEYS: [&str; 7] = ["By", "Hash", "Cert", "Chain", "Subject", "URI", "DNS"];

/// `key=value` pairs between semicolons; a value in double quotes may hold anything, `\"` and `\\` included.
fn pairs(value: &str) -> Result<impl Iterator<Item = Result<(&str, String), XfccError>>, XfccError> {
    if !value.bytes().all(|byte| (0x20..=0x7E).contains(&byte)) || value.is_empty() {
        return Err(XfccError::Malformed);
    }
    let mut rest = Some(value);
    Ok(std::iter::from_fn(move || {
        let text = rest.take()?;
        match pair(text) {
            Ok((key, value, after)) => {
                rest = after;
                Some(Ok((key, value)))
            }
            Err(error) => Some(Err(error)),
        }
    }))
}

/// The first pair, and what follows its semicolon.
fn pair(text: &str) -> Result<(&str, String, Option<&str>), XfccError> {
    let (key, text) = text.split_once('=').ok_or(XfccError::Malformed)?;
    let (value, text) = match text.strip_prefix('"') {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = text.find([';', ',', '"']).unwrap_or(text.len());
            let (value, text) = text.split_at_checked(end).ok_or(XfccError::Malformed)?;
            (value.to_owned(), text)
        }
    };
    match text.as_bytes().first() {
        None => Ok((key, value, None)),
        Some(b';') => Ok((key, value, text.get(1..))),
        Some(b',') => Err(XfccError::Many),
        Some(_) => Err(XfccError::Malformed),
    }
}

/// The value up to the closing quote, and what follows it.
fn unquote(text: &str) -> Result<(String, &str), XfccError> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => match characters.next() {
                Some((_, escaped)) => value.push(escaped),
                None => return Err(XfccError::Malformed),
            },
            other => value.push(other),
        }
    }
    Err(XfccError::Malformed)
}

fn hash(value: &str) -> Result<String, XfccError> {
    if value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(value.to_ascii_lowercase())
    } else {
        Err(XfccError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::certificate::testing::Leaf;

    #[test]
    fn one_element_is_read() {
        let hash = "7438ee25066ee1c9736a883420bd4deecccb7ed72b0cbaa0da2e32f969017292";
        let text = format!(
            "Hash={hash};Subject=\"CN=alice,OU=Eng,O=Example\\, Inc.\";URI=spiffe://example.test/ns/dev/sa/alice;DNS=Alice.example.test;DNS=b.test"
        );
        let facts = parse(&text).expect("one element");
        assert_eq!(facts.fingerprint.as_deref(), Some(hash));
        assert_eq!(facts.uris, ["spiffe://example.test/ns/dev/sa/alice"]);
        assert_eq!(facts.dns, ["alice.example.test", "b.test"]);
        assert_eq!(facts.common_name, None, "a subject as text is not believed");
    }

    #[test]
    fn a_proxy_with_several_names_of_its_own_writes_by_for_each() {
        let facts = parse("By=spiffe://corp.test/a;By=spiffe://corp.test/b;URI=spiffe://corp.test/alice");
        assert_eq!(facts.map(|facts| facts.uris), Ok(vec!["spiffe://corp.test/alice".to_owned()]));
    }

    #[test]
    fn the_certificate_itself_wins() {
        let leaf = Leaf::alice();
        let facts = Facts::from_der(&leaf.der).expect("a certificate");
        let hash = facts.fingerprint.clone().expect("a hash");
        let text = format!("Hash={hash};Cert=\"{}\";URI=spiffe://corp.test/admin", leaf.escaped());
        assert_eq!(parse(&text), Ok(facts));
        let other = format!("Hash={};Cert=\"{}\"", "0".repeat(64), leaf.escaped());
        assert_eq!(parse(&other), Err(XfccError::OtherHash));
    }

    #[test]
    fn i8_anything_but_one_sound_element_is_refused() {
        let uri = "URI=spiffe://corp.test/a";
        for (value, want) in [
            (format!("{uri},{uri}"), XfccError::Many),
            (format!("By=x;Subject=\"CN=mallory\",{uri}"), XfccError::Many),
            (format!("Subject=\"CN=a\",{uri}"), XfccError::Many),
            (String::new(), XfccError::Malformed),
            ("By=x;Hash=;Subject=\"CN=a\"".to_owned(), XfccError::Nameless),
            (format!("{uri};"), XfccError::Malformed),
            (format!(";{uri}"), XfccError::Malformed),
            (format!("Subject=\"CN=a;{uri}"), XfccError::Malformed),
            (format!("Subject=\"CN=a\\\";{uri}"), XfccError::Malformed),
            (format!("Subject=\"CN=a\"x;{uri}"), XfccError::Malformed),
            (format!("URI=a\"b;{uri}"), XfccError::Malformed),
            (format!("Hash=abc;{uri}"), XfccError::Malformed),
            (format!("Role=admin;{uri}"), XfccError::Malformed),
            (format!(" {uri}"), XfccError::Malformed),
            ("URI=spiffe://corp.test/\u{e9}".to_owned(), XfccError::Malformed),
            ("URI=spiffe://corp.test/a\0".to_owned(), XfccError::Malformed),
            (format!("Hash={0};Hash={0};{uri}", "0".repeat(64)), XfccError::Twice("Hash")),
            (format!("Subject=\"\";subject=\"CN=x\";{uri}"), XfccError::Twice("Subject")),
            ("Cert=\"x\"".to_owned(), XfccError::Certificate(CertificateError::NotACertificate)),
        ] {
            assert_eq!(parse(&value), Err(want), "{value:?}");
        }
    }
}
