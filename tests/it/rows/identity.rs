//! I1–I10: who the application is told the caller is.

use std::sync::Arc;

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern::config::load::Pretend;
use postern::engine::Engine;
use serde_json::json;

use super::Ask;
use super::House;
use super::get;

const OWNED: [&str; 4] = ["remote-email", "remote-groups", "remote-name", "remote-user"];

fn house() -> House {
    House::routes(&[
        "path: /public/**, public: true",
        "path: /open/**, identity: [people, anonymous], require: {network: [192.0.2.0/24]}",
        "path: /**, require: {groups: [staff]}",
    ])
}

#[test]
fn i1_every_identity_header_is_set_or_made_absent() {
    let house = house();
    let some = house.token(&json!({"email": null, "groups": ["staff"]}));
    for (ask, set) in [
        (get("/public/x"), vec![]),
        (house.as_member(get("/public/x"), &["staff"]), vec![]),
        (get("/open/x"), vec![]),
        (house.as_member(get("/x"), &["staff"]), OWNED.to_vec()),
        (get("/x").bearer(&some), vec!["remote-groups", "remote-name", "remote-user"]),
    ] {
        let answer = house.answer(&ask);
        assert_eq!(answer.status, 200, "{answer:?}");
        let names: Vec<&str> = answer.set.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, set, "{ask:?}");
        let absent: Vec<&str> = OWNED.into_iter().filter(|name| !set.contains(name)).collect();
        assert_eq!(answer.removed, absent, "{ask:?}");
    }
    let denied = house.answer(&house.as_member(get("/x"), &["guests"]));
    assert_eq!((denied.status, denied.set), (403, vec![]), "a denial names nobody");
}

#[test]
fn i1_other_names_are_owned_besides_the_four() {
    let house = House::with(
        "defaults: {headers: {user: X-User}}\nhosts:\n  app.test: {routes: [{path: /**, require: {groups: [staff]}}]}\n",
    );
    let answer = house.answer(&house.as_member(get("/x"), &["staff"]));
    assert_eq!(answer.set, [("x-user".to_owned(), "alice".to_owned())]);
    assert_eq!(answer.removed, OWNED);
    assert_eq!(house.reason(&house.as_member(get("/x"), &["staff"]).header("Remote-User", "root")), "spoofed_header");
}

