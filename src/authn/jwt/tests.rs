//! Whole tokens, row by row of the threat catalogue. Every refusal here is of a token that is sound but for the one
//! thing its row is about, and signed by the right key unless the row is about that.

mod attack;
mod cached;
mod terms;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::authn::jwks::KeySet;
use crate::authn::note::quiet;
use crate::authn::source::Kind;
use crate::authn::testing::Issuer;
use crate::authn::testing::NOW;
use crate::authn::testing::Signer;
use crate::authn::testing::at;
use crate::authn::testing::build;
use crate::authn::testing::compact;
use crate::authn::testing::now;
use crate::authn::testing::set;
use crate::model::claim_path::ClaimPath;
use crate::model::reason::Reason;

const ISSUER: &str = "https://sso.test";

/// One issuer and the settings of its source, to be changed by a test.
struct Bench {
    issuer: Issuer,
    settings: JwtSettings,
}

impl Bench {
    fn new(algorithm: Algorithm) -> Bench {
        let issuer = Issuer::new(ISSUER, algorithm);
        let settings = issuer.settings("people", &[TokenPlace::Bearer]);
        Bench { issuer, settings }
    }

    fn with(mut self, change: impl FnOnce(&mut JwtSettings)) -> Bench {
        change(&mut self.settings);
        self
    }

    fn judge_at(&self, token: &str, now: Timestamp) -> Result<Arc<Identity>, TokenError> {
        let source = build(self.settings.clone());
        let Kind::Jwt(source) = &source.kind else { panic!("a JWT source") };
        let token = Unverified::parse(token)?;
        assert!(source.claims(token.issuer()), "the token is of this source's issuer");
        match source.try_verify(token, now, None, &mut quiet)? {
            Verdict::Verified(identity) => Ok(identity),
            other => panic!("{other:?}"),
        }
    }

    fn judge(&self, token: &str) -> Result<Arc<Identity>, Reason> {
        self.judge_at(token, now()).map_err(|error| error.reason())
    }

    /// The answer to a token with these claims changed.
    fn claims(&self, changes: Value) -> Result<Arc<Identity>, Reason> {
        self.judge(&self.issuer.token(changes))
    }

    /// The answer to a token with this header.
    fn header(&self, header: Value) -> Result<Arc<Identity>, Reason> {
        self.judge(&self.issuer.raw_token(&header.to_string(), &self.issuer.claims().to_string()))
    }
}

fn refused(answer: Result<Arc<Identity>, Reason>) -> Option<Reason> {
    answer.err()
}

#[test]
fn every_algorithm_verifies_its_own_signature_and_no_other() {
    for algorithm in Algorithm::ALL {
        let bench = Bench::new(algorithm);
        let token = bench.issuer.token(json!({}));
        assert!(bench.judge(&token).is_ok(), "{algorithm}");

        // One bit of each part flipped, and a signature cut or grown by an octet.
        let parts: Vec<&str> = token.split('.').collect();
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url");
        let mut flipped = signature.clone();
        flipped[0] ^= 1;
        for bad in [flipped, signature[1..].to_vec(), [&signature[..], &[0]].concat(), vec![0; signature.len()]] {
            let bad = format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode(bad));
            assert_eq!(refused(bench.judge(&bad)), Some(Reason::TokenSignature), "{algorithm}");
        }
        let other = bench.issuer.token(json!({"sub": "root"}));
        let swapped = format!("{}.{}", other.rsplit_once('.').expect("parts").0, parts[2]);
        assert_eq!(refused(bench.judge(&swapped)), Some(Reason::TokenSignature), "{algorithm}");
    }
}

