//! The battery for API keys: every way a key can be good or bad, in every place, beside other sources.

use serde_json::json;

use super::*;
use crate::authn::Answers;
use crate::authn::Attempt;
use crate::authn::CredentialPlace;
use crate::authn::Kind;
use crate::authn::Presented;
use crate::authn::Source;
use crate::authn::api_key::hash::tests::HASHED;
use crate::authn::authenticate;
use crate::authn::jwt::Algorithm;
use crate::authn::quiet;
use crate::authn::testing::Issuer;
use crate::authn::testing::NOW;
use crate::authn::testing::at;
use crate::authn::testing::basic;
use crate::authn::testing::now;
use crate::model::header::Headers;
use crate::model::network::parse_network;
use crate::model::secret::Secret;

/// A source with the keys `ci`, `old`, `office` and `ci-next`, and their texts.
struct Keys {
    source: Arc<Source>,
    texts: Vec<(&'static str, String)>,
}

impl Keys {
    fn in_places(name: &str, places: &[TokenPlace]) -> Keys {
        let hasher = KeyHasher::peppered(&Secret::new(vec![9; 32])).expect("a pepper");
        let mut texts = Vec::new();
        let keys = ["ci", "ci-next", "old", "office"].map(|id| {
            let text = generate(id).expect("a key");
            let hash = hasher.hash(&KeyText::parse(text.expose()).expect("a sound key"));
            texts.push((id, text.expose().clone()));
            ApiKey {
                id: id.to_owned(),
                hash,
                owner: "deploy".to_owned(),
                groups: vec!["machines".to_owned()],
                scopes: vec!["write".to_owned()],
                expires: (id == "old").then(|| at(NOW)),
                networks: (id == "office").then(|| NetworkSet::new(parse_network("192.0.2.0/24"))),
            }
        });
        let settings = ApiKeySettings { source: name.into(), places: places.to_vec(), hasher, keys: keys.into() };
        let built = ApiKeySource::build(settings).expect("a source");
        Keys { source: Arc::new(Source { name: name.into(), kind: Kind::ApiKey(built) }), texts }
    }

    fn text(&self, id: &str) -> &str {
        &self.texts.iter().find(|(own, _)| *own == id).expect("a key").1
    }

    fn inner(&self) -> &ApiKeySource {
        self.source.api_keys().expect("keys")
    }
}

fn header() -> TokenPlace {
    TokenPlace::Header("x-api-key".into())
}

fn ask(sources: &[Arc<Source>], fields: &[(&str, &str)], address: Option<&str>) -> Attempt {
    let mut headers = Headers::new(false);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    let address = address.map(|address| address.parse().expect("an address"));
    authenticate(sources, &Presented { address, ..Presented::headers(&headers) }, now(), &Answers::none(), &mut quiet)
}

/// What became of it, short: the user, or the reason.
fn short(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Absent => "absent".to_owned(),
        Attempt::Verified(identity) => format!("{} {}", identity.source(), identity.subject()),
        Attempt::Rejected(rejection) => rejection.reason.to_string(),
        Attempt::Needs(_) => "needs".to_owned(),
    }
}

/// A sound key of another maker with the same id.
fn forged(id: &str) -> String {
    generate(id).expect("a key").expose().clone()
}

#[test]
fn a_key_says_whose_it_is() {
    let keys = Keys::in_places("machines", &[header()]);
    let Attempt::Verified(identity) = ask(std::slice::from_ref(&keys.source), &[("x-api-key", keys.text("ci"))], None)
    else {
        panic!("refused")
    };
    let want = Claims {
        source: "machines".into(),
        issuer: "machines".into(),
        subject: "ci".into(),
        user: "deploy".into(),
        groups: vec!["machines".into()],
        email: None,
        email_verified: false,
        name: None,
        scopes: vec!["write".into()],
        raw: json!({"id": "ci", "owner": "deploy"}).as_object().expect("an object").clone(),
        expires: None,
    };
    assert_eq!(identity.unpacked(), want);
}

#[test]
fn the_battery_in_every_place() {
    for place in [header(), TokenPlace::Bearer, TokenPlace::Basic] {
        let keys = Keys::in_places("machines", std::slice::from_ref(&place));
        let sources = [keys.source.clone()];
        let field = |key: &str| match &place {
            TokenPlace::Header(_) => ("x-api-key", key.to_owned()),
            TokenPlace::Bearer => ("authorization", format!("Bearer {key}")),
            TokenPlace::Basic | TokenPlace::Cookie(_) | TokenPlace::Certificate(_) => ("authorization", basic("", key)),
        };
        let check = |key: &str, address: Option<&str>, want: &str| {
            let (name, value) = field(key);
            let attempt = ask(&sources, &[(name, &value)], address);
            assert_eq!(short(&attempt), want, "{place}: {key}");
            if let Attempt::Rejected(rejection) = attempt {
                assert_eq!(rejection.place, Some(place.kind()), "{place}");
                assert!(!rejection.detail.contains(key.get(12..).unwrap_or(key)), "{}", rejection.detail);
            }
        };
        check(keys.text("ci"), None, "machines ci");
        check(keys.text("ci-next"), None, "machines ci-next");
        check(keys.text("old"), None, "api_key_expired");
        check(keys.text("office"), Some("192.0.2.7"), "machines office");
        check(keys.text("office"), Some("198.51.100.7"), "api_key_network");
        check(keys.text("office"), None, "api_key_network");
        check(&forged("ci"), None, "api_key_invalid");
        check(&forged("nobody"), None, "api_key_invalid");
        check(&forged("old"), None, "api_key_invalid");
        check(&forged("office"), None, "api_key_invalid");
        check("postern_ci_tooshort", None, "api_key_invalid");
        let (name, value) = field(keys.text("ci"));
        let double = ask(&sources, &[(name, &value), (name, &value)], None);
        assert_eq!(short(&double), "duplicate_credential", "{place}");
        assert_eq!(short(&ask(&sources, &[], None)), "absent", "{place}");
    }
}

