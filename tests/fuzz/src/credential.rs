//! Finding the one credential that counts. Input: header fields, one a line, with `{alice}` and the like for tokens.

use jiff::Timestamp;
use postern::authn::{Answers, Attempt, Presented, authenticate, quiet};
use postern::model::header::Headers;
use postern::model::reason::Reason;

use super::token::SOURCES;
use super::world;

pub fn run(input: &[u8]) {
    let input = world::substitute(input);
    let fields: Vec<(String, Vec<u8>)> = input.split(|octet| *octet == b'\n').filter_map(field).collect();
    let apart = attempt(&fields, false);
    let joined = attempt(&join(&fields), true);
    for user in [&apart, &joined].into_iter().flatten() {
        let person = world::PEOPLE.iter().find(|person| person.user == *user).expect("somebody with a token");
        let token = person.token.as_bytes();
        let carried = fields.iter().any(|(name, value)| {
            matches!(name.as_str(), "authorization" | "cookie")
                && value.windows(token.len()).any(|window| window == token)
        });
        assert!(carried, "{user}");
    }
    // A proxy that joins may make us refuse more, but never see somebody else.
    if let (Some(apart), Some(joined)) = (&apart, &joined) {
        assert_eq!(apart, joined);
    }
    if apart.is_some() && bearers(&fields) > 1 {
        panic!("{apart:?} by one of several bearer credentials");
    }
    // The order of different fields means nothing.
    let mut turned = fields.clone();
    turned.sort_by(|(left, _), (right, _)| right.cmp(left));
    assert_eq!(attempt(&turned, false), apart);
}

fn field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|octet| *octet == b':')?;
    let (name, value) = line.split_at(colon);
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    Some((name, value.get(1..)?.trim_ascii().to_vec()))
}

/// As Envoy's header map: `,` between the values of one name.
fn join(fields: &[(String, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let mut joined: Vec<(String, Vec<u8>)> = Vec::new();
    for (name, value) in fields {
        match joined.iter_mut().find(|(other, _)| other == name) {
            Some((_, values)) => {
                values.push(b',');
                values.extend_from_slice(value);
            }
            None => joined.push((name.clone(), value.clone())),
        }
    }
    joined
}

/// How many `Authorization` fields are bearer credentials.
fn bearers(fields: &[(String, Vec<u8>)]) -> usize {
    let is_bearer = |value: &[u8]| value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "));
    fields.iter().filter(|(name, value)| name == "authorization" && is_bearer(value)).count()
}

fn attempt(fields: &[(String, Vec<u8>)], joined: bool) -> Option<String> {
    let mut headers = Headers::new(joined);
    for (name, value) in fields {
        headers.push(name, value);
    }
    let now = Timestamp::from_second(world::NOW).expect("a time");
    match authenticate(&SOURCES, &Presented::headers(&headers), now, &Answers::none(), &mut quiet) {
        Attempt::Verified(identity) => Some(identity.user().to_owned()),
        Attempt::Rejected(rejection) => {
            assert!(!rejection.reason.allows() && rejection.reason != Reason::Internal);
            assert!(!rejection.detail.contains("eyJ"), "a credential in a log: {}", rejection.detail);
            None
        }
        Attempt::Absent => None,
        Attempt::Needs(_) => panic!("the keys are at hand"),
    }
}
