//! Whose certificate is it? Rules in order; the first that matches names the user and the groups.

use std::sync::Arc;

use crate::authn::certificate::facts::Facts;

/// Which name of a certificate a rule looks at, and what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// The one `URI` name: this, or with `/*` for one whole segment, or `/**` at the end for any number of them. A
    /// certificate with several has none that counts (SPIFFE X.509-SVID §2).
    Uri(String),
    /// A `DNS` name: this, or `*.` and the rest for exactly one label more.
    Dns(String),
    /// An `email` name: this, or `*@` and the domain.
    Email(String),
    /// The subject's only common name, exactly. Read from the certificate alone, never from a proxy's text.
    CommonName(String),
    /// SHA-256 of the certificate, in lower-case hex.
    Fingerprint(String),
}

/// Why a match can match nothing, or more than it says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    #[error("it is empty")]
    Empty,
    #[error("`*` stands for one whole segment of the path and `**` only at its end: `spiffe://corp.test/ns/*/sa/ci`")]
    UriPattern,
    #[error("it is not `scheme://authority/path`")]
    NotAUri,
    #[error("`*` stands only for the first label: `*.corp.test`")]
    DnsPattern,
    #[error("`*` stands only before the `@`: `*@corp.test`")]
    EmailPattern,
    #[error("it is not the 64 hex digits of a SHA-256")]
    NotAFingerprint,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRule {
    pub matches: Match,
    /// The user; without it, the name that matched.
    pub user: Option<String>,
    pub groups: Vec<String>,
}

impl Match {
    /// Check what is written, and bring it into the form that is compared.
    pub fn check(self) -> Result<Match, MatchError> {
        let text = self.text();
        if text.is_empty() {
            return Err(MatchError::Empty);
        }
        match self {
            Match::Uri(text) => {
                let (_, rest) = text.split_once("://").ok_or(MatchError::NotAUri)?;
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                if authority.is_empty() {
                    return Err(MatchError::NotAUri);
                }
                let inner = path.strip_suffix("**").unwrap_or(path);
                let whole = inner.len() == path.len() || inner.is_empty() || inner.ends_with('/');
                let starred = inner.split('/').any(|segment| segment.contains('*') && segment != "*");
                if !whole
                    || starred
                    || text.split("://").next().is_some_and(|s| s.contains('*'))
                    || authority.contains('*')
                {
                    return Err(MatchError::UriPattern);
                }
                Ok(Match::Uri(text))
            }
            Match::Dns(text) => {
                let rest = text.strip_prefix("*.").unwrap_or(&text);
                if rest.contains('*') || rest.is_empty() {
                    return Err(MatchError::DnsPattern);
                }
                Ok(Match::Dns(text.to_ascii_lowercase()))
            }
            Match::Email(text) => {
                let rest = text.strip_prefix("*@").unwrap_or(&text);
                if rest.contains('*') || rest.is_empty() {
                    return Err(MatchError::EmailPattern);
                }
                Ok(Match::Email(text))
            }
            Match::CommonName(text) => Ok(Match::CommonName(text)),
            Match::Fingerprint(text) => {
                let digits: String = text.chars().filter(|character| *character != ':').collect();
                if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return Err(MatchError::NotAFingerprint);
                }
                Ok(Match::Fingerprint(digits.to_ascii_lowercase()))
            }
        }
    }

    /// The name that matches, if one does.
    pub(super) fn find<'f>(&self, facts: &'f Facts) -> Option<&'f str> {
        match self {
            Match::Uri(pattern) => match facts.uris.as_slice() {
                [only] if uri_fits(pattern, only) => Some(only),
                _ => None,
            },
            Match::Dns(pattern) => facts.dns.iter().find(|name| dns_fits(pattern, name)).map(String::as_str),
            Match::Email(pattern) => facts.emails.iter().find(|name| email_fits(pattern, name)).map(String::as_str),
            Match::CommonName(name) => facts.common_name.as_deref().filter(|common| common == name),
            Match::Fingerprint(print) => facts.fingerprint.as_deref().filter(|own| own == print),
        }
    }

    fn text(&self) -> &str {
        match self {
            Match::Uri(text)
            | Match::Dns(text)
            | Match::Email(text)
            | Match::CommonName(text)
            | Match::Fingerprint(text) => text,
        }
    }
}

/// The first rule that matches, and the name it matched by.
pub(super) fn first<'r, 'f>(
    rules: &'r [Arc<CertificateRule>],
    facts: &'f Facts,
) -> Option<(&'r CertificateRule, &'f str)> {
    rules.iter().find_map(|rule| Some((&**rule, rule.matches.find(facts)?)))
}

/// Octets are compared: a URI with an escape is not the one without. Dot segments and empty ones fit no pattern.
fn uri_fits(pattern: &str, uri: &str) -> bool {
    let (Some((scheme, pattern)), Some((own, uri))) = (pattern.split_once("://"), uri.split_once("://")) else {
        return false;
    };
    let mut names = uri.split('/');
    if scheme != own || !uri.split('/').all(|segment| !matches!(segment, "" | "." | "..")) {
        return false;
    }
    let mut wanted = pattern.split('/').peekable();
    while let Some(want) = wanted.next() {
        if want == "**" && wanted.peek().is_none() {
            return true;
        }
        match names.next() {
            Some(_) if want == "*" => {}
            Some(name) if name == want => {}
            Some(_) | None => return false,
        }
    }
    names.next().is_none()
}

