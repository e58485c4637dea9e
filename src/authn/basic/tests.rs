//! The battery for passwords, and what a slow verification must not do.

use std::collections::BTreeSet;

use serde_json::json;

use super::*;
use crate::authn::Answers;
use crate::authn::Attempt;
use crate::authn::CredentialPlace;
use crate::authn::Kind;
use crate::authn::Presented;
use crate::authn::Source;
use crate::authn::api_key::ApiKeySettings;
use crate::authn::api_key::ApiKeySource;
use crate::authn::api_key::KeyHasher;
use crate::authn::api_key::generate;
use crate::authn::authenticate;
use crate::authn::jwks::FetchOutcome;
use crate::authn::jwt::Algorithm;
use crate::authn::quiet;
use crate::authn::testing::Issuer;
use crate::authn::testing::NOW;
use crate::authn::testing::at;
use crate::authn::testing::basic;
use crate::authn::testing::now;
use crate::model::header::Headers;
use crate::model::secret::Secret;

/// The least argon2id that is taken, of the passwords `secret of alice` and `secret of bob`.
fn user(name: &str) -> User {
    let salt = [name.len() as u8; 16];
    let password = Secret::new(format!("secret of {name}"));
    let hash = password::tests::cheap(&salt, &password);
    User {
        name: name.to_owned(),
        password: hash,
        groups: vec!["staff".to_owned()],
        email: Some(format!("{name}@corp.test")),
        display_name: None,
    }
}

fn settings(users: &[&str]) -> BasicSettings {
    let users = users.iter().map(|name| user(name)).collect();
    BasicSettings { source: "staff".into(), users, cache: DEFAULT_CACHE, at_once: 1 }
}

fn source() -> Arc<Source> {
    let built = BasicSource::build(settings(&["alice", "bob"])).expect("a source");
    Arc::new(Source { name: "staff".into(), kind: Kind::Basic(built) })
}

fn inner(source: &Source) -> &BasicSource {
    let Kind::Basic(inner) = &source.kind else { panic!("another kind") };
    inner
}

/// One look at the credentials, with what was waited for before.
fn look(
    sources: &[Arc<Source>],
    fields: &[(&str, &str)],
    from: Option<&str>,
    now: Timestamp,
    answers: &Answers,
) -> Attempt {
    let mut headers = Headers::new(false);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    let address = from.map(|from| from.parse().expect("an address"));
    authenticate(sources, &Presented { address, ..Presented::headers(&headers) }, now, answers, &mut quiet)
}

/// The same as the engine does it, with all the time in the world.
fn ask_at(sources: &[Arc<Source>], fields: &[(&str, &str)], from: Option<&str>, now: Timestamp) -> Attempt {
    let mut answers = Answers::none();
    loop {
        match look(sources, fields, from, now, &answers) {
            Attempt::Needs(need) => {
                let source = need.source.clone();
                assert!(answers.keep(source, runtime().block_on(need.answer(now))), "asked twice");
            }
            other => return other,
        }
    }
}

