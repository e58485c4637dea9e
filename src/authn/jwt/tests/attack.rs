//! From one good token, every mutation we can think of: each is refused, and jsonwebtoken never refuses what we take.

use proptest::prelude::*;

use super::*;

/// A token that must not pass, and what is wrong with it.
type Attack = (String, String);

fn attacks(algorithm: Algorithm) -> (Bench, Vec<Attack>) {
    let bench = Bench::new(algorithm);
    let mut attacks = Vec::new();
    forged_headers(&bench, &mut attacks);
    signed_headers(&bench, &mut attacks);
    claims(&bench, &mut attacks);
    forms(&bench, &mut attacks);
    (bench, attacks)
}

/// Headers and signatures of somebody who has no key of the issuer.
fn forged_headers(bench: &Bench, attacks: &mut Vec<Attack>) {
    let good = bench.issuer.token(json!({"sub": "root"}));
    let claims = bench.issuer.claims().to_string();
    let public = bench.issuer.signer.jwk("k1");
    let own_texts = [
        bench.issuer.signer.pem().into_bytes(),
        bench.issuer.signer.pem().trim().as_bytes().to_vec(),
        public.to_string().into_bytes(),
        b"k1".to_vec(),
        Vec::new(),
        vec![0; 32],
    ];
    for hash in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        for secret in &own_texts {
            for kid in ["k1", "", "../../../dev/null", "/dev/null", "' UNION SELECT '"] {
                let header = json!({"alg": hash.name(), "typ": "JWT", "kid": kid}).to_string();
                let forged = compact(&header, &claims, &Signer::Secret(secret.clone()), hash);
                attacks.push((format!("{hash} with a public text, kid {kid:?}"), forged));
            }
        }
    }
    for other in Algorithm::ALL.into_iter().filter(|other| !other.is_symmetric()) {
        // A fresh key of any type, except the one RSA key that all tests share.
        if matches!(other, Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 | Algorithm::EdDsa) {
            let attacker = Issuer::new(ISSUER, other);
            for extra in [json!({}), json!({"jwk": attacker.signer.jwk("k1")}), json!({"x5c": ["MIIB"]})] {
                let mut header = json!({"alg": other.name(), "kid": "k1"});
                for (name, value) in extra.as_object().expect("an object") {
                    header[name] = value.clone();
                }
                attacks.push((format!("a stranger's key, {header}"), attacker.raw_token(&header.to_string(), &claims)));
            }
        }
        if other != bench.issuer.algorithm {
            let header = json!({"alg": other.name(), "kid": "k1"});
            attacks.push((format!("named {other}"), bench.issuer.raw_token(&header.to_string(), &claims)));
        }
    }
    let parts: Vec<&str> = good.split('.').collect();
    for alg in ["none", "None", "NONE", "nOnE", "none ", "", "null"] {
        let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
        for signature in ["", parts[2], "AA"] {
            attacks.push((format!("alg {alg:?}"), format!("{header}.{}.{signature}", parts[1])));
        }
    }
    let signature = URL_SAFE_NO_PAD.decode(parts[2]).expect("base64url");
    for (what, bad) in [
        ("no signature", vec![]),
        ("zeros", vec![0; signature.len()]),
        ("ones", vec![0xFF; signature.len()]),
        ("half", signature[..signature.len() / 2].to_vec()),
        ("doubled", [signature.clone(), signature.clone()].concat()),
        ("reversed", signature.iter().rev().copied().collect()),
    ] {
        attacks
            .push((format!("signature: {what}"), format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode(bad))));
    }
    for bit in 0..signature.len() * 8 {
        let mut flipped = signature.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        attacks.push((format!("bit {bit}"), format!("{}.{}.{}", parts[0], parts[1], URL_SAFE_NO_PAD.encode(flipped))));
    }
}