#[test]
fn tokens_of_jsonwebtoken_verify_here_and_ours_there() {
    use jsonwebtoken::jwk::Jwk;
    for algorithm in Algorithm::ALL {
        // It has no ES512; that one is covered by signing with aws-lc above.
        let Ok(theirs) = algorithm.name().parse::<jsonwebtoken::Algorithm>() else {
            assert_eq!(algorithm, Algorithm::Es512);
            continue;
        };
        let bench = Bench::new(algorithm);
        let signer = &bench.issuer.signer;
        let claims = bench.issuer.claims();
        let header = jsonwebtoken::Header { kid: Some("k1".into()), ..jsonwebtoken::Header::new(theirs) };
        let token = jsonwebtoken::encode(&header, &claims, &signer.encoding_key()).expect("a token");
        let identity = bench.judge(&token).unwrap_or_else(|reason| panic!("{algorithm}: {reason}"));
        assert_eq!(Value::Object(identity.unpacked().raw.clone()), claims, "{algorithm}");

        let jwk: Jwk = serde_json::from_value(signer.jwk("k1")).expect("a JWK");
        let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("a key");
        let mut validation = jsonwebtoken::Validation::new(theirs);
        validation.validate_exp = false;
        validation.set_audience(&["web"]);
        let read = jsonwebtoken::decode::<Value>(bench.issuer.token(json!({})), &key, &validation);
        assert_eq!(read.expect("a good token").claims, claims, "{algorithm}");
    }
}

#[test]
fn an_identity_is_what_the_claims_say() {
    let bench = Bench::new(Algorithm::Es256);
    let claims = json!({"scope": "read write read", "scp": ["admin"]});
    let identity = bench.claims(claims).expect("an identity");
    let raw = identity.unpacked().raw.clone();
    assert_eq!(
        identity.unpacked(),
        Claims {
            source: "people".into(),
            issuer: ISSUER.into(),
            subject: "u-1".into(),
            user: "u-1".into(),
            groups: vec!["staff".into(), "sre".into()],
            email: Some("alice@corp.test".into()),
            email_verified: true,
            name: Some("Alice".into()),
            scopes: vec!["read".into(), "write".into(), "admin".into()],
            raw,
            expires: Some(NOW + 3600),
        }
    );
    assert_eq!(identity.unpacked().raw.get("iss"), Some(&json!(ISSUER)));
}

#[test]
fn j1_unsigned_tokens_are_refused() {
    let bench = Bench::new(Algorithm::Rs256);
    let payload = URL_SAFE_NO_PAD.encode(bench.issuer.claims().to_string());
    for alg in ["none", "None", "NONE", "nOnE"] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg}).to_string());
        for signature in ["", "AA"] {
            let token = format!("{header}.{payload}.{signature}");
            assert_eq!(refused(bench.judge(&token)), Some(Reason::TokenAlgorithm), "{alg} {signature}");
        }
    }
    let stripped = bench.issuer.token(json!({}));
    let stripped = format!("{}.", stripped.rsplit_once('.').expect("parts").0);
    assert_eq!(refused(bench.judge(&stripped)), Some(Reason::TokenMalformed));
}

#[test]
fn j2_hmac_with_public_key_is_refused() {
    let Bench { issuer, settings } = Bench::new(Algorithm::Rs256);
    let jwk = issuer.signer.jwk("k1");
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().expect("n")).expect("base64url");
    let pem = issuer.signer.pem();
    let public_texts =
        [pem.clone().into_bytes(), pem.trim().as_bytes().to_vec(), format!(" {pem}").into_bytes(), modulus];
    let bench = Bench { issuer, settings };
    for secret in public_texts {
        for kid in [json!({"alg": "HS256", "kid": "k1"}), json!({"alg": "HS256"})] {
            let claims = bench.issuer.claims().to_string();
            let token = compact(&kid.to_string(), &claims, &Signer::Secret(secret.clone()), Algorithm::Hs256);
            assert_eq!(refused(bench.judge(&token)), Some(Reason::TokenAlgorithm));
        }
    }
    // And such a source cannot even be built.
    let mut settings = bench.settings.clone();
    settings.algorithms = vec![Algorithm::Rs256, Algorithm::Hs256];
    assert_eq!(JwtSource::build(settings).err(), Some(JwtError::NeedsSecret(Algorithm::Hs256)));
}