fn ask(sources: &[Arc<Source>], value: &str) -> Attempt {
    ask_at(sources, &[("authorization", value)], None, now())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

fn short(attempt: &Attempt) -> String {
    match attempt {
        Attempt::Absent => "absent".to_owned(),
        Attempt::Verified(identity) => format!("{} {}", identity.source(), identity.subject()),
        Attempt::Rejected(rejection) => rejection.reason.to_string(),
        Attempt::Needs(_) => "needs".to_owned(),
    }
}

#[test]
fn a_password_says_who_it_is() {
    let Attempt::Verified(identity) = ask(&[source()], &basic("alice", "secret of alice")) else { panic!("refused") };
    let want = Claims {
        source: "staff".into(),
        issuer: "staff".into(),
        subject: "alice".into(),
        user: "alice".into(),
        groups: vec!["staff".into()],
        email: Some("alice@corp.test".into()),
        email_verified: true,
        name: None,
        scopes: vec![],
        raw: json!({"user": "alice"}).as_object().expect("an object").clone(),
        expires: None,
    };
    assert_eq!(identity.unpacked(), want);
}

#[test]
fn the_battery() {
    let sources = [source()];
    for (value, want) in [
        (basic("alice", "secret of alice"), "staff alice"),
        (basic("bob", "secret of bob"), "staff bob"),
        (basic("alice", "secret of bob"), "password_invalid"),
        (basic("alice", ""), "password_invalid"),
        (basic("Alice", "secret of alice"), "password_invalid"),
        (basic("carol", "secret of alice"), "password_invalid"),
        (basic("carol", "secret of bob"), "password_invalid"),
        (basic("", ""), "password_invalid"),
        ("Basic !!!".to_owned(), "password_invalid"),
        ("Basic".to_owned(), "password_invalid"),
        (format!("{}, {}", basic("alice", "secret of alice"), basic("bob", "x")), "duplicate_credential"),
        ("Negotiate x".to_owned(), "absent"),
        ("Bearer x".to_owned(), "absent"),
    ] {
        // Twice: what is remembered is what was found.
        for _ in 0..2 {
            let attempt = ask(&sources, &value);
            assert_eq!(short(&attempt), want, "{value}");
            if let Attempt::Rejected(rejection) = attempt {
                assert_eq!(rejection.place, Some(CredentialPlace::Basic));
                assert!(!rejection.detail.contains("secret"), "{}", rejection.detail);
            }
        }
    }
    assert_eq!(short(&look(&sources, &[], None, now(), &Answers::none())), "absent");
}

#[test]
fn beside_other_sources_each_takes_its_own_in_either_order() {
    let people = Issuer::new("https://people.test", Algorithm::Es256);
    let jwt = people.source("people", &[TokenPlace::Bearer, TokenPlace::Cookie("session".into())]);
    let keys = ApiKeySettings {
        source: "machines".into(),
        places: vec![TokenPlace::Basic],
        hasher: KeyHasher::plain(),
        keys: vec![],
    };
    let keys = ApiKeySource::build(keys).expect("a source");
    let keys = Arc::new(Source { name: "machines".into(), kind: Kind::ApiKey(keys) });
    let staff = source();
    let (good, bad) = (basic("alice", "secret of alice"), basic("alice", "x"));
    let token = format!("Bearer {}", people.token(json!({})));
    let key = basic("", generate("ci").expect("a key").expose());
    let session = format!("session={}", people.token(json!({})));
    for sources in [[jwt.clone(), staff.clone(), keys.clone()], [keys.clone(), staff.clone(), jwt.clone()]] {
        for (value, want) in
            [(&good, "staff alice"), (&bad, "password_invalid"), (&token, "people u-1"), (&key, "api_key_invalid")]
        {
            assert_eq!(short(&ask(&sources, value)), want, "{value}");
        }
    }
    let with_cookie = |value: &str, sources: &[Arc<Source>]| {
        short(&ask_at(sources, &[("authorization", value), ("cookie", &session)], None, now()))
    };
    assert_eq!(with_cookie(&bad, &[jwt.clone(), staff.clone()]), "people u-1");
    assert_eq!(with_cookie(&bad, &[staff.clone(), jwt.clone()]), "password_invalid");
    // A source of passwords has no use for keys.
    assert_eq!(short(&ask(&[staff], &key)), "absent");
}

#[test]
fn r1_a_name_that_nobody_has_costs_what_a_name_costs() {
    let source = source();
    let mut hashes = BTreeSet::new();
    for name in (0..50).map(|number| format!("nobody-{number}")) {
        let value = basic(&name, "secret of alice");
        let asked = || look(std::slice::from_ref(&source), &[("authorization", &value)], None, now(), &Answers::none());
        let (Attempt::Needs(first), Attempt::Needs(second)) = (asked(), asked()) else { panic!("not verified") };
        let (Question::Password(first), Question::Password(second)) = (first.question, second.question) else {
            panic!("asked for something else")
        };
        assert!(!first.known && Arc::ptr_eq(&first.hash, &second.hash), "always the same hash for {name}");
        hashes.insert(first.hash.to_string());
    }
    let all: BTreeSet<String> = inner(&source).hashes.iter().map(|hash| hash.to_string()).collect();
    assert_eq!(hashes, all, "the hashes of all users stand in");
}

#[test]
fn a_verification_that_nobody_waits_for_is_finished_and_remembered() {
    let source = source();
    let sources = [source.clone()];
    let value = basic("alice", "secret of alice");
    let fields = [("authorization", value.as_str())];
    let Attempt::Needs(need) = look(&sources, &fields, None, now(), &Answers::none()) else { panic!("no question") };
    let runtime = runtime();
    runtime.block_on(async {
        let mut waiting = std::pin::pin!(need.answer(now()));
        // One poll begins it; then the waiter goes away.
        std::future::poll_fn(|context| {
            let _ = waiting.as_mut().poll(context);
            std::task::Poll::Ready(())
        })
        .await;
    });
    let late = look(&sources, &fields, None, now(), &Answers::one("staff", Answer::Late));
    let remembered = inner(&source).verifier.remembered(
        &inner(&source)
            .verifier
            .fingerprint(&Pair { user: "alice".into(), password: Secret::new("secret of alice".to_owned()) }),
        now(),
    );
    // It may have been that quick.
    if remembered.is_none() {
        assert_eq!(short(&late), "upstream_unavailable");
    }
    runtime.block_on(inner(&source).verifier.idle());
    assert_eq!(short(&look(&sources, &fields, None, now(), &Answers::none())), "staff alice");
}

#[test]
fn what_is_remembered_ends() {
    let sources = [source()];
    let (right, wrong) = (basic("alice", "secret of alice"), basic("alice", "x"));
    let seen = |value: &str, second: i64| {
        short(&look(&sources, &[("authorization", value)], None, at(NOW + second), &Answers::none()))
    };
    assert_eq!(seen(&right, 0), "needs");
    ask(&sources, &right);
    ask(&sources, &wrong);
    for (value, second, want) in [
        (&right, 0, "staff alice"),
        (&right, 299, "staff alice"),
        (&right, 300, "needs"),
        (&wrong, 29, "password_invalid"),
        (&wrong, 30, "needs"),
    ] {
        assert_eq!(seen(value, second), want, "{second}");
    }
}

#[test]
fn d6_too_many_at_once_are_turned_away_and_none_is_let_in() {
    let source = source();
    let sources = [source.clone()];
    let taken = inner(&source).verifier.take_all();
    let value = basic("alice", "secret of alice");
    assert_eq!(short(&ask(&sources, &value)), "overloaded");
    drop(taken);
    assert_eq!(short(&ask(&sources, &value)), "staff alice");
}

#[test]
fn an_answer_about_another_credential_is_not_believed() {
    let sources = [source()];
    let alice = basic("alice", "secret of alice");
    let Attempt::Needs(need) = look(&sources, &[("authorization", &alice)], None, now(), &Answers::none()) else {
        panic!("no question")
    };
    let right = runtime().block_on(need.answer(now()));
    let bob = basic("bob", "secret of alice");
    for answer in [right, Answer::Late, Answer::Keys(FetchOutcome::Fresh)] {
        let attempt = look(&sources, &[("authorization", &bob)], None, now(), &Answers::one("staff", answer));
        assert_eq!(short(&attempt), "upstream_unavailable");
    }
}

#[test]
fn r2_guesses_are_stopped_and_who_is_in_stays_in() {
    let sources = [source()];
    let from = |value: &str, from: &str| short(&ask_at(&sources, &[("authorization", value)], Some(from), now()));
    let alice = basic("alice", "secret of alice");
    assert_eq!(from(&alice, "192.0.2.1"), "staff alice");
    for guess in 0..20 {
        assert_eq!(from(&basic("bob", &format!("guess {guess}")), "192.0.2.1"), "password_invalid");
    }
    assert_eq!(from(&basic("bob", "one more"), "192.0.2.1"), "too_many_failures");
    assert_eq!(from(&basic("bob", "secret of bob"), "192.0.2.1"), "too_many_failures", "nothing is learned any more");
    assert_eq!(from(&alice, "192.0.2.1"), "staff alice", "remembered");
    assert_eq!(from(&basic("bob", "secret of bob"), "192.0.2.2"), "staff bob", "another client");
}

#[test]
fn settings_that_make_no_source_are_refused() {
    let build = |users: Vec<User>| BasicSource::build(BasicSettings { users, ..settings(&[]) }).err();
    let named = |name: &str| User { name: name.to_owned(), ..user("alice") };
    for (users, want) in [
        (vec![named("alice")], None),
        (vec![], Some(BasicError::NoUsers)),
        (vec![named("alice"), named("alice")], Some(BasicError::Duplicate("alice".into()))),
        (vec![named("")], Some(BasicError::Name(String::new()))),
        (vec![named("a:b")], Some(BasicError::Name("a:b".into()))),
        (vec![named("a\nb")], Some(BasicError::Name("a\nb".into()))),
    ] {
        assert_eq!(build(users), want);
    }
}
