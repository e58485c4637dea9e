//! Several sources, several places: which credential counts, and what is refused before any counts.

use serde_json::json;

use super::*;
use crate::authn::jwks::FetchOutcome;
use crate::authn::jwks::Keys;
use crate::authn::jwks::RemoteSettings;
use crate::authn::jwt::Algorithm;
use crate::authn::testing::Issuer;
use crate::authn::testing::build;
use crate::authn::testing::now;

/// What a test expects, short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Want {
    Absent,
    By(&'static str, &'static str),
    No(Reason, Option<&'static str>, Option<CredentialPlace>),
}

fn ask(sources: &[Arc<Source>], fields: &[(&str, &str)], joined: bool) -> Attempt {
    let mut headers = Headers::new(joined);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    authenticate(sources, &Presented::headers(&headers), now(), &Answers::none(), &mut quiet)
}

#[track_caller]
fn expect(sources: &[Arc<Source>], fields: &[(&str, &str)], want: Want) {
    let attempt = ask(sources, fields, false);
    let good = match (&attempt, &want) {
        (Attempt::Absent, Want::Absent) => true,
        (Attempt::Verified(identity), Want::By(source, subject)) => {
            **identity.source() == **source && identity.subject() == *subject
        }
        (Attempt::Rejected(rejection), Want::No(reason, source, place)) => {
            rejection.reason == *reason && rejection.source.as_deref() == *source && rejection.place == *place
        }
        _ => false,
    };
    assert!(good, "want {want:?}, got {attempt:?}");
}

fn people() -> Issuer {
    Issuer::new("https://people.test", Algorithm::Es256)
}

