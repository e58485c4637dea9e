//! From `claims` and `preset` as written to a mapping.

use crate::authn::jwt::ClaimMapping;
use crate::authn::jwt::EmailProof;
use crate::authn::jwt::GroupClaim;
use crate::authn::jwt::Preset;
use crate::authn::jwt::Rename;
use crate::authn::jwt::Split;
use crate::authn::jwt::UserForm;
use crate::config::at::At;
use crate::config::tree;
use crate::model::claim_path::ClaimPath;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// The mapping of a source: what its preset knows, and over it what is written.
pub(super) fn build(
    preset: Option<&At<tree::Preset>>,
    claims: Option<&At<tree::ClaimMap>>,
    problems: &mut Problems,
) -> ClaimMapping {
    let preset = preset.map(|written| self::preset(written.value));
    let mut mapping = preset.map(Preset::mapping).unwrap_or_default();
    let Some(written) = claims else { return mapping };
    if let Some(user) = &written.user {
        let (path_text, place) = match &user.value {
            tree::UserClaim::Path(text) => (text, &user.place),
            tree::UserClaim::Rules(rules) => {
                let prefix = rules.prefix.as_ref().map(|prefix| prefix.value.clone()).unwrap_or_default();
                mapping.user_form = UserForm { lower_case: rules.lower_case, prefix };
                (&rules.claim.value, &rules.claim.place)
            }
        };
        mapping.user = path(path_text, place, problems).unwrap_or(mapping.user);
    }
    if let Some(groups) = &written.groups {
        mapping.groups = groups.iter().filter_map(|written| group_claim(written, problems)).collect();
    }
    if let Some(email) = &written.email {
        let (path_text, place) = match &email.value {
            tree::EmailClaim::Path(text) => (text, &email.place),
            tree::EmailClaim::Rules(rules) => {
                mapping.email_proof = email_proof(rules, mapping.email_proof, problems);
                (&rules.claim.value, &rules.claim.place)
            }
        };
        mapping.email = path(path_text, place, problems).unwrap_or(mapping.email);
    }
    if let Some(name) = &written.name {
        mapping.name = path(name, &name.place, problems).unwrap_or(mapping.name);
    }
    mapping
}

/// The preset of this name.
pub(super) fn preset(preset: tree::Preset) -> Preset {
    match preset {
        tree::Preset::Keycloak => Preset::Keycloak,
        tree::Preset::Entra => Preset::Entra,
        tree::Preset::Authelia => Preset::Authelia,
        tree::Preset::Okta => Preset::Okta,
        tree::Preset::Google => Preset::Google,
        tree::Preset::Kubernetes => Preset::Kubernetes,
    }
}

fn path(text: &str, place: &Place, problems: &mut Problems) -> Option<ClaimPath> {
    ClaimPath::parse(text).map_err(|error| problems.push(Problem::error(place.clone(), "", error.to_string()))).ok()
}

fn group_claim(written: &At<tree::GroupClaim>, problems: &mut Problems) -> Option<GroupClaim> {
    let rules = match &written.value {
        tree::GroupClaim::Path(text) => return path(text, &written.place, problems).map(GroupClaim::plain),
        tree::GroupClaim::Rules(rules) => rules,
    };
    let claim = path(&rules.claim, &rules.claim.place, problems);
    let split = match rules.split.as_deref() {
        None => Split::One,
        Some(tree::Split::Spaces) => Split::Spaces,
        Some(tree::Split::Commas) => Split::Commas,
        Some(tree::Split::Json) => Split::Json,
        Some(tree::Split::Clients) => Split::Clients,
    };
    let rename = rename(written, rules, problems);
    let prefix = rules.prefix.as_ref().map(|prefix| prefix.value.clone()).unwrap_or_default();
    Some(GroupClaim { claim: claim?, split, rename, lower_case: rules.lower_case, prefix })
}

fn rename(written: &At<tree::GroupClaim>, rules: &tree::GroupRules, problems: &mut Problems) -> Option<Rename> {
    let keep = rules.other.as_deref() == Some(&tree::OtherGroups::Keep);
    let mut mistake = |place: &Place, message: &str, help: &str| {
        problems.push(Problem::error(place.clone(), "", message).help(help));
        None
    };
    match (&rules.strip_prefix, &rules.regex, &rules.replace) {
        (Some(_), Some(regex), _) => {
            mistake(&regex.place, "`strip_prefix` and `regex` both say what groups are called", "keep one of them")
        }
        (_, None, Some(replace)) => {
            mistake(&replace.place, "`replace` says nothing without `regex`", "write `regex`, or remove it")
        }
        (_, Some(regex), None) => {
            mistake(&regex.place, "`regex` does not say what groups are called then", "write `replace: $1`")
        }
        (Some(prefix), None, None) if prefix.is_empty() => {
            mistake(&prefix.place, "every group begins with nothing", "write the prefix, or remove the key")
        }
        (Some(prefix), None, None) => Some(Rename::strip_prefix(prefix, keep)),
        (None, Some(regex), Some(replace)) => match Rename::replace(regex, replace, keep) {
            Ok(rename) => Some(rename),
            Err(error) => {
                let message = format!("`{}` is not a regular expression: {error}", regex.value);
                problems.push(Problem::error(regex.place.clone(), "", message));
                None
            }
        },
        (None, None, None) => match &rules.other {
            Some(other) => mistake(&other.place, "`other` says nothing without `strip_prefix` or `regex`", "remove it"),
            None if rules.split.is_none() && !rules.lower_case && rules.prefix.is_none() => {
                problems.push(
                    Problem::warning(written.place.clone(), "", "nothing is made of these groups")
                        .help("write the claim alone"),
                );
                None
            }
            None => None,
        },
    }
}

fn email_proof(rules: &tree::EmailRules, default: EmailProof, problems: &mut Problems) -> EmailProof {
    match (&rules.verified, &rules.trusted) {
        (Some(verified), None) => path(verified, &verified.place, problems).map_or(default, EmailProof::Claim),
        (None, Some(trusted)) if trusted.value => EmailProof::Issuer,
        (None, Some(_) | None) => default,
        (Some(_), Some(trusted)) => {
            let message = "`verified` and `trusted` both say who vouches for the address";
            problems.push(Problem::error(trusted.place.clone(), "", message).help("keep one of them"));
            default
        }
    }
}
