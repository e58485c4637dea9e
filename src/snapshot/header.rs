//! The identity headers sent upstream.

mod extra;

use std::collections::HashSet;
use std::sync::Arc;

use http::HeaderName;

use crate::config::at::At;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::policy::condition::Condition;
use crate::policy::encoding::Encoding;
use crate::policy::header::GroupFormat;
use crate::policy::header::GroupRule;
use crate::policy::header::OutgoingHeaders;
use crate::policy::header::parse_name;
use crate::policy::host::HostBlock;
use crate::policy::host::HostPattern;
use crate::policy::route::Access;
use crate::snapshot::role::Roles;

/// The longest group header unless the policy says otherwise, in octets.
const MAX_GROUP_BYTES: u32 = 3000;

/// Build `defaults.headers` and `defaults.groups`, for a policy made of these blocks.
pub(super) fn outgoing(
    defaults: &tree::Defaults,
    blocks: &[(HostPattern, HostBlock)],
    roles: &Roles,
) -> (OutgoingHeaders, Vec<Problem>) {
    let mut problems = Vec::new();
    let names = match &defaults.headers {
        None => ["remote-user", "remote-groups", "remote-email", "remote-name"]
            .map(|name| Some(HeaderName::from_static(name))),
        Some(headers) => [&headers.user, &headers.groups, &headers.email, &headers.name].map(|written| {
            let written = written.as_ref()?;
            parse_name(written)
                .map_err(|error| problems.push(Problem::error(written.place.clone(), "", error.to_string())))
                .ok()
        }),
    };
    let assertion = defaults.assertion.as_ref().map(|assertion| &assertion.header);
    if defaults.headers.is_none() {
        let usual =
            |written: &&At<String>| names.iter().flatten().any(|name| name == written.to_ascii_lowercase().as_str());
        problems.extend(assertion.filter(usual).map(twice));
    }
    if let Some(headers) = &defaults.headers {
        let four = [&headers.user, &headers.groups, &headers.email, &headers.name];
        let extra = headers.extra.iter().map(|(name, _)| name);
        problems.extend(same_names(four.into_iter().flatten().chain(extra).chain(assertion)));
    }
    let [user, groups, email, name] = names;
    let encode = |of: fn(&tree::Encode) -> &Option<At<tree::HeaderEncoding>>| {
        defaults.encode.as_ref().and_then(|encode| of(encode).as_ref())
    };
    let encodings = (encoding(encode(|encode| &encode.user)), encoding(encode(|encode| &encode.name)));
    let of_groups = encode(|encode| &encode.groups);
    let group_rule = group_rule(defaults.groups.as_ref(), of_groups, mentioned(blocks, roles), &mut problems);
    let extra = defaults.headers.as_ref().map(|headers| extra::headers(headers, &mut problems)).unwrap_or_default();
    let (user_encoding, name_encoding) = encodings;
    let headers = OutgoingHeaders {
        user,
        groups,
        email,
        name,
        user_encoding,
        name_encoding,
        group_rule,
        // It comes with its key, which is built elsewhere.
        assertion: None,
        extra,
    };
    (headers, problems)
}

fn encoding(written: Option<&At<tree::HeaderEncoding>>) -> Encoding {
    match written.map(|written| written.value) {
        None => Encoding::Plain,
        Some(tree::HeaderEncoding::Percent) => Encoding::Percent,
        Some(tree::HeaderEncoding::Rfc2047) => Encoding::Rfc2047,
    }
}

fn same_names<'w>(written: impl Iterator<Item = &'w At<String>>) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let mut problems = Vec::new();
    for name in written {
        if !seen.insert(name.to_ascii_lowercase()) {
            problems.push(twice(name));
        }
    }
    problems
}

fn twice(name: &At<String>) -> Problem {
    Problem::error(name.place.clone(), "", format!("two identity headers are called `{}`", name.value))
}

fn group_rule(
    written: Option<&At<tree::GroupHeader>>,
    encode: Option<&At<tree::HeaderEncoding>>,
    mentioned: HashSet<Arc<str>>,
    problems: &mut Vec<Problem>,
) -> GroupRule {
    let encoding = encoding(encode);
    let format = GroupFormat::List { separator: ',', encoding };
    let mut rule = GroupRule { only_mentioned: false, mentioned, max_bytes: MAX_GROUP_BYTES as usize, format };
    let Some(written) = written else { return rule };
    rule.only_mentioned = written.send.as_deref() == Some(&tree::GroupChoice::Mentioned);
    if let Some(max_bytes) = &written.max_bytes {
        if !(1..=16_384).contains(&max_bytes.value) {
            let message = format!("`{}` octets for the groups is out of range", max_bytes.value);
            problems.push(Problem::error(max_bytes.place.clone(), "", message).help("write 1 to 16384"));
        }
        rule.max_bytes = max_bytes.value as usize;
    }
    rule.format = GroupFormat::List { separator: separator(written.separator.as_ref(), problems), encoding };
    if written.format.as_deref() == Some(&tree::GroupFormat::Json) {
        rule.format = GroupFormat::Json;
        if let Some(separator) = &written.separator {
            let message = "`separator` says nothing here: JSON has its own";
            problems.push(Problem::error(separator.place.clone(), "", message).help("remove it, or `format: json`"));
        }
        if let Some(encode) = encode {
            let message = "`encode.groups` says nothing here: JSON has its own escapes";
            problems.push(Problem::error(encode.place.clone(), "", message).help("remove it, or `format: json`"));
        }
    }
    rule
}

/// What stands between the texts of a list: a comma, unless something else is written.
fn separator(written: Option<&At<String>>, problems: &mut Vec<Problem>) -> char {
    let Some(written) = written else { return ',' };
    if let "," | ";" | "|" | " " = written.as_str() {
        return written.chars().next().unwrap_or(',');
    }
    let message = format!("`{}` cannot separate one text from the next", written.value);
    problems.push(Problem::error(written.place.clone(), "", message).help("write `,`, `;`, `|` or a space"));
    ','
}

/// Every group that a requirement or a role names.
fn mentioned(blocks: &[(HostPattern, HostBlock)], roles: &Roles) -> HashSet<Arc<str>> {
    let mut mentioned: HashSet<Arc<str>> = roles.groups().cloned().collect();
    for route in blocks.iter().flat_map(|(_, block)| block.routes.iter()) {
        if let Access::Require(requirement) = &route.access {
            requirement.conditions(&mut |condition, _| {
                if let Condition::Groups(members) = condition {
                    mentioned.extend(members.iter().map(|member| Arc::clone(&member.name)));
                }
            });
        }
    }
    mentioned
}