/// Headers that are wrong although the issuer signed them.
fn signed_headers(bench: &Bench, attacks: &mut Vec<Attack>) {
    let claims = bench.issuer.claims().to_string();
    let alg = bench.issuer.algorithm.name();
    for header in [
        format!(r#"{{"alg":"{alg}","kid":"k1","crit":["exp"]}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","crit":[]}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","crit":["b64"],"b64":false}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","b64":true}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","cty":"JWT"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k2"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"K1"}}"#),
        format!(r#"{{"alg":"{alg}","kid":["k1"]}}"#),
        format!(r#"{{"alg":"{alg}","kid":null}}"#),
        format!(r#"{{"alg":"{alg}","kid":"{}"}}"#, "k".repeat(257)),
        format!(r#"{{"alg":"{alg}","alg":"{alg}","kid":"k1"}}"#),
        format!(r#"{{"alg":"none","alg":"{alg}","kid":"k1"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","\u006bid":"k1"}}"#),
        format!(r#"{{"alg":["{alg}"],"kid":"k1"}}"#),
        format!(r#"{{"alg":"{} ","kid":"k1"}}"#, alg),
        format!(r#"{{"alg":"{}","kid":"k1"}}"#, alg.to_ascii_lowercase()),
        format!(r#"{{"alg":"{alg}","kid":"k1","typ":"logout+jwt"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","typ":"dpop+jwt"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","typ":"secevent+jwt"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","typ":"JOSE+JSON"}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1","typ":7}}"#),
        format!(r#"{{"alg":"{alg}","kid":"k1"}} "x""#),
        format!(r#"{{"alg":"{alg}","kid":"k1",}}"#),
        format!(r#"[{{"alg":"{alg}","kid":"k1"}}]"#),
        r#"{"kid":"k1"}"#.to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
    ] {
        attacks.push((format!("signed header {header}"), bench.issuer.raw_token(&header, &claims)));
    }
}

/// Claims that are wrong although the issuer signed them.
fn claims(bench: &Bench, attacks: &mut Vec<Attack>) {
    let long_ago = NOW - 100_000;
    for changes in [
        json!({"exp": null}),
        json!({"exp": NOW - 61}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": (NOW + 600).to_string()}),
        json!({"exp": [NOW + 600]}),
        json!({"exp": {"at": NOW + 600}}),
        json!({"exp": true}),
        json!({"exp": 1e300}),
        json!({"exp": 9_999_999_999_i64}),
        json!({"nbf": NOW + 61}),
        json!({"nbf": (NOW - 1).to_string()}),
        json!({"nbf": false}),
        json!({"iat": NOW + 61}),
        json!({"iat": "yesterday"}),
        json!({"iat": [], "nbf": null}),
        json!({"iat": long_ago, "nbf": long_ago}),
        json!({"aud": null}),
        json!({"aud": ""}),
        json!({"aud": []}),
        json!({"aud": "other"}),
        json!({"aud": "web "}),
        json!({"aud": "Web"}),
        json!({"aud": ["other"]}),
        json!({"aud": [["web"]]}),
        json!({"aud": ["web", 1]}),
        json!({"aud": {"web": 1}}),
        json!({"iss": null}),
        json!({"iss": [ISSUER]}),
        json!({"iss": format!("{ISSUER}/")}),
        json!({"iss": format!("{ISSUER}.evil.test")}),
        json!({"iss": ISSUER.to_uppercase()}),
        json!({"sub": null}),
        json!({"sub": ""}),
        json!({"sub": " root"}),
        json!({"sub": "root\n"}),
        json!({"sub": 0}),
        json!({"sub": ["root"]}),
        json!({"groups": {"admins": true}}),
        json!({"groups": ["staff", 1]}),
        json!({"groups": 7}),
        json!({"scope": 7}),
        json!({"email": ["a@corp.test"]}),
        json!({"azp": 7}),
        json!({"cnf": {"jkt": "x"}}),
        json!({"events": {}}),
        json!({"typ": "Refresh"}),
        json!({"pad": "x".repeat(8000)}),
    ] {
        attacks.push((format!("claims {changes:.80}"), bench.issuer.token(changes)));
    }
    let header = json!({"alg": bench.issuer.algorithm.name(), "kid": "k1"}).to_string();
    let sound = bench.issuer.claims().to_string();
    let inside = sound.trim_start_matches('{').trim_end_matches('}');
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    for payload in [
        format!("{{{inside},\"sub\":\"root\"}}"),
        format!("{{\"sub\":\"root\",{inside}}}"),
        format!("{{{inside},\"s\\u0075b\":\"root\"}}"),
        format!("{{{inside},\"aud\":\"web\"}}"),
        format!("{{{inside},\"x\":{{\"a\":1,\"a\":2}}}}"),
        format!("{{{inside},\"deep\":{deep}}}"),
        format!("{{{inside}}}{{}}"),
        format!("{{{inside},}}"),
        format!("[{{{inside}}}]"),
        format!("\u{feff}{{{inside}}}"),
        format!("{{{}}}", inside.replace("\"exp\"", "\"exp \"")),
        format!("{{{},\"exp\":null}}", inside.replace("\"exp\"", "\"EXP\"")),
        format!("{{{},\"nbf\":null}}", inside.replace("\"nbf\"", "\"was\"")),
        format!("{{{},\"iat\":null}}", inside.replace("\"iat\"", "\"was\"")),
        "{}".to_owned(),
        "\"\"".to_owned(),
        String::new(),
    ] {
        attacks.push((format!("payload {payload:.120}"), bench.issuer.raw_token(&header, &payload)));
    }
}

/// Texts that are nearly a good token.
fn forms(bench: &Bench, attacks: &mut Vec<Attack>) {
    let good = bench.issuer.token(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let (header, payload, signature) = (parts[0], parts[1], parts[2]);
    let standard = |part: &str| part.replace('-', "+").replace('_', "/");
    for text in [
        format!("{header}.{payload}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}.AA.AA"),
        format!(".{payload}.{signature}"),
        format!("{header}..{signature}"),
        format!("{header}.{payload}."),
        format!("{payload}.{header}.{signature}"),
        format!("{good}="),
        format!("{good}=="),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{good}\0"),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}.\r\n{payload}.{signature}"),
        format!("{header}%2E{payload}%2E{signature}"),
        format!("{header}:{payload}:{signature}"),
        format!("{good},{good}"),
        format!("{good}.{good}"),
        good.to_ascii_uppercase(),
        good.chars().rev().collect(),
        format!(
            "{{\"payload\":\"{payload}\",\"signatures\":[{{\"protected\":\"{header}\",\"signature\":\"{signature}\"}}]}}"
        ),
        ".".repeat(9000),
        "..".to_owned(),
        String::new(),
    ] {
        attacks.push((format!("form {text:.60}"), text));
    }
    if standard(&good) != good {
        attacks.push(("the other base64 alphabet".to_owned(), standard(&good)));
    }
}

#[test]
fn every_attack_token_is_refused() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps384, Algorithm::Es256, Algorithm::Es512, Algorithm::EdDsa] {
        let (bench, attacks) = attacks(algorithm);
        assert!(bench.judge(&bench.issuer.token(json!({}))).is_ok(), "the token they are made from is good");
        assert!(attacks.len() > 250, "{}", attacks.len());
        let source = JwtSource::build(bench.settings.clone()).expect("a source");
        for (what, token) in attacks {
            assert!(!matches!(judge(&source, &token), Some(Ok(_))), "{algorithm}: {what}");
        }
    }
}

/// What a source makes of a token; `None` when it is none of its business.
fn judge(source: &JwtSource, token: &str) -> Option<Result<Arc<Identity>, TokenError>> {
    let token = Unverified::parse(token).ok().filter(|token| source.claims(token.issuer()))?;
    Some(source.try_verify(token, now(), None, &mut quiet).map(|verdict| match verdict {
        Verdict::Verified(identity) => identity,
        other => panic!("the keys are fixed: {other:?}"),
    }))
}

/// Some value a claim may have, right or wrong.
fn some_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        (NOW - 200..NOW + 200).prop_map(Value::from),
        (NOW - 200..NOW + 200).prop_map(|second| json!(second as f64 + 0.5)),
        (NOW - 200..NOW + 200).prop_map(|second| json!(second.to_string())),
        "[a-z]{0,4}".prop_map(Value::from),
        prop_oneof![Just("web"), Just("api"), Just("https://sso.test"), Just("u-1")].prop_map(Value::from),
        prop::collection::vec(prop_oneof![Just("web"), Just("other"), Just("api")], 0..3).prop_map(|list| json!(list)),
    ]
}

fn some_changes() -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    let name = prop_oneof![
        Just("exp"),
        Just("nbf"),
        Just("iat"),
        Just("aud"),
        Just("iss"),
        Just("sub"),
        Just("azp"),
        Just("x")
    ];
    prop::collection::vec((name, some_value()), 0..4)
}

/// What the oracle makes of a token at `second`.
fn oracle(token: &str, jwk: &Value, algorithm: jsonwebtoken::Algorithm) -> bool {
    let jwk = serde_json::from_value(jwk.clone()).expect("a JWK");
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).expect("a key");
    let mut validation = jsonwebtoken::Validation::new(algorithm);
    // It has the clock of the machine, and our tests have their own: what it judges by the clock is judged below.
    validation.validate_exp = false;
    validation.set_audience(&["web", "api"]);
    validation.set_issuer(&[ISSUER]);
    validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    let Ok(read) = jsonwebtoken::decode::<Value>(token, &key, &validation) else { return false };
    let time = |name: &str| read.claims.get(name).and_then(Value::as_f64);
    let now = NOW as f64;
    time("exp").is_some_and(|exp| exp > now - 60.0) && time("nbf").is_none_or(|nbf| nbf <= now + 60.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// We are never laxer than jsonwebtoken, and stricter only where our rules say so.
    #[test]
    fn what_jsonwebtoken_refuses_is_refused(changes in some_changes(), flip in prop::option::of((0..400_usize, 0..6_u8))) {
        static BENCH: std::sync::LazyLock<Bench> = std::sync::LazyLock::new(|| Bench::new(Algorithm::EdDsa));
        let bench = &*BENCH;
        let mut claims = bench.issuer.claims();
        for (name, value) in &changes {
            claims[*name] = value.clone();
        }
        let mut token =
            bench.issuer.raw_token(&json!({"alg": "EdDSA", "kid": "k1"}).to_string(), &claims.to_string()).into_bytes();
        if let Some((index, bit)) = flip {
            let index = index % token.len();
            token[index] ^= 1 << bit;
        }
        let Ok(token) = String::from_utf8(token) else { return Ok(()) };
        let theirs = oracle(&token, &bench.issuer.signer.jwk("k1"), jsonwebtoken::Algorithm::EdDSA);
        let source = JwtSource::build(bench.settings.clone()).expect("a source");
        let ours = judge(&source, &token);
        match ours {
            Some(Ok(_)) => prop_assert!(theirs, "we take what jsonwebtoken refuses: {changes:?} {flip:?}"),
            Some(Err(error)) if theirs => prop_assert!(
                matches!(
                    error,
                    TokenError::ClaimType(_)
                        | TokenError::NotATime(_)
                        | TokenError::NotYetValid { .. }
                        | TokenError::Expired(_)
                        | TokenError::TooLongLived { .. }
                        | TokenError::ClaimMissing(_)
                ),
                "we refuse what jsonwebtoken takes: {error} {changes:?} {flip:?}"
            ),
            Some(Err(_)) | None => {}
        }
    }
}
