mod vectors;

use serde_json::json;

use super::*;
use crate::authn::testing::Signer;

fn changed(mut jwk: Value, changes: Value) -> Value {
    for (member, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            jwk.as_object_mut().expect("an object").remove(member);
        } else {
            jwk[member] = value.clone();
        }
    }
    jwk
}

#[track_caller]
fn expect(jwk: &Value, want: Result<&[Algorithm], Unusable>) {
    let got = Key::from_jwk(jwk).map(|key| key.algorithms().collect::<Vec<_>>());
    assert_eq!(got, want.map(<[Algorithm]>::to_vec), "{jwk}");
}

const RSA: &[Algorithm] =
    &[Algorithm::Rs256, Algorithm::Rs384, Algorithm::Rs512, Algorithm::Ps256, Algorithm::Ps384, Algorithm::Ps512];

#[test]
fn a_key_serves_its_type_or_its_one_algorithm() {
    for (algorithm, all) in [
        (Algorithm::Rs256, RSA),
        (Algorithm::Es256, &[Algorithm::Es256]),
        (Algorithm::Es384, &[Algorithm::Es384]),
        (Algorithm::Es512, &[Algorithm::Es512]),
        (Algorithm::EdDsa, &[Algorithm::EdDsa]),
    ] {
        let jwk = Signer::new(algorithm).jwk("k");
        expect(&jwk, Ok(all));
        expect(&changed(jwk.clone(), json!({"alg": algorithm.name(), "use": "sig"})), Ok(&[algorithm]));
        expect(&changed(jwk.clone(), json!({"kid": null, "key_ops": ["verify"]})), Ok(all));
        expect(&changed(jwk.clone(), json!({"x5c": ["MIIB"], "x5t": "AA", "strange": {}})), Ok(all));
        let other = if algorithm == Algorithm::Es256 { "ES384" } else { "ES256" };
        expect(&changed(jwk, json!({"alg": other})), Err(Unusable::OtherAlgorithm));
    }
}

#[test]
fn j2_shared_and_private_keys_are_left_out() {
    expect(&Signer::new(Algorithm::Hs256).jwk("k"), Err(Unusable::Symmetric));
    let jwk = Signer::new(Algorithm::Es256).jwk("k");
    expect(&changed(jwk.clone(), json!({"d": "AA"})), Err(Unusable::Private));
    expect(&changed(jwk.clone(), json!({"k": "AA"})), Err(Unusable::Private));
    expect(&changed(jwk, json!({"alg": "HS256"})), Err(Unusable::OtherAlgorithm));
    let rsa = Signer::new(Algorithm::Rs256).jwk("k");
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth"] {
        expect(&changed(rsa.clone(), json!({member: "AA"})), Err(Unusable::Private));
    }
    expect(&changed(rsa, json!({"alg": "HS256"})), Err(Unusable::OtherAlgorithm));
}

#[test]
fn j15_keys_for_something_else_are_left_out() {
    let jwk = Signer::new(Algorithm::Rs256).jwk("k");
    for (changes, why) in [
        (json!({"use": "enc"}), Unusable::OtherUse),
        (json!({"use": "SIG"}), Unusable::OtherUse),
        (json!({"use": ["sig"]}), Unusable::Malformed),
        (json!({"key_ops": ["encrypt"]}), Unusable::OtherUse),
        (json!({"key_ops": []}), Unusable::OtherUse),
        (json!({"key_ops": "verify"}), Unusable::Malformed),
        (json!({"use": "sig", "key_ops": ["sign"]}), Unusable::OtherUse),
        (json!({"alg": "RSA-OAEP-256"}), Unusable::OtherAlgorithm),
        (json!({"alg": 1}), Unusable::Malformed),
        (json!({"kid": 1}), Unusable::Malformed),
        (json!({"kid": "k".repeat(257)}), Unusable::LongKeyId),
        (json!({"kty": null}), Unusable::Malformed),
        (json!({"kty": "rsa"}), Unusable::UnknownType),
        (json!({"kty": "AKP"}), Unusable::UnknownType),
    ] {
        expect(&changed(jwk.clone(), changes), Err(why));
    }
    expect(&json!("RSA"), Err(Unusable::NotAnObject));
    let ed = Signer::new(Algorithm::EdDsa).jwk("k");
    expect(&changed(ed, json!({"crv": "X25519"})), Err(Unusable::UnknownType));
}

