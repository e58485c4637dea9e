//! A source of client certificates, from what is written to what judges.

use std::sync::Arc;

use http::HeaderName;

use crate::authn::certificate::CertificateRule;
use crate::authn::certificate::CertificateSettings;
use crate::authn::certificate::CertificateSource;
use crate::authn::certificate::Match;
use crate::authn::certificate::Statement;
use crate::config::at::At;
use crate::config::tree;
use crate::model::dialect::Dialect;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// Build the source, or say everything that is wrong with it.
pub(super) fn source(
    name: &Arc<str>,
    written: &At<tree::Certificate>,
    problems: &mut Problems,
) -> Option<CertificateSource> {
    let statement = statement(written, problems);
    let before = problems.0.len();
    let rules: Vec<CertificateRule> = written.rules.iter().filter_map(|written| rule(written, problems)).collect();
    let sound = problems.0.len() == before && !rules.is_empty();
    let settings = CertificateSettings { source: name.clone(), statement: statement?, rules };
    sound.then(|| CertificateSource::build(settings))
}

fn statement(written: &At<tree::Certificate>, problems: &mut Problems) -> Option<Statement> {
    let header = match written.from.as_deref() {
        None | Some(tree::CertificateFrom::Envoy) => return Some(Statement::Attribute),
        Some(tree::CertificateFrom::Xfcc) => return Some(Statement::Xfcc),
        Some(tree::CertificateFrom::Header(header)) => header,
    };
    let proxy = header.proxy.value;
    if proxy == tree::CertificateProxy::Nginx && header.verified.is_none() {
        let message = "nginx hands on certificates that it did not verify, too";
        let help = "write `verified: {name: X-Client-Verify, value: SUCCESS}`, and \
                    `proxy_set_header X-Client-Verify $ssl_client_verify` in nginx";
        problems.push(Problem::error(header.name.place.clone(), "", message).help(help));
        return None;
    }
    let mut named = |written: &At<String>| match HeaderName::from_bytes(written.as_bytes()) {
        Ok(name) => Some(name.as_str().to_owned()),
        Err(_) => {
            let message = format!("`{}` is not a header name", written.value);
            problems.push(Problem::error(written.place.clone(), "", message));
            None
        }
    };
    let name = named(&header.name);
    let verified = match &header.verified {
        None => None,
        Some(verified) => Some((named(&verified.name)?, verified.value.value.value.clone())),
    };
    let dialect = match proxy {
        tree::CertificateProxy::Caddy => Dialect::Caddy,
        tree::CertificateProxy::Haproxy => Dialect::Haproxy,
        tree::CertificateProxy::Nginx => Dialect::Nginx,
        tree::CertificateProxy::Traefik => Dialect::Traefik,
    };
    Some(Statement::Header { dialect, name: name?, verified })
}

fn rule(written: &At<tree::CertificateRule>, problems: &mut Problems) -> Option<CertificateRule> {
    let names: Vec<(&At<String>, Match)> = [
        written.uri.as_ref().map(|text| (text, Match::Uri(text.value.clone()))),
        written.dns.as_ref().map(|text| (text, Match::Dns(text.value.clone()))),
        written.email.as_ref().map(|text| (text, Match::Email(text.value.clone()))),
        written.common_name.as_ref().map(|text| (text, Match::CommonName(text.value.clone()))),
        written.fingerprint.as_ref().map(|text| (text, Match::Fingerprint(text.value.clone()))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let [(place, name)] = names.as_slice() else {
        let message = if names.is_empty() { "this rule matches no name" } else { "this rule matches several names" };
        problems.push(
            Problem::error(written.place.clone(), "", message)
                .help("write exactly one of `uri`, `dns`, `email`, `common_name`, `fingerprint`"),
        );
        return None;
    };
    let user = written.user.as_ref().map(|user| user.value.clone());
    if let Some(written) = written.user.as_ref().filter(|user| user.trim() != user.as_str() || user.is_empty()) {
        problems.push(Problem::error(written.place.clone(), "", "a user name is not empty and has no space around it"));
    }
    let groups = written.groups.iter().flat_map(|groups| groups.iter()).map(|group| group.value.clone()).collect();
    match name.clone().check() {
        Ok(matches) => Some(CertificateRule { matches, user, groups }),
        Err(error) => {
            let message = format!("`{}` cannot be matched: {error}", place.value);
            problems.push(Problem::error(place.place.clone(), "", message));
            None
        }
    }
}