#[test]
fn i1_headers_that_a_policy_adds_are_owned_like_the_four() {
    let house = House::with(
        "defaults:
  headers:
    user: Remote-User
    extra:
      X-Tenant: {claim: org.tenant}
      X-Realm-Roles: {claim: realm_access.roles, format: json}
      X-Teams: {claim: teams, separator: \";\"}
      X-Vouched-By: {fact: issuer}
      X-Checked: {value: \"yes\"}
hosts:
  app.test:
    routes:
      - {path: /public/**, public: true}
      - {path: /**, require: {groups: [staff]}}
",
    );
    let claims =
        json!({"org": {"tenant": "acme"}, "realm_access": {"roles": ["a,b", "Zo\u{eb}"]}, "teams": ["x", "y;z"]});
    let answer = house.answer(&get("/x").bearer(&house.token(&claims)));
    let want = [
        ("remote-user", "alice"),
        ("x-checked", "yes"),
        ("x-realm-roles", r#"["a,b","Zo\u00eb"]"#),
        ("x-tenant", "acme"),
        ("x-vouched-by", "https://sso.test"),
    ];
    assert_eq!(answer.set, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(answer.removed.contains(&"x-teams".to_owned()), "a list with its separator in a text is not sent");
    let public = house.answer(&get("/public/x"));
    assert_eq!((public.status, public.set), (200, vec![]));
    assert_eq!(public.removed.iter().filter(|name| name.starts_with("x-")).count(), 5, "{:?}", public.removed);
    for name in ["X-Tenant", "x_tenant", "X-Checked"] {
        assert_eq!(house.reason(&get("/public/x").header(name, "acme")), "spoofed_header", "{name}");
    }
}

#[test]
fn i10_an_assertion_is_believed_by_the_host_it_is_for() {
    let mut house = House::with("");
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let der = STANDARD.encode(key.to_pkcs8v1().expect("PKCS#8").as_ref());
    let world = Pretend::new()
        .file("keys.json", house.issuer.jwks())
        .file("sign.pem", format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n"));
    let policy = "defaults:
  assertion: {header: X-Assertion, issuer: https://postern.test, lifetime: 5m, key: {file: sign.pem}}
hosts:
  app.test: {routes: [{path: /public/**, public: true}, {path: /**, require: {groups: [staff]}}]}
";
    let snapshot = super::build(policy, world).unwrap_or_else(|problems| panic!("{problems:?}"));
    let keys = snapshot.assertions.as_ref().expect("assertions").jwks().to_owned();
    house.engine = Engine::new(Arc::new(snapshot), Arc::clone(house.engine.telemetry()));
    // A signature is made anew for every answer, so one way of asking is looked at.
    let ask = house.as_member(get("/x"), &["staff", "sre"]);
    let question = (super::WAYS[0].ask)(&ask.client());
    let response = house.runtime.block_on(super::authorize(&house.engine, super::WAYS[0].dialect, &question));
    let set = super::Answer::of(&response).set;
    let assertion = set.iter().find(|(name, _)| name == "x-assertion").expect("an assertion").1.clone();
    assert_eq!(house.answer(&get("/public/x")).set, vec![], "nobody is asserted on a public route");
    assert_eq!(house.reason(&get("/public/x").header("x_assertion", &assertion)), "spoofed_header");

    // The application behind, which happens to be guarded by the same means.
    let behind = |audience: &str| {
        let policy = format!(
            "identity:
  front: {{jwt: {{issuer: https://postern.test, audience: {audience}, jwks_file: keys.json, token: [{{header: X-Assertion}}], claims: {{user: user}}}}}}
defaults: {{headers: {{user: X-User}}}}
hosts: {{app.test: {{routes: [{{path: /**, require: {{groups: [sre], users: [alice]}}}}]}}}}
"
        );
        let world = Pretend::new().file("keys.json", keys.clone());
        let snapshot = super::build(&policy, world).unwrap_or_else(|problems| panic!("{problems:?}"));
        let house =
            House { engine: Engine::new(Arc::new(snapshot), Arc::clone(house.engine.telemetry())), ..House::with("") };
        house.reason(&get("/x").header("X-Assertion", &assertion))
    };
    assert_eq!(behind("app.test"), "permitted");
    assert_eq!(behind("other.test"), "token_audience");
}

#[test]
fn i2_every_alias_of_an_identity_header_is_refused() {
    let house = house();
    for name in [
        "Remote-User",
        "remote-user",
        "REMOTE-USER",
        "remote_user",
        "Remote_User",
        "remote.user",
        "Remote.User",
        "remote~user",
        "remote_groups",
        "Remote-Email",
        "remote.name",
    ] {
        for ask in [get("/public/x"), house.as_member(get("/x"), &["staff"])] {
            assert_eq!(house.reason(&ask.header(name, "root")), "spoofed_header", "{name}");
        }
    }
    let twice = get("/public/x").header("REMOTE-USER", "a").header("remote-user", "b");
    assert_eq!(house.reason(&twice), "spoofed_header");
    for name in ["X-Remote-User", "RemoteUser", "Remote-Users", "Remote-User-Agent"] {
        assert_eq!(house.reason(&get("/public/x").header(name, "root")), "public", "{name} is another name");
    }
}

#[test]
fn i2_stripping_takes_the_aliases_away_or_refuses_them() {
    let house =
        House::with("spoof_guard: strip\nhosts:\n  app.test: {routes: [{path: /**, require: {groups: [staff]}}]}\n");
    let staff = |name| house.as_member(get("/x"), &["staff"]).header(name, "root");
    for (way, answer) in house.answers(&staff("Remote-User")) {
        assert_eq!((answer.header("remote-user"), answer.removed.len()), (Some("alice"), 0), "{way}");
    }
    for name in ["Remote_User", "X-Envoy-Auth-Failure-Mode-Allowed"] {
        for (way, answer) in house.answers(&staff(name)) {
            if way.starts_with("Envoy") {
                assert_eq!(answer.header("remote-user"), Some("alice"), "{way}");
                assert_eq!(answer.removed, [name.to_ascii_lowercase()], "{way}");
            } else {
                // These proxies remove no name but those of their own list.
                assert_eq!(answer.reason, "spoofed_header", "{way}");
            }
        }
    }
    assert!(house.metrics().contains("postern_spoofed_headers_total 24"), "{}", house.metrics());
}

#[test]
fn i3_joined_and_repeated_fields_have_one_verdict() {
    let house = House::routes(&["path: /**, identity: [people, anonymous], require: {headers: {X-Env: [prod]}}"]);
    let denied = House::routes(&["path: /**, public: true, deny: {headers: {X-Env: [prod]}}"]);
    for (values, allowed, open) in [
        (vec!["prod"], true, "header_denied"),
        (vec!["test"], false, "public"),
        (vec!["prod", "prod"], false, "header_denied"),
        (vec!["test", "prod"], false, "header_denied"),
        (vec!["prod,test"], false, "header_denied"),
        (vec![], false, "public"),
    ] {
        let ask = |ask: Ask| values.iter().fold(ask, |ask, value| ask.header("X-Env", value));
        let reason = house.reason(&ask(get("/x")));
        assert_eq!(reason == "permitted", allowed, "{values:?}: {reason}");
        assert_eq!(denied.reason(&ask(get("/x"))), open, "{values:?}");
    }
    let bearer = |house: &House| format!("Bearer {}", house.token(&json!({})));
    let staff = House::routes(&["path: /**, require: {groups: [staff]}"]);
    let twice = get("/x").header("Authorization", &bearer(&staff)).header("Authorization", &bearer(&staff));
    assert_eq!(staff.reason(&twice), "duplicate_credential");
    let cookies = format!("session={0}; session={0}", staff.token(&json!({})));
    assert_eq!(staff.reason(&get("/x").header("Cookie", &cookies)), "duplicate_credential");
}

#[test]
fn i5_nothing_but_printable_ascii_leaves() {
    let plain = house();
    let encoded = House::with(
        "defaults: {encode: {user: percent, name: rfc2047, groups: percent}}\nhosts:\n  app.test: {routes: [{path: /**, require: {authenticated: true}}]}\n",
    );
    // A name in Cyrillic: left out, or written as configured; never a fault.
    let name = json!({"name": "\u{418}\u{432}\u{430}\u{43d}", "groups": ["staff", "gr\u{fc}n"]});
    let answer = plain.answer(&get("/x").bearer(&plain.token(&name)));
    assert_eq!((answer.header("remote-name"), answer.header("remote-groups")), (None, Some("staff")));
    let answer = encoded.answer(&get("/x").bearer(&encoded.token(&name)));
    assert_eq!(answer.header("remote-name"), Some("=?UTF-8?B?0JjQstCw0L0=?="));
    assert_eq!(answer.header("remote-groups"), Some("staff,gr%C3%BCn"));
    let user = json!({"sub": "\u{418}\u{432}\u{430}\u{43d}"});
    assert_eq!(plain.reason(&get("/x").bearer(&plain.token(&user))), "identity_not_encodable");
    let answer = encoded.answer(&get("/x").bearer(&encoded.token(&user)));
    assert_eq!(answer.header("remote-user"), Some("%D0%98%D0%B2%D0%B0%D0%BD"));
    for house in [&plain, &encoded] {
        for evil in ["a\r\nRemote-Groups: admins", "a\0", "a\u{85}b", "\u{7f}"] {
            let claims = json!({"name": evil, "groups": ["staff", evil], "email": evil});
            let answer = house.answer(&get("/x").bearer(&house.token(&claims)));
            assert_eq!(answer.header("remote-name"), None, "{evil:?}");
            assert_eq!(answer.header("remote-groups"), Some("staff"), "{evil:?}");
            assert_eq!(answer.header("remote-email"), None, "{evil:?}");
            assert_eq!(
                house.reason(&get("/x").bearer(&house.token(&json!({"sub": evil})))),
                "token_claims",
                "{evil:?}"
            );
        }
    }
}

#[test]
fn i6_a_group_with_the_separator_is_never_two_groups() {
    let groups = json!({"groups": ["staff", "a,b", "c"]});
    for (defaults, want) in [
        ("", "staff,c"),
        ("groups: {separator: '|'}", "staff|a,b|c"),
        ("groups: {format: json}", r#"["staff","a,b","c"]"#),
        ("encode: {groups: percent}", "staff,a%2Cb,c"),
    ] {
        let house = House::with(&format!(
            "defaults: {{identity: people, {defaults}}}\nhosts:\n  app.test: {{routes: [{{path: /**, require: {{groups: [staff]}}}}]}}\n"
        ));
        let answers = house.answers(&get("/x").bearer(&house.token(&groups)));
        for (way, answer) in &answers {
            assert_eq!(answer.header("remote-groups"), Some(want), "{way}");
        }
        let dropped = if defaults.is_empty() { answers.len() } else { 0 };
        assert!(house.metrics().contains(&format!("postern_dropped_groups_total {dropped}\n")), "{}", house.metrics());
    }
}

#[test]
fn i7_unusual_subjects_are_refused() {
    let house = house();
    for sub in [
        json!(""),
        json!(" "),
        json!(" alice"),
        json!("alice "),
        json!("ali\nce"),
        json!(7),
        json!(["alice"]),
        json!({}),
        json!(null),
        json!(true),
    ] {
        let reason = house.reason(&get("/x").bearer(&house.token(&json!({"sub": sub}))));
        assert_eq!(reason, "token_claims", "{sub}");
    }
    for (email, sent) in [("a@corp.test", true), ("a@corp.test@evil.test", false), ("corp.test", false)] {
        let answer = house.answer(&get("/x").bearer(&house.token(&json!({"email": email}))));
        assert_eq!(answer.header("remote-email").is_some(), sent, "{email}");
    }
}

#[test]
fn i8_a_clients_certificate_header_proves_nobody() {
    let house = house();
    for (name, value) in [
        ("X-Forwarded-Client-Cert", "By=spiffe://a;Hash=00;Subject=\"CN=root\";URI=spiffe://corp.test/root"),
        ("X-SSL-Client-DN", "CN=root"),
        ("SSL-Client-Verify", "SUCCESS"),
    ] {
        assert_eq!(house.reason(&get("/x").header(name, value)), "credential_missing", "{name}");
    }
}

#[test]
fn i9_no_answer_repeats_a_credential() {
    let house = house();
    let token = house.token(&json!({}));
    for ask in [
        get("/x").bearer(&token),
        get("/x").header("Cookie", &format!("session={token}")),
        get("/x").bearer(&format!("{token}x")),
        get("/public/x").bearer(&token),
    ] {
        for way in &crate::proxy::asked::WAYS {
            let question = (way.ask)(&ask.client());
            let response = house.runtime.block_on(super::authorize(&house.engine, way.dialect, &question));
            let said = format!("{response:?}");
            let signature = token.rsplit('.').next().expect("a signature");
            assert!(!said.contains(signature), "{}: {said}", way.name);
        }
    }
}