#[test]
fn j2_the_key_decides_the_algorithm() {
    let issuer = Issuer::new(ISSUER, Algorithm::Rs256);
    let bound = |alg: &str| {
        let mut jwk = issuer.signer.jwk("k1");
        jwk["alg"] = json!(alg);
        set(&[jwk])
    };
    let everything = Algorithm::ALL.into_iter().filter(|algorithm| !algorithm.is_symmetric()).collect::<Vec<_>>();
    for (alg, want) in
        [("RS256", None), ("PS256", Some(Reason::TokenAlgorithm)), ("RS512", Some(Reason::TokenAlgorithm))]
    {
        let mut settings = issuer.settings("people", &[TokenPlace::Bearer]);
        settings.algorithms = everything.clone();
        settings.keys = Arc::new(Keys::fixed("people", ISSUER, bound(alg)));
        let bench = Bench {
            issuer: Issuer { signer: issuer.signer.clone(), ..Issuer::new(ISSUER, Algorithm::Rs256) },
            settings,
        };
        assert_eq!(refused(bench.claims(json!({}))), want, "{alg}");
    }
}

#[test]
fn j2_a_signature_counts_only_under_its_own_algorithm() {
    // One key serves every algorithm of its type; a signature by one of them must not pass as another's.
    for family in [&Algorithm::ALL[..6], &Algorithm::ALL[10..]] {
        for signed in family {
            let bench = Bench::new(*signed).with(|settings| settings.algorithms = family.to_vec());
            for named in family {
                let answer = bench.header(json!({"alg": named.name(), "kid": "k1"}));
                let want = (named != signed).then_some(Reason::TokenSignature);
                assert_eq!(refused(answer), want, "signed {signed}, named {named}");
            }
        }
    }
}

#[test]
fn j3_encrypted_and_nested_tokens_are_refused() {
    assert!(matches!(Unverified::parse("e30.AA.AA.AA.AA"), Err(TokenError::NotThreeParts)));
    let bench = Bench::new(Algorithm::Es256);
    let header = json!({"alg": "ES256", "kid": "k1", "cty": "JWT"});
    assert_eq!(refused(bench.header(header)), Some(Reason::TokenMalformed));
}

#[test]
fn j4_a_key_id_only_ever_names_a_key() {
    let bench = Bench::new(Algorithm::Es256);
    for kid in ["", "k2", "K1", "k1 ", "../../dev/null", "' OR 1=1 --", "https://evil.test/keys"] {
        let answer = bench.header(json!({"alg": "ES256", "kid": kid}));
        assert_eq!(refused(answer), Some(Reason::TokenKeyUnknown), "{kid}");
    }
    assert!(bench.header(json!({"alg": "ES256"})).is_ok(), "one key, and it fits");
}

#[test]
fn j5_keys_in_the_header_are_never_used() {
    let bench = Bench::new(Algorithm::Es256);
    let attacker = Issuer::new(ISSUER, Algorithm::Es256);
    let trap = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    trap.set_nonblocking(true).expect("nonblocking");
    let url = format!("http://{}/keys", trap.local_addr().expect("address"));
    for header in [
        json!({"alg": "ES256", "jwk": attacker.signer.jwk("k1")}),
        json!({"alg": "ES256", "kid": "k1", "jku": url}),
        json!({"alg": "ES256", "kid": "k1", "x5u": url}),
        json!({"alg": "ES256", "kid": "k1", "x5c": ["MIIB"], "x5t": "AA"}),
    ] {
        let claims = bench.issuer.claims().to_string();
        let forged = attacker.raw_token(&header.to_string(), &claims);
        assert_eq!(refused(bench.judge(&forged)), Some(Reason::TokenSignature), "{header}");
        assert!(bench.header(header.clone()).is_ok(), "ignored in a good token: {header}");
    }
    assert!(trap.accept().is_err(), "nothing was fetched");
}

