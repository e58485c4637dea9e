//! Headers that a policy adds to an identity.

use crate::config::at::At;
use crate::config::tree;
use crate::model::claim_path::ClaimPath;
use crate::model::header::HeaderText;
use crate::model::problem::Problem;
use crate::policy::header::extra::ClaimFormat;
use crate::policy::header::extra::Content;
use crate::policy::header::extra::ExtraHeader;
use crate::policy::header::extra::Fact;
use crate::policy::header::parse_name;
use crate::snapshot::header::encoding;
use crate::snapshot::header::separator;

/// Build `defaults.headers.extra`.
pub(super) fn headers(written: &tree::IdentityHeaders, problems: &mut Vec<Problem>) -> Vec<ExtraHeader> {
    written.extra.iter().filter_map(|(name, written)| header(name, written, problems)).collect()
}

fn header(name: &At<String>, written: &At<tree::ExtraHeader>, problems: &mut Vec<Problem>) -> Option<ExtraHeader> {
    let header =
        parse_name(name).map_err(|error| problems.push(Problem::error(name.place.clone(), "", error.to_string()))).ok();
    let tree::ExtraHeader { claim, fact, value, format, separator, encode } = &written.value;
    let of_claims = [
        format.as_ref().map(|format| (&format.place, "format")),
        separator.as_ref().map(|separator| (&separator.place, "separator")),
        encode.as_ref().map(|encode| (&encode.place, "encode")),
    ];
    for (place, key) in of_claims.into_iter().flatten().filter(|_| claim.is_none()) {
        let message = format!("`{key}` says nothing here: only a claim is written in several ways");
        problems.push(Problem::error(place.clone(), "", message).help("remove it"));
    }
    let content = match (claim, fact, value) {
        (Some(claim), None, None) => content(claim, written, problems),
        (None, Some(fact), None) => Some(Content::Fact(match fact.value {
            tree::HeaderFact::Source => Fact::Source,
            tree::HeaderFact::Issuer => Fact::Issuer,
            tree::HeaderFact::Subject => Fact::Subject,
            tree::HeaderFact::Scopes => Fact::Scopes,
        })),
        (None, None, Some(value)) => {
            let text = HeaderText::new(value.value.clone());
            if text.is_none() {
                let message = "a header holds printable ASCII, and no space at either end";
                problems.push(Problem::error(value.place.clone(), "", message));
            }
            text.map(Content::Constant)
        }
        _ => {
            let message = format!("the header `{}` says nothing, or several things", name.value);
            problems.push(
                Problem::error(written.place.clone(), "", message)
                    .help("write exactly one of `claim`, `fact` and `value`"),
            );
            None
        }
    };
    Some(ExtraHeader { name: header?, content: content? })
}

fn content(claim: &At<String>, written: &tree::ExtraHeader, problems: &mut Vec<Problem>) -> Option<Content> {
    let format = match written.format.as_deref() {
        Some(tree::GroupFormat::Json) => ClaimFormat::Json,
        Some(tree::GroupFormat::List) | None => {
            ClaimFormat::Text { separator: separator(written.separator.as_ref(), problems) }
        }
    };
    let idle = [
        written.separator.as_ref().map(|separator| (&separator.place, "separator")),
        written.encode.as_ref().map(|encode| (&encode.place, "encode")),
    ];
    for (place, key) in idle.into_iter().flatten().filter(|_| format == ClaimFormat::Json) {
        let message = format!("`{key}` says nothing here: JSON has its own");
        problems.push(Problem::error(place.clone(), "", message).help("remove it, or `format: json`"));
    }
    match ClaimPath::parse(claim) {
        Ok(path) => Some(Content::Claim { path, format, encoding: encoding(written.encode.as_ref()) }),
        Err(error) => {
            problems.push(Problem::error(claim.place.clone(), "", error.to_string()));
            None
        }
    }
}