#[test]
fn j15_weak_rsa_keys_are_left_out() {
    let jwk = Signer::new(Algorithm::Rs256).jwk("k");
    let number = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
    let odd = |length: usize, top: u8| number(&[vec![top], vec![0xFF; length - 1]].concat());
    for (changes, why) in [
        (json!({"n": odd(256, 0x7F)}), Unusable::RsaModulus),
        (json!({"n": odd(128, 0xFF)}), Unusable::RsaModulus),
        (json!({"n": odd(1025, 0x01)}), Unusable::RsaModulus),
        (json!({"n": number(&[0xFE; 256])}), Unusable::RsaModulus),
        (json!({"n": ""}), Unusable::RsaModulus),
        (json!({"n": number(&[0; 300])}), Unusable::RsaModulus),
        (json!({"e": number(&[1])}), Unusable::RsaExponent),
        (json!({"e": number(&[3])}), Unusable::RsaExponent),
        (json!({"e": number(&[0xFF, 0xFF])}), Unusable::RsaExponent),
        (json!({"e": number(&[1, 0, 0])}), Unusable::RsaExponent),
        (json!({"e": number(&[1, 0, 0, 0, 1])}), Unusable::RsaExponent),
        (json!({"e": ""}), Unusable::RsaExponent),
        (json!({"e": "AQAB="}), Unusable::Malformed),
        (json!({"n": "+/"}), Unusable::Malformed),
        (json!({"n": 1}), Unusable::Malformed),
        (json!({"n": null}), Unusable::Malformed),
    ] {
        expect(&changed(jwk.clone(), changes), Err(why));
    }
    expect(&changed(jwk.clone(), json!({"n": odd(256, 0xFF)})), Ok(RSA));
    expect(&changed(jwk.clone(), json!({"n": odd(1024, 0xFF)})), Ok(RSA));
    let n = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().expect("n")).expect("base64url");
    expect(&changed(jwk, json!({"n": number(&[vec![0], n].concat()), "e": number(&[0, 1, 0, 1])})), Ok(RSA));
}

#[test]
fn j15_points_off_the_curve_are_left_out() {
    for algorithm in [Algorithm::Es256, Algorithm::Es384, Algorithm::Es512] {
        let jwk = Signer::new(algorithm).jwk("k");
        let x = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().expect("x")).expect("base64url");
        let mut off = x.clone();
        *off.last_mut().expect("an octet") ^= 1;
        for x in [off, vec![0; x.len()], x[1..].to_vec(), [&[0][..], &x].concat()] {
            expect(&changed(jwk.clone(), json!({"x": URL_SAFE_NO_PAD.encode(x)})), Err(Unusable::NoPoint));
        }
        let other = if algorithm == Algorithm::Es256 { "P-384" } else { "P-256" };
        expect(&changed(jwk.clone(), json!({"crv": other})), Err(Unusable::NoPoint));
        expect(&changed(jwk, json!({"crv": "secp256k1"})), Err(Unusable::UnknownType));
    }
    let ed = Signer::new(Algorithm::EdDsa).jwk("k");
    expect(&changed(ed.clone(), json!({"x": "AA"})), Err(Unusable::NoPoint));
    expect(&changed(ed, json!({"x": URL_SAFE_NO_PAD.encode([7; 33])})), Err(Unusable::NoPoint));
}

#[test]
fn a_secret_serves_the_hashes_it_is_long_enough_for() {
    for (length, want) in [
        (0, Err(Unusable::ShortSecret)),
        (31, Err(Unusable::ShortSecret)),
        (32, Ok(vec![Algorithm::Hs256])),
        (48, Ok(vec![Algorithm::Hs256, Algorithm::Hs384])),
        (64, Ok(vec![Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512])),
    ] {
        let got = Key::shared(&vec![7; length]).map(|key| key.algorithms().collect::<Vec<_>>());
        assert_eq!(got, want, "{length}");
    }
}