#[test]
fn j6_critical_extensions_are_refused() {
    let bench = Bench::new(Algorithm::Es256);
    for header in [
        json!({"alg": "ES256", "kid": "k1", "crit": ["exp"], "exp": 1}),
        json!({"alg": "ES256", "kid": "k1", "crit": ["b64"], "b64": false}),
        json!({"alg": "ES256", "kid": "k1", "b64": true}),
    ] {
        assert_eq!(refused(bench.header(header.clone())), Some(Reason::TokenMalformed), "{header}");
    }
}

#[test]
fn j7_doubled_claims_are_refused() {
    let bench = Bench::new(Algorithm::Es256);
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let claims = bench.issuer.claims().to_string();
    for extra in [r#""sub":"root""#, r#""s\u0075b":"root""#, r#""iss":"https://sso.test""#] {
        let payload = claims.replacen('{', &format!("{{{extra},"), 1);
        let token = bench.issuer.raw_token(header, &payload);
        assert!(matches!(Unverified::parse(&token), Err(TokenError::Json { part: "payload", .. })), "{extra}");
    }
    let token = bench.issuer.raw_token(r#"{"alg":"none","alg":"ES256","kid":"k1"}"#, &claims);
    assert_eq!(refused(bench.judge(&token)), Some(Reason::TokenMalformed));
}

#[test]
fn j8_times_of_the_wrong_type_are_refused() {
    let bench = Bench::new(Algorithm::Es256);
    for claim in ["exp", "nbf", "iat"] {
        for value in [json!("1800000000"), json!(true), json!([1_800_000_000]), json!({}), json!(-1), json!(1e300)] {
            let answer = bench.claims(json!({claim: value}));
            assert_eq!(refused(answer), Some(Reason::TokenClaims), "{claim} {value}");
        }
        let mut claims = bench.issuer.claims();
        claims[claim] = Value::Null;
        let token = bench.issuer.raw_token(r#"{"alg":"ES256","kid":"k1"}"#, &claims.to_string());
        assert_eq!(refused(bench.judge(&token)), Some(Reason::TokenClaims), "{claim} null");
    }
}

#[test]
fn j9_a_token_must_expire() {
    let bench = Bench::new(Algorithm::Es256);
    assert_eq!(refused(bench.claims(json!({"exp": null}))), Some(Reason::TokenClaims));
    assert_eq!(refused(bench.claims(json!({"exp": 999_999_999_999_i64}))), Some(Reason::TokenClaims));
}

#[test]
fn times_hold_to_the_second_with_leeway() {
    let bench = Bench::new(Algorithm::Es256);
    for (claims, second, want) in [
        (json!({"exp": NOW}), NOW + 59, None),
        (json!({"exp": NOW}), NOW + 60, Some(Reason::TokenExpired)),
        (json!({"exp": NOW as f64 + 0.9}), NOW + 60, Some(Reason::TokenExpired)),
        (json!({"exp": 0}), NOW, Some(Reason::TokenExpired)),
        (json!({"nbf": NOW}), NOW - 60, None),
        (json!({"nbf": NOW}), NOW - 61, Some(Reason::TokenNotYetValid)),
        (json!({"nbf": NOW as f64 + 0.1}), NOW - 60, Some(Reason::TokenNotYetValid)),
        (json!({"iat": NOW, "nbf": null}), NOW - 60, None),
        (json!({"iat": NOW, "nbf": null}), NOW - 61, Some(Reason::TokenNotYetValid)),
        (json!({"iat": null, "nbf": null}), NOW, None),
    ] {
        let answer = bench.judge_at(&bench.issuer.token(claims.clone()), at(second));
        assert_eq!(answer.err().map(|error| error.reason()), want, "{claims} at {second}");
    }
    let strict = Bench::new(Algorithm::Es256).with(|settings| settings.leeway = 0);
    assert_eq!(refused(strict.claims(json!({"exp": NOW}))), Some(Reason::TokenExpired));
    assert!(strict.claims(json!({"exp": NOW + 1, "nbf": NOW, "iat": NOW})).is_ok());
}

#[test]
fn j10_the_audience_is_one_of_ours_exactly() {
    let bench = Bench::new(Algorithm::Es256);
    for (audience, want) in [
        (json!("web"), None),
        (json!("api"), None),
        (json!(["other", "web"]), None),
        (json!(null), Some(Reason::TokenAudience)),
        (json!([]), Some(Reason::TokenAudience)),
        (json!(""), Some(Reason::TokenAudience)),
        (json!("WEB"), Some(Reason::TokenAudience)),
        (json!("web "), Some(Reason::TokenAudience)),
        (json!("web,api"), Some(Reason::TokenAudience)),
        (json!("website"), Some(Reason::TokenAudience)),
        (json!(["other"]), Some(Reason::TokenAudience)),
        (json!([["web"]]), Some(Reason::TokenClaims)),
        (json!(["web", 1]), Some(Reason::TokenClaims)),
        (json!({"web": true}), Some(Reason::TokenClaims)),
        (json!(1), Some(Reason::TokenClaims)),
    ] {
        assert_eq!(refused(bench.claims(json!({"aud": audience}))), want, "{audience}");
    }
}

#[test]
fn j11_the_issuer_is_exact() {
    let bench = Bench::new(Algorithm::Es256);
    let source = build(bench.settings.clone());
    let Kind::Jwt(source) = &source.kind else { panic!("a JWT source") };
    for issuer in [
        json!([ISSUER]),
        json!("https://sso.test/"),
        json!("https://sso.tes"),
        json!("https://SSO.test"),
        json!("https://sso.test\u{0}"),
        json!(1),
        json!(null),
    ] {
        let token = bench.issuer.token(json!({"iss": issuer}));
        assert!(!source.claims(Unverified::parse(&token).expect("a token").issuer()), "{issuer}");
    }
}

#[test]
fn a_subject_is_one_sound_text() {
    let bench = Bench::new(Algorithm::Es256);
    for subject in [json!(null), json!(""), json!(1), json!(["u"]), json!(" u"), json!("u\n"), json!("u\u{0}")] {
        assert_eq!(refused(bench.claims(json!({"sub": subject}))), Some(Reason::TokenClaims), "{subject}");
    }
}

#[test]
fn j14_malformed_signatures_are_refused() {
    let bench = Bench::new(Algorithm::Es256);
    let token = bench.issuer.token(json!({}));
    let (signed, signature) = token.rsplit_once('.').expect("parts");
    let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let (r, s) = signature.split_at(32);
    let zero = [0; 32];
    let order: [u8; 32] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD,
        0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ];
    let der_integer = |number: &[u8]| [&[2, 33, 0][..], number].concat();
    let der = [&[0x30, 70][..], &der_integer(r), &der_integer(s)].concat();
    for bad in [
        [zero, zero].concat(),
        [r, &zero[..]].concat(),
        [&zero[..], s].concat(),
        [order, order].concat(),
        [r, &order[..]].concat(),
        der,
        r.to_vec(),
        [&[0][..], r, &[0][..], s].concat(),
    ] {
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&bad));
        assert_eq!(refused(bench.judge(&token)), Some(Reason::TokenSignature), "{bad:?}");
    }
}