#[test]
fn in_a_header_of_its_own_everything_is_a_key_and_elsewhere_what_looks_like_one() {
    let keys = Keys::in_places("machines", &[header(), TokenPlace::Bearer, TokenPlace::Basic]);
    let sources = [keys.source.clone()];
    let other = basic("alice", "secret");
    for (fields, want) in [
        ([("x-api-key", "hunter2")], "api_key_invalid"),
        ([("authorization", "Bearer opaque")], "token_unclaimed"),
        ([("authorization", other.as_str())], "absent"),
        ([("authorization", "Basic !!!")], "absent"),
        ([("authorization", "Negotiate x")], "absent"),
    ] {
        assert_eq!(short(&ask(&sources, &fields, None)), want, "{fields:?}");
    }
}

#[test]
fn beside_a_basic_key_stands_its_id_or_nothing() {
    let keys = Keys::in_places("machines", &[TokenPlace::Basic]);
    for (user, want) in
        [("", "machines ci"), ("ci", "machines ci"), ("admin", "api_key_invalid"), ("deploy", "api_key_invalid")]
    {
        let value = basic(user, keys.text("ci"));
        assert_eq!(short(&ask(std::slice::from_ref(&keys.source), &[("authorization", &value)], None)), want, "{user}");
    }
}

#[test]
fn beside_a_token_source_each_takes_its_own_in_either_order() {
    let people = Issuer::new("https://people.test", Algorithm::Es256);
    let keys = Keys::in_places("machines", &[TokenPlace::Bearer, header()]);
    let jwt = people.source("people", &[TokenPlace::Bearer, TokenPlace::Cookie("session".into())]);
    let (token, key) = (format!("Bearer {}", people.token(json!({}))), format!("Bearer {}", keys.text("ci")));
    let session = format!("session={}", people.token(json!({})));
    let expired = format!("session={}", people.token(json!({"exp": 1})));
    let forged = format!("Bearer {}", forged("ci"));
    let (first, last) = (true, false);
    for (fields, keys_first, want) in [
        (vec![("authorization", &token)], first, "people u-1"),
        (vec![("authorization", &token)], last, "people u-1"),
        (vec![("authorization", &key)], first, "machines ci"),
        (vec![("authorization", &key)], last, "machines ci"),
        (vec![("authorization", &key), ("cookie", &session)], first, "machines ci"),
        (vec![("authorization", &key), ("cookie", &session)], last, "people u-1"),
        (vec![("authorization", &key), ("cookie", &expired)], first, "machines ci"),
        (vec![("authorization", &key), ("cookie", &expired)], last, "token_expired"),
        (vec![("authorization", &forged), ("cookie", &session)], first, "api_key_invalid"),
        (vec![("authorization", &forged), ("cookie", &session)], last, "people u-1"),
    ] {
        let sources = if keys_first { [keys.source.clone(), jwt.clone()] } else { [jwt.clone(), keys.source.clone()] };
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(short(&ask(&sources, &fields, None)), want, "{keys_first} {:?}", fields.len());
    }
    // Without a source for keys, a key is nobody's.
    let Attempt::Rejected(rejection) = ask(&[jwt], &[("authorization", &key)], None) else { panic!("not refused") };
    assert_eq!((rejection.reason, rejection.place), (Reason::TokenUnclaimed, Some(CredentialPlace::Bearer)));
    assert_eq!(rejection.detail, "no source of the route looks for an API key here");
}

#[test]
fn r1_an_unknown_id_costs_the_hash_that_a_wrong_secret_costs() {
    let keys = Keys::in_places("machines", &[header()]);
    let sources = [keys.source.clone()];
    for (key, want) in [
        (keys.text("ci").to_owned(), "machines ci"),
        (forged("ci"), "api_key_invalid"),
        (forged("nobody"), "api_key_invalid"),
        (keys.text("old").to_owned(), "api_key_expired"),
    ] {
        let before = HASHED.get();
        assert_eq!(short(&ask(&sources, &[("x-api-key", &key)], None)), want);
        assert_eq!(HASHED.get() - before, 1, "{want}");
    }
}

