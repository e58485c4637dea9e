//! Tokens. The input is a token; it is also the header and the payload of one, parted by the first line break, which is
//! then signed, signed with another key, and not signed at all.

use std::sync::{Arc, LazyLock};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use postern::authn::{Answers, Attempt, Presented, Source, authenticate, quiet};
use postern::model::header::Headers;
use postern::model::identity::Identity;
use serde_json::Value;

use super::world;

pub(super) static SOURCES: LazyLock<Vec<Arc<Source>>> =
    LazyLock::new(|| world::SNAPSHOT.sources.iter().max_by_key(|list| list.len()).expect("a list").clone());

pub fn run(input: &[u8]) {
    if let Some(identity) = verified(input) {
        check(std::str::from_utf8(input).expect("a token is text"), &identity);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Some((header, payload)) = text.split_once('\n') else { return };
    let token = world::sign(header, payload);
    if let Some(identity) = verified(token.as_bytes()) {
        check(&token, &identity);
    }
    let unsigned = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    for bad in [
        unsigned.clone(),
        format!("{unsigned}."),
        format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{token}."),
        format!("{token}A"),
        format!("{token}="),
        format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(payload)),
    ] {
        assert!(verified(bad.as_bytes()).is_none(), "{bad}");
    }
}

fn verified(token: &[u8]) -> Option<Arc<Identity>> {
    let value = [b"Bearer ", token].concat();
    let mut headers = Headers::new(false);
    headers.push("authorization", &value);
    let now = Timestamp::from_second(world::NOW).expect("a time");
    match authenticate(&SOURCES, &Presented::headers(&headers), now, &Answers::none(), &mut quiet) {
        Attempt::Verified(identity) => Some(identity),
        Attempt::Rejected(rejection) => {
            assert!(!rejection.reason.allows());
            None
        }
        Attempt::Absent => None,
        Attempt::Needs(_) => panic!("the keys are at hand"),
    }
}

/// A token that was believed is believed by a second reading.
fn check(token: &str, identity: &Identity) {
    let parts: Vec<&str> = token.trim_matches(' ').split('.').collect();
    let [header, payload, signature] = parts.as_slice() else { panic!("{token}") };
    let signed = format!("{header}.{payload}");
    let octets = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    UnparsedPublicKey::new(&ED25519, world::public_key()).verify(signed.as_bytes(), &octets).expect("a signature");
    let object = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
    };
    let (header, claims) = (object(header), object(payload));
    assert_eq!(header["alg"], "EdDSA", "{header}");
    for refused in ["crit", "b64"] {
        assert!(header.get(refused).is_none(), "{header}");
    }
    if let Some(kid) = header.get("kid") {
        assert_eq!(kid, "k1", "{header}");
    }
    assert_eq!(claims["iss"], world::ISSUER, "{claims}");
    let audience = match &claims["aud"] {
        Value::Array(list) => list.iter().all(Value::is_string) && list.iter().any(|one| one == "web"),
        one => one == "web",
    };
    assert!(audience, "{claims}");
    let leeway = 60.0;
    let now = world::NOW as f64;
    assert!(claims["exp"].as_f64().expect("a time") + leeway > now, "{claims}");
    for start in ["nbf", "iat"] {
        if let Some(at) = claims.get(start) {
            assert!(at.as_f64().expect("a time") <= now + leeway, "{claims}");
        }
    }
    assert_eq!(claims["sub"], identity.subject(), "{claims}");
    assert_eq!(claims["preferred_username"], identity.user(), "{claims}");
    for name in [identity.subject(), identity.user()] {
        assert!(!name.is_empty() && name.trim() == name && !name.chars().any(char::is_control), "{name:?}");
    }
}