fn dns_fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_prefix('*') {
        None => pattern == name,
        Some(rest) => name.strip_suffix(rest).is_some_and(|label| !label.is_empty() && !label.contains(['.', '*'])),
    }
}

/// The part before `@` is compared with its case, the domain without (RFC 5321 §2.4).
fn email_fits(pattern: &str, name: &str) -> bool {
    let (Some((local, domain)), Some((own, other))) = (pattern.rsplit_once('@'), name.rsplit_once('@')) else {
        return false;
    };
    domain.eq_ignore_ascii_case(other) && !own.is_empty() && !own.contains('@') && (local == "*" || local == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_match_by_whole_segments() {
        for (pattern, uri, fits) in [
            ("spiffe://corp.test/ns/dev/sa/ci", "spiffe://corp.test/ns/dev/sa/ci", true),
            ("spiffe://corp.test/ns/dev/sa/ci", "spiffe://corp.test/ns/dev/sa/ci2", false),
            ("spiffe://corp.test/ns/*/sa/ci", "spiffe://corp.test/ns/prod/sa/ci", true),
            ("spiffe://corp.test/ns/*/sa/ci", "spiffe://corp.test/ns/a/b/sa/ci", false),
            ("spiffe://corp.test/ns/*/sa/ci", "spiffe://corp.test/ns//sa/ci", false),
            ("spiffe://corp.test/ns/dev/**", "spiffe://corp.test/ns/dev/sa/ci", true),
            ("spiffe://corp.test/ns/dev/**", "spiffe://corp.test/ns/dev", true),
            ("spiffe://corp.test/ns/dev/**", "spiffe://corp.test/ns/dev/../prod", false),
            ("spiffe://corp.test/ns/dev/**", "spiffe://corp.test/ns/development/x", false),
            ("spiffe://corp.test/**", "spiffe://evil.test/ns/dev", false),
            ("spiffe://corp.test/**", "spiffe://corp.test.evil/ns/dev", false),
            ("spiffe://corp.test/**", "SPIFFE://corp.test/ns/dev", false),
            ("spiffe://corp.test/a", "https://corp.test/a", false),
            ("spiffe://corp.test", "spiffe://corp.test", true),
            ("spiffe://corp.test/a", "corp.test/a", false),
        ] {
            assert_eq!(uri_fits(pattern, uri), fits, "{pattern} {uri}");
        }
    }

    #[test]
    fn a_certificate_with_several_uris_has_none_that_counts() {
        let rule = Match::Uri("spiffe://corp.test/**".to_owned());
        let facts =
            |uris: &[&str]| Facts { uris: uris.iter().map(|&uri| uri.to_owned()).collect(), ..Facts::default() };
        assert_eq!(rule.find(&facts(&["spiffe://corp.test/a"])), Some("spiffe://corp.test/a"));
        assert_eq!(rule.find(&facts(&["spiffe://corp.test/a", "spiffe://corp.test/b"])), None);
        assert_eq!(rule.find(&facts(&[])), None);
    }

    #[test]
    fn names_match_exactly_or_by_one_star() {
        for (pattern, name, fits) in [
            ("db.corp.test", "db.corp.test", true),
            ("*.corp.test", "db.corp.test", true),
            ("*.corp.test", "a.db.corp.test", false),
            ("*.corp.test", "corp.test", false),
            ("*.corp.test", ".corp.test", false),
            ("*.corp.test", "*.corp.test", false),
            ("*.corp.test", "evilcorp.test", false),
        ] {
            assert_eq!(dns_fits(pattern, name), fits, "{pattern} {name}");
        }
        for (pattern, name, fits) in [
            ("alice@corp.test", "alice@CORP.test", true),
            ("alice@corp.test", "Alice@corp.test", false),
            ("*@corp.test", "bob@corp.test", true),
            ("*@corp.test", "@corp.test", false),
            ("*@corp.test", "bob@evil.test@corp.test", false),
            ("*@corp.test", "bob@sub.corp.test", false),
        ] {
            assert_eq!(email_fits(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn what_matches_nothing_is_said_at_load() {
        let uri = |text: &str| Match::Uri(text.to_owned()).check();
        let dns = |text: &str| Match::Dns(text.to_owned()).check();
        for (checked, want) in [
            (uri(""), Err(MatchError::Empty)),
            (uri("corp.test/a"), Err(MatchError::NotAUri)),
            (uri("spiffe:///a"), Err(MatchError::NotAUri)),
            (uri("spiffe://*/a"), Err(MatchError::UriPattern)),
            (uri("spiffe://corp.test/a*"), Err(MatchError::UriPattern)),
            (uri("spiffe://corp.test/**/a"), Err(MatchError::UriPattern)),
            (uri("spiffe://corp.test/a**"), Err(MatchError::UriPattern)),
            (uri("spiffe://corp.test/**"), Ok(Match::Uri("spiffe://corp.test/**".into()))),
            (dns("*"), Err(MatchError::DnsPattern)),
            (dns("a.*.test"), Err(MatchError::DnsPattern)),
            (dns("*.Corp.test"), Ok(Match::Dns("*.corp.test".into()))),
            (Match::Email("a*@corp.test".into()).check(), Err(MatchError::EmailPattern)),
            (Match::Fingerprint("ab:cd".into()).check(), Err(MatchError::NotAFingerprint)),
            (Match::Fingerprint(["AB"; 32].join(":")).check(), Ok(Match::Fingerprint("ab".repeat(32)))),
        ] {
            assert_eq!(checked, want);
        }
    }
}
