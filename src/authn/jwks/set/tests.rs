use serde_json::json;

use super::*;
use crate::authn::testing::Signer;
use crate::authn::testing::set;

#[test]
fn j15_one_odd_key_takes_no_other_down() {
    let good = Signer::new(Algorithm::Es256).jwk("good");
    let mut weak = Signer::new(Algorithm::Rs256).jwk("weak");
    weak["e"] = json!("Aw");
    let shared = Signer::new(Algorithm::Hs256).jwk("shared");
    let set = set(&[weak, json!(7), good, shared, json!({"kty": "new", "kid": "new"})]);
    assert_eq!(set.keys().iter().map(Key::kid).collect::<Vec<_>>(), [Some("good")]);
    let left_out: Vec<_> = set.left_out().iter().map(|key| (key.kid.as_deref(), key.why)).collect();
    assert_eq!(
        left_out,
        [
            (Some("weak"), Unusable::RsaExponent),
            (None, Unusable::NotAnObject),
            (Some("shared"), Unusable::Symmetric),
            (Some("new"), Unusable::UnknownType),
        ]
    );
}

#[test]
fn what_is_not_a_key_set_is_refused() {
    for document in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":null}"#, r#"{"keys":[],"keys":[]}"#, "<html>"] {
        assert!(KeySet::parse(document.as_bytes()).is_err(), "{document}");
    }
    assert!(KeySet::parse(br#"{"keys":[]}"#).is_ok_and(|set| set.keys().is_empty()));
}

#[test]
fn k3_large_sets_are_refused() {
    let many = |count: usize| json!({"keys": vec![json!({}); count]}).to_string();
    assert!(KeySet::parse(many(100).as_bytes()).is_ok());
    assert!(matches!(KeySet::parse(many(101).as_bytes()), Err(KeySetError::TooMany(101))));
    let padded = format!("{}{}", r#"{"keys":[]}"#, " ".repeat(MAX_SIZE));
    assert!(matches!(KeySet::parse(padded.as_bytes()), Err(KeySetError::TooLarge)));
}

#[test]
fn a_key_id_picks_among_the_keys() {
    let key = |algorithm, kid: &str| {
        let mut jwk = Signer::new(algorithm).jwk(kid);
        if kid.is_empty() {
            jwk.as_object_mut().expect("an object").remove("kid");
        }
        jwk
    };
    let fit = |set: &KeySet, kid: Option<&str>, algorithm| match set.fit(kid, algorithm) {
        Fit::Keys(keys) => Ok(keys.iter().map(|key| key.kid().map(str::to_owned)).collect::<Vec<_>>()),
        Fit::OtherAlgorithm => Err("other algorithm"),
        Fit::Unknown => Err("unknown"),
    };
    let (ec, ed) = (Algorithm::Es256, Algorithm::EdDsa);
    let named = set(&[key(ec, "a"), key(ed, "b"), key(ec, "c")]);
    let some = |kid: &str| Some(kid.to_owned());
    for (kid, algorithm, want) in [
        (Some("a"), ec, Ok(vec![some("a")])),
        (Some("b"), ed, Ok(vec![some("b")])),
        (Some("b"), ec, Err("other algorithm")),
        (Some("d"), ec, Err("unknown")),
        (None, ec, Ok(vec![some("a"), some("c")])),
        (None, Algorithm::Rs256, Err("other algorithm")),
    ] {
        assert_eq!(fit(&named, kid, algorithm), want, "{kid:?} {algorithm}");
    }
    let mixed = set(&[key(ec, "a"), key(ec, "")]);
    assert_eq!(fit(&mixed, Some("a"), ec), Ok(vec![some("a")]));
    assert_eq!(fit(&mixed, Some("x"), ec), Ok(vec![None]));
    assert_eq!(fit(&mixed, Some("x"), ed), Err("unknown"), "a key that stands in and cannot does not hide a rotation");
    assert_eq!(fit(&mixed, None, ed), Err("other algorithm"));
    assert_eq!(fit(&set(&[]), None, ec), Err("unknown"));
}
