//! What the YAML parser and its builder refuse, in our words.

use granit_parser::ErrorKind;
use granit_parser::ScanError;

use crate::model::problem::Place;
use crate::model::problem::Problem;

/// Text that is not YAML.
pub(super) fn problem(error: &ScanError, place: Place) -> Problem {
    let not_yaml = |what: String| Problem::error(place.clone(), "", format!("this is not YAML: {what}"));
    match error.kind() {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => {
            not_yaml("a tab stands where YAML wants spaces".to_owned()).help("indent with spaces")
        }
        ErrorKind::DirectiveDisallowed => Problem::error(place.clone(), "", "YAML directives are not allowed")
            .help("remove the line that begins with `%`"),
        ErrorKind::UnclosedFlowCollection { open } => {
            let close = if *open == '{' { '}' } else { ']' };
            not_yaml(format!("`{open}` is never closed")).help(format!("write the missing `{close}`"))
        }
        ErrorKind::UnclosedQuotedScalar => not_yaml("a quoted text is never closed".to_owned()),
        ErrorKind::MappingValueNotAllowed => {
            not_yaml(error.info()).help("put text that holds `: ` in quotes, and every key on a line of its own")
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            not_yaml(format!("the `{open}` that begins here is closed by `{close}`"))
        }
        ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey
        | ErrorKind::ExpectedBlockSequenceEntry
        | ErrorKind::SimpleKeyExpected => not_yaml("this does not fit the lines above it".to_owned())
            .help("check the indentation, and the `:` after each key"),
        ErrorKind::RecursionLimitExceeded => too_deep(place.clone()),
        ErrorKind::UnexpectedCharacter { character } if matches!(character, '@' | '`') => {
            not_yaml(format!("a value cannot begin with `{character}`")).help("put the value in quotes")
        }
        _ => not_yaml(error.info()),
    }
}

pub(super) fn second_document(place: Place) -> Problem {
    Problem::error(place, "", "a second document begins here")
        .help("a policy file holds one document: remove the `---`")
}

pub(super) fn too_deep(place: Place) -> Problem {
    Problem::error(place, "", format!("this is nested deeper than {} levels", super::build::MAX_DEPTH))
}

pub(super) fn too_many_aliases(place: Place) -> Problem {
    Problem::error(place, "", "the aliases of this file expand to too much")
        .help("write the value out where it is needed, or use a role or a named network")
}

pub(super) fn unknown_alias(place: Place, name: &str) -> Problem {
    let name = name.trim_end_matches(':');
    Problem::error(place, "", format!("`*{name}` is an alias in YAML, and refers to nothing written above it"))
        .help(format!("text that begins with `*` needs quotes: `\"*{name}\"`"))
}

pub(super) fn alias_within_itself(place: Place) -> Problem {
    Problem::error(place, "", "this alias stands within the value it refers to")
}

pub(super) fn tag(place: Place, tag: &str) -> Problem {
    Problem::error(place, "", format!("the tag `{tag}` means nothing here")).help("remove it")
}

pub(super) fn merge_key(place: Place) -> Problem {
    Problem::error(place, "", "the merge key `<<` is not supported")
        .help("write the keys out, or share them through `defaults`")
}

pub(super) fn key_is_not_text(place: Place, kind: &str) -> Problem {
    Problem::error(place, "", format!("a key must be text, not {kind}"))
}

pub(super) fn duplicate_key(place: Place, key: &str, first: &Place) -> Problem {
    Problem::error(place, "", format!("the key `{key}` is written twice, first in line {}", first.line))
        .help("remove one of the two")
}