#[test]
fn j14_ed25519_is_not_malleable() {
    let bench = Bench::new(Algorithm::EdDsa);
    let token = bench.issuer.token(json!({}));
    let (signed, signature) = token.rsplit_once('.').expect("parts");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    // S + L, little-endian (RFC 8032 §5.1.7): the same signature to a careless verifier.
    let order: [u8; 32] = [
        0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58, 0xD6, 0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0;
    for (octet, add) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*octet) + u16::from(add) + carry;
        *octet = (sum & 0xFF) as u8;
        carry = sum >> 8;
    }
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert_eq!(refused(bench.judge(&token)), Some(Reason::TokenSignature));
}

#[test]
fn j16_deep_and_long_tokens_are_refused() {
    let bench = Bench::new(Algorithm::Es256);
    let nested = |levels: usize| {
        let deep = format!("{}{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        let claims = bench.issuer.claims().to_string().replacen('{', &format!("{{\"deep\":{deep},"), 1);
        bench.issuer.raw_token(r#"{"alg":"ES256","kid":"k1"}"#, &claims)
    };
    assert!(bench.judge(&nested(32)).is_ok());
    assert!(Unverified::parse(&nested(33)).is_err());
    let padded = |size: usize| bench.issuer.token(json!({"pad": "x".repeat(size)}));
    assert!(bench.judge(&padded(5000)).is_ok());
    assert!(matches!(Unverified::parse(&padded(6500)), Err(TokenError::TooLong)));
}

#[test]
fn j17_the_kind_of_token_is_judged() {
    let bench = Bench::new(Algorithm::Es256);
    for (kind, want) in [
        ("JWT", None),
        ("jwt", None),
        ("at+jwt", None),
        ("application/at+jwt", None),
        ("logout+jwt", Some(Reason::TokenMalformed)),
        ("dpop+jwt", Some(Reason::TokenMalformed)),
    ] {
        assert_eq!(refused(bench.header(json!({"alg": "ES256", "kid": "k1", "typ": kind}))), want, "{kind}");
    }
}

#[test]
fn j18_claims_of_a_bad_signature_are_never_judged() {
    // Expired, for someone else and signed by someone else: only the signature is spoken of.
    let bench = Bench::new(Algorithm::Es256);
    let attacker = Issuer::new(ISSUER, Algorithm::Es256);
    let token = attacker.token(json!({"exp": 1, "aud": "other", "sub": 1}));
    assert_eq!(refused(bench.judge(&token)), Some(Reason::TokenSignature));
}

#[test]
fn j20_the_twin_of_an_ecdsa_signature_is_the_same_identity() {
    // (r, n − s) also verifies: whatever is kept by token must go by its whole text or by its claims.
    let bench = Bench::new(Algorithm::Es256);
    let token = bench.issuer.token(json!({"jti": "one"}));
    let (signed, signature) = token.rsplit_once('.').expect("parts");
    let mut signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
    let order: [u8; 32] = [
        0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xBC, 0xE6, 0xFA, 0xAD,
        0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
    ];
    let mut borrow = 0;
    for (octet, whole) in signature[32..].iter_mut().zip(order).rev() {
        let difference = i16::from(whole) - i16::from(*octet) - borrow;
        *octet = (difference & 0xFF) as u8;
        borrow = i16::from(difference < 0);
    }
    let twin = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert_ne!(twin, token);
    assert_eq!(bench.judge(&twin).expect("a good twin"), bench.judge(&token).expect("a good token"));
}

#[test]
fn keys_without_an_id_stand_in() {
    let bench = Bench::new(Algorithm::Es256).with(|settings| settings.algorithms.push(Algorithm::EdDsa));
    let from_pem = KeySet::from_pem(&bench.issuer.signer.pem()).expect("keys");
    let bench = bench.with(|settings| settings.keys = Arc::new(Keys::fixed("people", ISSUER, from_pem)));
    assert!(bench.header(json!({"alg": "ES256", "kid": "whatever"})).is_ok());
    assert!(bench.header(json!({"alg": "ES256"})).is_ok());
    assert_eq!(refused(bench.header(json!({"alg": "EdDSA"}))), Some(Reason::TokenAlgorithm));
}

#[test]
fn keys_of_one_id_are_all_tried() {
    let bench = Bench::new(Algorithm::Es256);
    let others: Vec<Value> = (0..3).map(|_| Signer::new(Algorithm::Es256).jwk("k1")).collect();
    let own = bench.issuer.signer.jwk("k1");
    let keys = |keys: &[Value]| Arc::new(Keys::fixed("people", ISSUER, set(keys)));
    let fourth = keys(&[others[0].clone(), others[1].clone(), others[2].clone(), own.clone()]);
    let fifth = keys(&[others[0].clone(), others[1].clone(), others[2].clone(), others[0].clone(), own]);
    let bench = bench.with(|settings| settings.keys = fourth);
    assert!(bench.claims(json!({})).is_ok());
    let bench = bench.with(|settings| settings.keys = fifth);
    assert_eq!(refused(bench.claims(json!({}))), Some(Reason::TokenSignature), "no more than four are tried");
}

#[test]
fn a_user_from_the_mail_address_needs_it_verified() {
    for path in ["email", "[\"email\"]"] {
        let bench = Bench::new(Algorithm::Es256)
            .with(|settings| settings.mapping.user = ClaimPath::parse(path).expect("a path"));
        assert_eq!(bench.claims(json!({})).map(|identity| identity.user().to_owned()), Ok("alice@corp.test".into()));
        for verified in [json!(null), json!(false), json!("true"), json!(1)] {
            let answer = bench.claims(json!({"email_verified": verified}));
            assert_eq!(refused(answer), Some(Reason::TokenClaims), "{verified}");
        }
    }
}

#[test]
fn contradicting_settings_are_refused() {
    let build = |change: &dyn Fn(&mut JwtSettings)| {
        let mut bench = Bench::new(Algorithm::Es256);
        change(&mut bench.settings);
        JwtSource::build(bench.settings).err()
    };
    assert_eq!(build(&|_| {}), None);
    assert_eq!(build(&|settings| settings.audience.clear()), Some(JwtError::NoAudience));
    assert_eq!(build(&|settings| settings.audience.push(String::new())), Some(JwtError::NoAudience));
    assert_eq!(build(&|settings| settings.algorithms.clear()), Some(JwtError::NoAlgorithms));
    assert_eq!(build(&|settings| settings.places.clear()), Some(JwtError::NoPlaces));
    assert_eq!(build(&|settings| settings.leeway = -1), Some(JwtError::Leeway(-1)));
    assert_eq!(build(&|settings| settings.leeway = 601), Some(JwtError::Leeway(601)));
    assert_eq!(build(&|settings| settings.max_lifetime = 59), Some(JwtError::MaxLifetime(59)));
    assert_eq!(build(&|settings| settings.issuer.clear()), Some(JwtError::NoIssuer));
    assert_eq!(build(&|settings| settings.issuer.push('/')), Some(JwtError::KeysOfOtherIssuer(ISSUER.to_owned())));
    assert_eq!(
        build(&|settings| settings.algorithms = vec![Algorithm::Rs256]),
        Some(JwtError::NoKeyFor(Algorithm::Rs256))
    );
    assert_eq!(
        build(&|settings| settings.algorithms.push(Algorithm::Hs256)),
        Some(JwtError::NeedsSecret(Algorithm::Hs256))
    );
}

#[test]
fn k8_a_token_with_one_character_changed_is_refused() {
    let bench = Bench::new(Algorithm::EdDsa);
    let token = bench.issuer.token(json!({}));
    let refused = |text: &str| match Unverified::parse(text) {
        Err(_) => true,
        Ok(unverified) => unverified.issuer() != Some(ISSUER) || bench.judge(text).is_err(),
    };
    assert!(!refused(&token));
    for index in 0..token.len() {
        let (before, after) = token.split_at(index);
        let mut characters = after.chars();
        let own = characters.next().expect("a character");
        let rest = characters.as_str();
        for other in ['A', 'B', 'g', '_', '.', '=', '\n'] {
            assert!(refused(&format!("{before}{other}{after}")), "{other:?} added at {index}");
            if other != own {
                assert!(refused(&format!("{before}{other}{}", rest)), "{other:?} put at {index}");
            }
        }
        assert!(refused(&format!("{before}{}", rest)), "cut at {index}");
    }
}