#[test]
fn r2_the_limit_does_not_tell_which_ids_exist() {
    let keys = Keys::in_places("machines", &[header()]);
    let sources = [keys.source.clone()];
    for id in ["ci", "nobody"] {
        let reasons: Vec<String> = (0..=FAILURES_PER_KEY)
            .map(|client| {
                let from = format!("10.0.{}.{}", client / 200, client % 200);
                short(&ask(&sources, &[("x-api-key", &forged(id))], Some(&from)))
            })
            .collect();
        let limited = reasons.iter().filter(|reason| *reason == "too_many_failures").count();
        assert_eq!((limited, reasons.last().map(String::as_str)), (1, Some("too_many_failures")), "{id}");
    }
}

#[test]
fn r2_wrong_keys_are_counted_by_client_and_key_and_good_ones_pass_all_the_same() {
    let keys = Keys::in_places("machines", &[header()]);
    let sources = [keys.source.clone()];
    let from = |key: &str, address: &str| short(&ask(&sources, &[("x-api-key", key)], Some(address)));
    for _ in 0..FAILURES_PER_CLIENT {
        assert_eq!(from(&forged("nobody"), "192.0.2.1"), "api_key_invalid");
    }
    assert_eq!(from(&forged("nobody"), "192.0.2.1"), "too_many_failures");
    assert_eq!(from("postern_", "192.0.2.1"), "too_many_failures");
    assert_eq!(from(keys.text("ci"), "192.0.2.1"), "machines ci");
    assert_eq!(from(&forged("nobody"), "192.0.2.2"), "api_key_invalid", "another client");
    for client in 0..FAILURES_PER_KEY {
        assert_eq!(from(&forged("ci"), &format!("10.0.{}.{}", client / 200, client % 200)), "api_key_invalid");
    }
    assert_eq!(from(&forged("ci"), "10.1.0.0"), "too_many_failures");
    assert_eq!(from(&forged("ci-next"), "10.1.0.1"), "api_key_invalid", "another key");
    assert_eq!(from(keys.text("ci"), "10.1.0.0"), "machines ci");
}

#[test]
fn the_last_use_is_that_of_a_key_that_passed() {
    let keys = Keys::in_places("machines", &[header()]);
    let sources = [keys.source.clone()];
    assert_eq!(keys.inner().uses(), []);
    for key in [forged("ci"), keys.text("old").to_owned(), keys.text("office").to_owned()] {
        ask(&sources, &[("x-api-key", &key)], None);
    }
    assert_eq!(keys.inner().uses(), []);
    ask(&sources, &[("x-api-key", keys.text("ci"))], None);
    let used = KeyUse { source: "machines".into(), key: "ci".into(), at: NOW };
    assert_eq!(keys.inner().uses(), std::slice::from_ref(&used));
    // After a reload it is still known.
    let again = Keys::in_places("machines", &[header()]);
    again.inner().remember(std::slice::from_ref(&used));
    assert_eq!(again.inner().uses(), [used]);
    let other = Keys::in_places("others", &[header()]);
    other.inner().remember(&again.inner().uses());
    assert_eq!(other.inner().uses(), []);
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let hasher = || KeyHasher::peppered(&Secret::new(vec![9; 32])).expect("a pepper");
    let key = |id: &str, owner: &str, hasher: &KeyHasher| ApiKey {
        id: id.to_owned(),
        hash: hasher.hash(&KeyText { id, secret: "s" }),
        owner: owner.to_owned(),
        groups: vec![],
        scopes: vec![],
        expires: None,
        networks: None,
    };
    let build = |places: &[TokenPlace], keys: Vec<ApiKey>, hasher: KeyHasher| {
        ApiKeySource::build(ApiKeySettings { source: "machines".into(), places: places.to_vec(), hasher, keys }).err()
    };
    let (good, plain) = (key("ci", "deploy", &hasher()), key("ci", "deploy", &KeyHasher::plain()));
    let bearer = [TokenPlace::Bearer];
    for (got, want) in [
        (build(&bearer, vec![good.clone()], hasher()), None),
        (build(&bearer, vec![plain.clone()], KeyHasher::plain()), None),
        (build(&[], vec![], hasher()), Some(ApiKeyError::NoPlaces)),
        (build(&[TokenPlace::Cookie("k".into())], vec![], hasher()), Some(ApiKeyError::Place("the cookie `k`".into()))),
        (build(&bearer, vec![good.clone(), good.clone()], hasher()), Some(ApiKeyError::Duplicate("ci".into()))),
        (build(&bearer, vec![key("CI", "deploy", &hasher())], hasher()), Some(ApiKeyError::Id("CI".into()))),
        (build(&bearer, vec![key("ci", " x", &hasher())], hasher()), Some(ApiKeyError::Owner("ci".into()))),
        (build(&bearer, vec![good], KeyHasher::plain()), Some(ApiKeyError::NeedsPepper("ci".into()))),
        (build(&bearer, vec![plain], hasher()), Some(ApiKeyError::NoPepper("ci".into()))),
    ] {
        assert_eq!(got, want);
    }
}
