//! The file of what is revoked.

use std::sync::Arc;

use crate::authn::revocation::Mark;
use crate::authn::revocation::Revocation;
use crate::authn::revocation::Revocations;
use crate::config::at::At;
use crate::config::key_file::parse_moment;
use crate::config::load::Surroundings;
use crate::config::read;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::identity::Identities;
use crate::snapshot::unknown_name;

/// Read the list, or say everything that is wrong with it: who left one out by mistake must hear of it.
pub(super) fn revocations(
    written: Option<&At<tree::Revocation>>,
    identities: &Identities,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Revocations {
    let Some(written) = written else { return Revocations::default() };
    let (name, text) = match surroundings.text(&written.file) {
        Ok(read) => read,
        Err(problem) => {
            problems.push(problem);
            return Revocations::default();
        }
    };
    match read::document::<Vec<At<tree::RevokedLine>>>(&name, &text) {
        Ok(document) => {
            problems.0.extend(document.unended(&name));
            let lines = document.value.unwrap_or_default();
            Revocations::new(lines.iter().filter_map(|line| revocation(&name, line, identities, problems)))
        }
        Err(found) => {
            problems.0.extend(found.0);
            Revocations::default()
        }
    }
}

fn revocation(
    file: &str,
    line: &At<tree::RevokedLine>,
    identities: &Identities,
    problems: &mut Problems,
) -> Option<Revocation> {
    let tree::RevokedLine { token, subject, session, certificate, source, issued_before, comment: _ } = &line.value;
    let marks: Vec<(&At<String>, Mark)> = [
        token.as_ref().map(|at| (at, Mark::Token(at.value.clone()))),
        subject.as_ref().map(|at| (at, Mark::Subject(at.value.clone()))),
        session.as_ref().map(|at| (at, Mark::Session(at.value.clone()))),
        certificate.as_ref().map(|at| (at, Mark::Certificate(at.to_ascii_lowercase().replace(':', "")))),
    ]
    .into_iter()
    .flatten()
    .collect();
    let [(at, mark)] = marks.as_slice() else {
        let message = if marks.is_empty() { "this line revokes nothing" } else { "this line revokes several things" };
        let help = "write exactly one of `token`, `subject`, `session` and `certificate`";
        problems.push(Problem::error(line.place.clone(), "", message).help(help));
        return None;
    };
    if at.is_empty() {
        problems.push(Problem::error(at.place.clone(), "", "an empty name revokes nothing"));
    }
    if let Mark::Certificate(print) = mark
        && !(print.len() == 64 && print.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        problems.push(Problem::error(at.place.clone(), "", "it is not the 64 hex digits of a SHA-256"));
    }
    let source: Option<Arc<str>> = match source {
        None => None,
        Some(named) if identities.names().iter().any(|known| **known == *named.value) => Some(named.as_str().into()),
        Some(named) => {
            problems.push(unknown_name(named, "identity source", identities.names()));
            return None;
        }
    };
    let issued_before = match issued_before {
        None => None,
        Some(moment) => match parse_moment(moment) {
            Some(moment) => Some(moment),
            None => {
                let message = format!("`{}` is not a time", moment.value);
                let help = "write `2027-01-31`, or `2027-01-31T12:00:00Z`";
                problems.push(Problem::error(moment.place.clone(), "", message).help(help));
                return None;
            }
        },
    };
    let written = format!("{file}:{}", line.place.line).into();
    Some(Revocation { mark: mark.clone(), source, issued_before, written })
}
