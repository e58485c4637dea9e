//! A remembered token is worth exactly what it would be worth without memory.

use proptest::prelude::*;

use super::*;
use crate::authn::jwks::RemoteSettings;

const DAY: i64 = 24 * 3600;

fn remote() -> Arc<Keys> {
    Arc::new(Keys::remote(RemoteSettings::new("people", ISSUER)).expect("keys"))
}

fn source(issuer: &Issuer, keys: &Arc<Keys>, cached_tokens: u32) -> JwtSource {
    let settings = issuer.settings("people", &[TokenPlace::Bearer]);
    JwtSource::build(JwtSettings { keys: keys.clone(), cached_tokens, ..settings }).expect("a source")
}

/// The verdict in words that can be compared.
fn verdict(source: &JwtSource, token: &str, second: i64) -> String {
    if let Some(remembered) = source.recall(token.as_bytes(), at(second)) {
        return format!("{:?}", remembered.identity.unpacked());
    }
    let token = match Unverified::parse(token) {
        Ok(token) => token,
        Err(error) => return error.to_string(),
    };
    match source.try_verify(token, at(second), None, &mut quiet) {
        Ok(Verdict::Verified(identity)) => format!("{:?}", identity.unpacked()),
        Ok(other) => format!("{other:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn k6_a_remembered_token_ends_with_its_time_and_its_keys() {
    let issuer = Issuer::new(ISSUER, Algorithm::EdDsa);
    let keys = remote();
    let source = source(&issuer, &keys, 16);
    let counted = |hits, misses| {
        let status = source.tokens().expect("a cache");
        assert_eq!((status.hits, status.misses), (hits, misses));
    };
    keys.enter(Ok(issuer.signer.set("k1")), now());
    let token = issuer.token(json!({"nbf": NOW, "iat": NOW}));
    assert!(verdict(&source, &token, NOW).contains("u-1"));
    counted(0, 1);
    assert!(verdict(&source, &token, NOW + 3659).contains("u-1"));
    counted(1, 1);
    assert!(verdict(&source, &token, NOW - 61).contains("lies in the future"), "the clock went back");
    assert!(verdict(&source, &token, NOW).contains("u-1"));
    assert!(verdict(&source, &token, NOW + 3660).contains("expired"));

    // The same document again: the token stays remembered. Another one: it is verified anew.
    assert!(verdict(&source, &token, NOW).contains("u-1"));
    let before = source.tokens().expect("a cache");
    keys.enter(Ok(issuer.signer.set("k1")), at(NOW + 600));
    assert!(verdict(&source, &token, NOW + 600).contains("u-1"));
    counted(before.hits + 1, before.misses);
    keys.enter(Ok(set(&[issuer.signer.jwk("k1"), Signer::new(Algorithm::EdDsa).jwk("k2")])), at(NOW + 700));
    assert!(verdict(&source, &token, NOW + 700).contains("u-1"));
    counted(before.hits + 1, before.misses + 1);
    keys.enter(Ok(Signer::new(Algorithm::EdDsa).set("k1")), at(NOW + 800));
    assert_eq!(verdict(&source, &token, NOW + 800), "the signature does not verify", "its key is gone");
    keys.enter(Ok(issuer.signer.set("k1")), at(NOW + 900));
    assert!(verdict(&source, &token, NOW + 900).contains("u-1"));

    // Keys that are too old take the memory of their tokens along.
    let long = issuer.token(json!({"iat": NOW + DAY, "nbf": NOW, "exp": NOW + 2 * DAY}));
    let stale = NOW + 900 + DAY;
    assert!(verdict(&source, &long, stale - 1).contains("u-1"));
    assert!(verdict(&source, &long, stale).contains("Keys"), "it needs keys");
}

#[test]
fn k6_refusals_are_not_remembered() {
    let issuer = Issuer::new(ISSUER, Algorithm::EdDsa);
    let keys = remote();
    let source = source(&issuer, &keys, 16);
    keys.enter(Ok(Signer::new(Algorithm::EdDsa).set("k1")), now());
    let token = issuer.token(json!({}));
    assert_eq!(verdict(&source, &token, NOW), "the signature does not verify");
    keys.enter(Ok(issuer.signer.set("k1")), at(NOW + 60));
    assert!(verdict(&source, &token, NOW + 60).contains("u-1"));
}

#[test]
fn k7_sources_share_no_memory() {
    let issuer = Issuer::new(ISSUER, Algorithm::EdDsa);
    let keys = remote();
    keys.enter(Ok(issuer.signer.set("k1")), now());
    let (one, other) = (source(&issuer, &keys, 16), {
        let settings = issuer.settings("api", &[TokenPlace::Bearer]);
        let settings = JwtSettings { keys: keys.clone(), audience: vec!["api".into()], ..settings };
        JwtSource::build(settings).expect("a source")
    });
    let token = issuer.token(json!({}));
    assert!(verdict(&one, &token, NOW).contains("u-1"));
    assert!(verdict(&one, &token, NOW).contains("u-1"));
    assert_eq!(verdict(&other, &token, NOW), "`aud` names none of ours");
}

/// Something that the next policy writes otherwise.
type Change = Box<dyn FnOnce(&mut JwtSettings)>;

/// The next policy's source, and whether it went on with what this one had verified.
fn goes_on(issuer: &Issuer, keys: &Arc<Keys>, next_keys: &Arc<Keys>, change: impl FnOnce(&mut JwtSettings)) -> bool {
    let settings = || JwtSettings { cached_tokens: 16, ..issuer.settings("people", &[TokenPlace::Bearer]) };
    let first = JwtSource::build(JwtSettings { keys: keys.clone(), ..settings() }).expect("a source");
    let token = issuer.token(json!({}));
    assert!(verdict(&first, &token, NOW).contains("u-1"));
    let mut settings = JwtSettings { keys: next_keys.clone(), ..settings() };
    change(&mut settings);
    let next = JwtSource::build(settings).expect("a source");
    next.take_over(&first);
    next.recall(token.as_bytes(), now()).is_some()
}

#[test]
fn k6_the_next_policy_goes_on_with_tokens_only_where_it_verifies_by_the_same_terms() {
    let issuer = Issuer::new(ISSUER, Algorithm::EdDsa);
    let other = Issuer::new(ISSUER, Algorithm::EdDsa);
    let fixed = |set| Arc::new(Keys::fixed("people", ISSUER, set));
    let (keys, again) = (fixed(issuer.signer.set("k1")), fixed(issuer.signer.set("k1")));
    assert!(goes_on(&issuer, &keys, &keys, |_| {}));
    assert!(goes_on(&issuer, &keys, &again, |_| {}), "the same document, read again");
    assert!(goes_on(&issuer, &keys, &again, |settings| settings.places = vec![TokenPlace::Basic]));
    let gone =
        [fixed(other.signer.set("k1")), fixed(set(&[issuer.signer.jwk("k1"), other.signer.jwk("k2")])), remote()];
    for keys_then in gone {
        assert!(!goes_on(&issuer, &keys, &keys_then, |_| {}), "other keys");
    }
    let group = |name: &str| GroupClaim::plain(crate::model::claim_path::ClaimPath::parse(name).expect("a path"));
    let renamed = |by: &str| Some(Rename::replace("(.*)", by, false).expect("an expression"));
    let changes: [(&str, Change); 13] = [
        ("source", Box::new(|settings| settings.source = "others".into())),
        ("audience", Box::new(|settings| settings.audience.push("more".into()))),
        ("algorithms", Box::new(|settings| settings.algorithms.push(Algorithm::Es256))),
        ("kind", Box::new(|settings| settings.kind = TokenKind::Access)),
        ("parties", Box::new(|settings| settings.authorized_parties = vec!["app".into()])),
        ("leeway", Box::new(|settings| settings.leeway = 1)),
        ("lifetime", Box::new(|settings| settings.max_lifetime = 7200)),
        ("bound", Box::new(|settings| settings.insecure_bound_tokens = true)),
        ("size", Box::new(|settings| settings.cached_tokens = 17)),
        ("user", Box::new(|settings| settings.mapping.user_form.prefix = "sso:".into())),
        ("groups", Box::new(move |settings| settings.mapping.groups = vec![group("roles")])),
        ("renamed groups", Box::new(move |settings| settings.mapping.groups[0].rename = renamed("x$1"))),
        ("mail", Box::new(|settings| settings.mapping.email_proof = EmailProof::Issuer)),
    ];
    for (what, change) in changes {
        assert!(!goes_on(&issuer, &keys, &again, change), "{what}");
    }
    // A token that was never seen is verified, whoever remembers what.
    let first = JwtSource::build(issuer.settings("people", &[TokenPlace::Bearer])).expect("a source");
    let next = JwtSource::build(issuer.settings("people", &[TokenPlace::Bearer])).expect("a source");
    next.take_over(&first);
    assert!(next.recall(issuer.token(json!({})).as_bytes(), now()).is_none());
}

#[test]
fn k6_withdrawn_keys_are_forgotten_by_the_next_policy_as_well() {
    let issuer = Issuer::new(ISSUER, Algorithm::EdDsa);
    let (keys, next_keys) = (remote(), remote());
    keys.enter(Ok(issuer.signer.set("k1")), now());
    let (first, next) = (source(&issuer, &keys, 16), source(&issuer, &next_keys, 16));
    let token = issuer.token(json!({}));
    assert!(verdict(&first, &token, NOW).contains("u-1"));
    next.take_over(&first);
    assert!(next.recall(token.as_bytes(), now()).is_none(), "no keys yet");
    next_keys.enter(Ok(issuer.signer.set("k1")), now());
    let held = next.recall(token.as_bytes(), now()).expect("the same keys");
    assert!(!Arc::ptr_eq(&held.identity, &first.recall(token.as_bytes(), now()).expect("as before").identity));
    next_keys.enter(Ok(Signer::new(Algorithm::EdDsa).set("k1")), at(NOW + 60));
    assert!(next.recall(token.as_bytes(), at(NOW + 60)).is_none());
    assert!(first.recall(token.as_bytes(), at(NOW + 60)).is_some(), "its keys are in force");
}

/// Something that happens between two requests.
#[derive(Clone, Debug)]
enum Event {
    /// A request with one of the tokens.
    Ask(usize),
    /// The clock moves, sometimes back.
    Tick(i64),
    /// The issuer publishes this many of the two keys, or another set altogether.
    Publish(usize),
    /// A fetch fails.
    Fail,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0..8_usize).prop_map(Event::Ask),
        2 => (-100..2000_i64).prop_map(Event::Tick),
        1 => (0..4_usize).prop_map(Event::Publish),
        1 => Just(Event::Fail),
    ];
    prop::collection::vec(event, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn k7_memory_changes_no_verdict(events in events()) {
        let issuer = Issuer::new(ISSUER, Algorithm::EdDsa);
        let second_signer = Signer::new(Algorithm::EdDsa);
        let stranger = Issuer::new(ISSUER, Algorithm::EdDsa);
        let second_issuer = Issuer { name: ISSUER.into(), algorithm: Algorithm::EdDsa, signer: second_signer.clone() };
        let header = json!({"alg": "EdDSA", "kid": "k2"}).to_string();
        let claims = issuer.claims();
        let tokens = [
            issuer.token(json!({})),
            issuer.token(json!({"sub": "u-2", "exp": NOW + 100})),
            issuer.token(json!({"nbf": NOW + 500, "iat": NOW + 500})),
            issuer.token(json!({"exp": NOW + DAY, "iat": NOW})),
            issuer.token(json!({"aud": "other"})),
            second_issuer.raw_token(&header, &claims.to_string()),
            stranger.token(json!({})),
            issuer.token(json!({})) + "A",
        ];
        let sets = [
            vec![issuer.signer.jwk("k1")],
            vec![issuer.signer.jwk("k1"), second_signer.jwk("k2")],
            vec![second_signer.jwk("k2")],
            vec![stranger.signer.jwk("k3")],
        ];
        let keys = remote();
        keys.enter(Ok(set(&sets[0])), now());
        let (with, without) = (source(&issuer, &keys, 4), source(&issuer, &keys, 0));
        let mut second = NOW;
        for event in events {
            match event {
                Event::Ask(number) => {
                    let token = &tokens[number];
                    prop_assert_eq!(verdict(&with, token, second), verdict(&without, token, second));
                    prop_assert_eq!(verdict(&with, token, second), verdict(&without, token, second), "asked again");
                }
                Event::Tick(seconds) => second += seconds,
                Event::Publish(number) => keys.enter(Ok(set(&sets[number])), at(second)),
                Event::Fail => keys.enter(Err("down".into()), at(second)),
            }
        }
    }
}

#[test]
fn k6_a_removed_key_is_refused_right_after_the_swap_under_load() {
    let issuer = Issuer::new(ISSUER, Algorithm::EdDsa);
    let second = Issuer::new(ISSUER, Algorithm::EdDsa);
    let keys = remote();
    let both = || set(&[issuer.signer.jwk("k1"), second.signer.jwk("k2")]);
    let only_second = || set(&[second.signer.jwk("k2")]);
    keys.enter(Ok(both()), now());
    let source = source(&issuer, &keys, 64);
    let removed = issuer.token(json!({}));
    let header = json!({"alg": "EdDSA", "kid": "k2"}).to_string();
    let kept = second.raw_token(&header, &second.claims().to_string());
    let accepts = |token: &str| verdict(&source, token, NOW).contains("u-1");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Whatever is in force at this moment, the key that is always published is always good.
                    assert!(accepts(&kept));
                    let _either = accepts(&removed);
                }
            });
        }
        for round in 0..200 {
            keys.enter(Ok(both()), now());
            assert!(accepts(&removed), "round {round}: published");
            keys.enter(Ok(only_second()), now());
            assert!(!accepts(&removed), "round {round}: removed");
            assert!(accepts(&kept), "round {round}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let status = source.tokens().expect("a cache");
    assert!(status.hits > status.misses, "{status:?}");
}