fn machines() -> Issuer {
    Issuer::new("https://machines.test", Algorithm::EdDsa)
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn cookie(name: &str, token: &str) -> String {
    format!("theme=dark; {name}={token}")
}

#[test]
fn each_issuers_token_is_claimed_by_its_own_source_in_either_order() {
    let (people, machines) = (people(), machines());
    let a = people.source("people", &[TokenPlace::Bearer]);
    let b = machines.source("machines", &[TokenPlace::Bearer]);
    for sources in [[a.clone(), b.clone()], [b, a]] {
        let (one, two) = (bearer(&people.token(json!({"sub": "p"}))), bearer(&machines.token(json!({"sub": "m"}))));
        expect(&sources, &[("authorization", &one)], Want::By("people", "p"));
        expect(&sources, &[("authorization", &two)], Want::By("machines", "m"));
        expect(&sources, &[], Want::Absent);
    }
}

#[test]
fn the_first_claimed_credential_is_the_only_one_used() {
    let (people, machines) = (people(), machines());
    let session = TokenPlace::Cookie("session".into());
    let a = people.source("people", std::slice::from_ref(&session));
    let b = machines.source("machines", &[TokenPlace::Bearer]);
    let expired = json!({"exp": 1});
    let (good_cookie, bad_cookie) =
        (cookie("session", &people.token(json!({}))), cookie("session", &people.token(expired.clone())));
    let (good_bearer, bad_bearer) = (bearer(&machines.token(json!({}))), bearer(&machines.token(expired)));
    let both = |cookie: &str, bearer: &str| [("cookie", cookie.to_owned()), ("authorization", bearer.to_owned())];
    let cases = [
        ([a.clone(), b.clone()], &good_cookie, &bad_bearer, Want::By("people", "u-1")),
        (
            [a.clone(), b.clone()],
            &bad_cookie,
            &good_bearer,
            Want::No(Reason::TokenExpired, Some("people"), Some(CredentialPlace::Cookie)),
        ),
        ([b.clone(), a.clone()], &bad_cookie, &good_bearer, Want::By("machines", "u-1")),
        (
            [b, a],
            &good_cookie,
            &bad_bearer,
            Want::No(Reason::TokenExpired, Some("machines"), Some(CredentialPlace::Bearer)),
        ),
    ];
    for (sources, cookie, bearer, want) in cases {
        let fields = both(cookie, bearer);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        expect(&sources, &fields, want);
    }
}

#[test]
fn places_of_one_source_are_tried_in_order() {
    let people = people();
    let (header, session) = (TokenPlace::Header("x-jwt".into()), TokenPlace::Cookie("session".into()));
    let (one, two) = (people.token(json!({"sub": "one"})), people.token(json!({"sub": "two"})));
    let session_value = cookie("session", &two);
    let fields = [("x-jwt", one.as_str()), ("cookie", session_value.as_str())];
    expect(&[people.source("people", &[header.clone(), session.clone()])], &fields, Want::By("people", "one"));
    expect(&[people.source("people", &[session, header])], &fields, Want::By("people", "two"));
}

#[test]
fn a_bearer_nobody_claims_is_refused_even_beside_a_good_cookie() {
    let (people, stranger) = (people(), machines());
    let places = [TokenPlace::Bearer, TokenPlace::Cookie("session".into())];
    let sources = [people.source("people", &places)];
    let good = cookie("session", &people.token(json!({})));
    let unclaimed = Want::No(Reason::TokenUnclaimed, None, Some(CredentialPlace::Bearer));
    for value in [bearer(&stranger.token(json!({}))), bearer("opaque"), bearer(&people.token(json!({"iss": null})))] {
        expect(&sources, &[("authorization", &value)], unclaimed);
        expect(&sources, &[("authorization", &value), ("cookie", &good)], unclaimed);
    }
    let malformed = Want::No(Reason::TokenMalformed, None, Some(CredentialPlace::Bearer));
    expect(&sources, &[("authorization", "Bearer a b")], malformed);
    expect(&sources, &[("authorization", "Bearer"), ("cookie", &good)], malformed);
    // Where no source looks for a bearer credential, it is the application's.
    let cookies_only = [people.source("people", &[TokenPlace::Cookie("session".into())])];
    expect(&cookies_only, &[("authorization", "Bearer opaque"), ("cookie", &good)], Want::By("people", "u-1"));
    expect(&cookies_only, &[("authorization", "Bearer opaque")], Want::Absent);
}

#[test]
fn other_schemes_and_other_peoples_cookies_are_nothing() {
    let (people, stranger) = (people(), machines());
    let places = [TokenPlace::Bearer, TokenPlace::Cookie("session".into()), TokenPlace::Header("x-jwt".into())];
    let sources = [people.source("people", &places)];
    let foreign = stranger.token(json!({}));
    for fields in [
        ("authorization", "Basic YWxpY2U6cHc=".to_owned()),
        ("authorization", "Negotiate abc".to_owned()),
        ("cookie", cookie("session", "opaque")),
        ("cookie", cookie("session", &foreign)),
        ("cookie", cookie("other", &people.token(json!({})))),
        ("x-jwt", foreign.clone()),
        ("x-other", people.token(json!({}))),
    ] {
        expect(&sources, &[(fields.0, &fields.1)], Want::Absent);
    }
}

#[test]
fn j19_doubles_are_refused_only_where_a_source_looks() {
    let people = people();
    let session = TokenPlace::Cookie("session".into());
    let token = people.token(json!({}));
    let (one_bearer, pair) = (bearer(&token), format!("session={token}; session={token}"));
    let bearers = [("authorization", one_bearer.as_str()), ("authorization", one_bearer.as_str())];
    let cookies = [("cookie", pair.as_str())];
    let double = |place| Want::No(Reason::DuplicateCredential, None, Some(place));

    let by_bearer = [people.source("people", &[TokenPlace::Bearer])];
    let by_cookie = [people.source("people", std::slice::from_ref(&session))];
    let by_both = [people.source("people", &[session, TokenPlace::Bearer])];
    expect(&by_bearer, &bearers, double(CredentialPlace::Bearer));
    expect(&by_cookie, &bearers, Want::Absent);
    expect(&by_cookie, &cookies, double(CredentialPlace::Cookie));
    expect(&by_bearer, &cookies, Want::Absent);
    expect(&by_both, &[bearers[0], bearers[1], ("cookie", &pair)], double(CredentialPlace::Cookie));
    // A header and a cookie are two places.
    let single = format!("session={token}");
    expect(&by_both, &[bearers[0], ("cookie", &single)], Want::By("people", "u-1"));
    // Joined by the proxy.
    let joined = format!("{one_bearer},{one_bearer}");
    match ask(&by_bearer, &[("authorization", &joined)], true) {
        Attempt::Rejected(rejection) => assert_eq!(rejection.reason, Reason::DuplicateCredential),
        other => panic!("{other:?}"),
    }
}

#[test]
fn j12_j13_a_shared_key_id_does_not_carry_a_token_across_issuers() {
    let (people, machines) = (people(), Issuer::new("https://machines.test", Algorithm::Es256));
    let sources = [people.source("people", &[TokenPlace::Bearer]), machines.source("machines", &[TokenPlace::Bearer])];
    // Signed by the machines' key, saying it is of the people's issuer; both keys are called k1.
    let forged = bearer(&machines.token(json!({"iss": "https://people.test"})));
    let want = Want::No(Reason::TokenSignature, Some("people"), Some(CredentialPlace::Bearer));
    expect(&sources, &[("authorization", &forged)], want);
    // The same subject of two issuers is two identities.
    let of = |issuer: &Issuer| match ask(&sources, &[("authorization", &bearer(&issuer.token(json!({}))))], false) {
        Attempt::Verified(identity) => (Arc::clone(identity.issuer()), identity.subject().to_owned()),
        other => panic!("{other:?}"),
    };
    assert_ne!(of(&people), of(&machines));
}

#[test]
fn a_refusal_says_whether_a_bearer_was_there_and_never_quotes_it() {
    let people = people();
    let sources = [people.source("people", &[TokenPlace::Cookie("session".into()), TokenPlace::Bearer])];
    let token = people.token(json!({"exp": 1}));
    let session = format!("session={token}");
    for (fields, bearer_present) in [
        (vec![("cookie", session.as_str())], false),
        (vec![("cookie", session.as_str()), ("authorization", "Basic x")], false),
        (vec![("authorization", "bearer x")], true),
    ] {
        let Attempt::Rejected(rejection) = ask(&sources, &fields, false) else { panic!("{fields:?}") };
        assert_eq!(rejection.bearer_present, bearer_present, "{fields:?}");
        for part in token.split('.') {
            assert!(!rejection.detail.contains(part), "{}", rejection.detail);
        }
    }
}

#[test]
fn missing_keys_are_asked_for_once() {
    let people = people();
    let keys = Keys::remote(RemoteSettings {
        jwks_url: Some("https://people.test/keys".into()),
        ..RemoteSettings::new("people", &people.name)
    })
    .expect("keys");
    let keys = Arc::new(keys);
    let mut settings = people.settings("people", &[TokenPlace::Bearer]);
    settings.keys = keys.clone();
    let sources = [build(settings)];
    let value = bearer(&people.token(json!({})));
    let try_with = |answer: Option<Answer>| {
        let answers = answer.map_or_else(Answers::none, |answer| Answers::one("people", answer));
        let mut headers = Headers::new(false);
        headers.push("authorization", value.as_bytes());
        authenticate(&sources, &Presented::headers(&headers), now(), &answers, &mut quiet)
    };
    let refused = |attempt| match attempt {
        Attempt::Rejected(rejection) => rejection.reason,
        other => panic!("{other:?}"),
    };

    let fresh = || Some(Answer::Keys(FetchOutcome::Fresh));
    let failed = || Some(Answer::Keys(FetchOutcome::Failed));

    // No keys yet: whatever the wait gave, there is no answer to be had.
    let Attempt::Needs(need) = try_with(None) else { panic!("wants keys") };
    let Question::Keys { keys: wanted, kid } = &need.question else { panic!("wants keys") };
    assert_eq!((&*need.source, &**wanted.issuer(), kid.as_deref()), ("people", &*people.name, Some("k1")));
    assert_eq!(refused(try_with(fresh())), Reason::KeysUnavailable);
    assert_eq!(refused(try_with(failed())), Reason::KeysUnavailable);
    assert_eq!(refused(try_with(Some(Answer::Late))), Reason::KeysUnavailable);

    // A set without the key: unknown when it is fresh, unavailable when it could not be refreshed.
    keys.enter(Ok(people.signer.set("other")), now());
    assert!(matches!(try_with(None), Attempt::Needs(_)));
    assert_eq!(refused(try_with(fresh())), Reason::TokenKeyUnknown);
    assert_eq!(refused(try_with(failed())), Reason::KeysUnavailable);

    // The key has come, by whatever way.
    keys.enter(Ok(people.signer.set("k1")), now());
    for answer in [None, fresh(), failed(), Some(Answer::Late)] {
        assert!(matches!(try_with(answer.clone()), Attempt::Verified(_)), "{answer:?}");
    }
}

#[test]
fn notes_tell_who_claimed_what_and_with_which_key() {
    let (people, machines) = (people(), machines());
    let session = TokenPlace::Cookie("session".into());
    let sources = [
        machines.source("machines", &[TokenPlace::Bearer]),
        people.source("people", &[TokenPlace::Bearer, session.clone()]),
        people.source("again", &[session]),
    ];
    let (value, token) = (bearer(&people.token(json!({}))), cookie("session", "opaque"));
    let mut headers = Headers::new(false);
    headers.push("authorization", value.as_bytes());
    headers.push("cookie", token.as_bytes());
    let mut notes = vec![];
    authenticate(&sources, &Presented::headers(&headers), now(), &Answers::none(), &mut |note| {
        notes.push(note.to_string())
    });
    assert_eq!(
        notes,
        [
            "machines: the bearer token is of another issuer, \"https://people.test\"",
            "people: claims the bearer token",
            "people: the cookie `session` is not claimed: the token has not exactly three parts",
            "again: the cookie `session` is not claimed: the token has not exactly three parts",
            "people: the ES256 signature verifies with key \"k1\"",
        ]
    );
}

proptest::proptest! {
    #[test]
    fn any_octets_are_answered_and_none_are_believed(
        values in proptest::collection::vec((0_usize..3, proptest::collection::vec(proptest::num::u8::ANY, 0..80)), 0..4),
        joined: bool,
    ) {
        let people = Issuer::new("https://people.test", Algorithm::Hs256);
        let places = [TokenPlace::Bearer, TokenPlace::Cookie("t".into()), TokenPlace::Header("x".into())];
        let sources = [people.source("people", &places)];
        let mut headers = Headers::new(joined);
        let starts: [(&str, &[u8]); 3] = [("authorization", b"Bearer "), ("cookie", b"t="), ("x", b"")];
        let fields: Vec<(&str, Vec<u8>)> =
            values.iter().map(|(kind, value)| (starts[*kind].0, [starts[*kind].1, value].concat())).collect();
        for (name, value) in &fields {
            headers.push(name, value);
        }
        let attempt = authenticate(&sources, &Presented::headers(&headers), now(), &Answers::none(), &mut quiet);
        proptest::prop_assert!(matches!(attempt, Attempt::Absent | Attempt::Rejected(_)), "{:?}", attempt);
    }
}
