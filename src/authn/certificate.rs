//! Client certificates that the proxy verified: whose they are, by the names they carry.
//!
//! A certificate is public, so what counts is who says that the client holds its key. That is the proxy, in the one way
//! the source is told: everything else in the request is the client's word.

mod facts;
mod rule;
#[cfg(test)]
pub(crate) mod testing;
mod xfcc;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Map;
use serde_json::Value;

use crate::authn::BadCredential;
use crate::authn::Note;
use crate::authn::Presented;
use crate::authn::Verdict;
use crate::authn::place::TokenPlace;
use crate::model::dialect::Dialect;
use crate::model::header::Single;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::reason::Reason;
use facts::Facts;

pub use rule::CertificateRule;
pub use rule::Match;
pub use rule::MatchError;

/// Where the proxy states its client's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Statement {
    /// Envoy's gRPC attributes: `source.certificate`, or `source.principal` when that is a URI.
    Attribute,
    /// Envoy's `x-forwarded-client-cert`, over gRPC and over its HTTP service.
    Xfcc,
    /// A header that the proxy of this dialect writes over whatever the client sent.
    Header {
        dialect: Dialect,
        /// Lower-case.
        name: String,
        /// Another header it writes, and what that says of a verified certificate: nginx's `$ssl_client_verify`.
        verified: Option<(String, String)>,
    },
}

/// What a certificate source is built from.
#[derive(Clone, Debug)]
pub struct CertificateSettings {
    /// The source's name in the configuration.
    pub source: Arc<str>,
    pub statement: Statement,
    /// In order; never empty.
    pub rules: Vec<CertificateRule>,
}

/// One way of certificates.
#[derive(Debug)]
pub struct CertificateSource {
    name: Arc<str>,
    places: [TokenPlace; 1],
    rules: Vec<Arc<CertificateRule>>,
}

/// A client certificate as the proxy stated it, read once.
#[derive(Debug)]
pub(super) struct Stated {
    facts: Result<Facts, String>,
}

impl CertificateSource {
    pub fn build(settings: CertificateSettings) -> CertificateSource {
        CertificateSource {
            name: settings.source,
            places: [TokenPlace::Certificate(settings.statement)],
            rules: settings.rules.into_iter().map(Arc::new).collect(),
        }
    }

    pub(super) fn places(&self) -> &[TokenPlace] {
        &self.places
    }

    /// Is it this source's business? What is malformed is: it must not become another source's, or nobody's.
    pub(super) fn claims(&self, stated: &Stated) -> bool {
        stated.facts.as_ref().map_or(true, |facts| rule::first(&self.rules, facts).is_some())
    }

    /// Judge a claimed certificate.
    pub(super) fn verify(&self, stated: &Stated, now: Timestamp, notes: &mut dyn FnMut(Note<'_>)) -> Verdict {
        match self.identity(stated, now, notes) {
            Ok(identity) => Verdict::Verified(Arc::new(identity)),
            Err(detail) => Verdict::Refused(BadCredential { reason: Reason::CertificateInvalid, detail }),
        }
    }

    fn identity(&self, stated: &Stated, now: Timestamp, notes: &mut dyn FnMut(Note<'_>)) -> Result<Identity, String> {
        let facts = stated.facts.as_ref().map_err(|error| format!("the client certificate: {error}"))?;
        facts.check_time(now).map_err(|error| error.to_string())?;
        let (rule, name) = rule::first(&self.rules, facts).ok_or("the client certificate maps to nobody")?;
        notes(Note::Certificate { source: &self.name, name });
        let email = match &rule.matches {
            Match::Email(_) => Some(name.to_owned()),
            _ => None,
        };
        Identity::verified(Claims {
            source: self.name.clone(),
            issuer: self.name.clone(),
            subject: name.to_owned(),
            user: rule.user.clone().unwrap_or_else(|| name.to_owned()),
            groups: rule.groups.clone(),
            // The authority that signed the certificate vouches for it.
            email_verified: email.is_some(),
            email,
            name: facts.common_name.clone(),
            scopes: Vec::new(),
            raw: raw(facts),
            expires: facts.validity.map(|(_, to)| to),
        })
        .map_err(|_| "the name in the client certificate is not a sound user name".to_owned())
    }
}

/// What conditions on `claims` see.
fn raw(facts: &Facts) -> Map<String, Value> {
    let list = |names: &[String]| Value::from(names.to_vec());
    let mut raw = Map::new();
    raw.insert("uri".to_owned(), list(&facts.uris));
    raw.insert("dns".to_owned(), list(&facts.dns));
    raw.insert("email".to_owned(), list(&facts.emails));
    if let Some(name) = &facts.common_name {
        raw.insert("common_name".to_owned(), name.as_str().into());
    }
    if let Some(print) = &facts.fingerprint {
        raw.insert("fingerprint".to_owned(), print.as_str().into());
    }
    raw
}

impl Statement {
    /// What the proxy states, if it does; `Err` when it states two things.
    pub(super) fn find(&self, presented: &Presented<'_, '_>) -> Option<Stated> {
        match self {
            Statement::Attribute => {
                if let Some(certificate) = presented.certificate.pem {
                    return Some(Stated { facts: Facts::parse(certificate).map_err(|error| error.to_string()) });
                }
                // Without the certificate a principal may be a URI, a DNS name or a subject; only a URI shows itself.
                let uri = presented.certificate.principal.filter(|principal| principal.contains("://"))?;
                let facts = facts::sound(uri).map(|uri| Facts { uris: vec![uri], ..Facts::default() });
                Some(Stated { facts: facts.map_err(|error| error.to_string()) })
            }
            Statement::Xfcc if matches!(presented.dialect, Dialect::ExtAuthz | Dialect::EnvoyHttp) => {
                let value = header(presented, XFCC)?;
                let facts = value.and_then(|value| xfcc::parse(value).map_err(|error| format!("{XFCC}: {error}")));
                Some(Stated { facts })
            }
            Statement::Header { dialect, name, verified } if *dialect == presented.dialect => {
                let value = header(presented, name)?;
                let verified = match verified {
                    None => true,
                    Some((name, want)) => matches!(header(presented, name), Some(Ok(is)) if is == want),
                };
                let facts = value.and_then(|value| Facts::parse(value).map_err(|error| error.to_string()));
                verified.then_some(Stated { facts })
            }
            Statement::Xfcc | Statement::Header { .. } => None,
        }
    }
}

const XFCC: &str = "x-forwarded-client-cert";

/// The one value of a header; nothing when it is absent or empty, a fault when it stands there twice.
fn header<'w>(presented: &Presented<'_, 'w>, name: &str) -> Option<Result<&'w str, String>> {
    match presented.headers.one(name) {
        Single::Absent => None,
        Single::Many => Some(Err(format!("{name} stands there twice"))),
        Single::One(value) => match std::str::from_utf8(value) {
            Ok(text) if text.trim().is_empty() => None,
            Ok(text) => Some(Ok(text)),
            Err(_) => Some(Err(format!("{name} is not text"))),
        },
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Attribute => f.write_str("the client certificate of the connection"),
            Statement::Xfcc => write!(f, "the client certificate in `{XFCC}`"),
            Statement::Header { dialect, name, .. } => {
                write!(f, "the client certificate in `{name}`, as {} writes it", dialect.name())
            }
        }
    }
}

#[cfg(test)]
mod tests;
