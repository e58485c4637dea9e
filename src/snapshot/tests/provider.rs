//! Sources that ask a provider about opaque tokens.

use super::*;

/// A policy that has a host besides.
fn with_host(text: &str) -> String {
    format!("{text}hosts: {{h.test: {{routes: [{{path: /a, public: true}}]}}}}\n")
}

#[test]
fn sources_that_ask_providers_are_built_or_corrected() {
    let client = "client: {id: postern, secret: {file: key.txt}}";
    let introspection = |rest: &str| {
        format!("identity: {{legacy: {{introspection: {{url: https://sso.test/i, {client}, {rest}}}}}}}\n")
    };
    for good in [
        introspection(""),
        introspection("issuer: https://sso.test, jwts: true, audience: web, leeway: 0s, timeout: 500ms"),
        introspection("cache: off"),
        introspection("cache: {positive: 0s}"),
        introspection("cache: {positive: 60s, negative: 1s}, token: [{cookie: session}], claims: {user: username}"),
        "identity: {legacy: {userinfo: {url: https://sso.test/u, preset: authelia}}}\n".to_owned(),
    ] {
        assert_eq!(problems(&with_host(&good)), [""; 0], "{good}");
        let (snapshot, _) = built(&with_host(&good)).expect("a snapshot");
        let statuses = snapshot.introspection_statuses();
        let names: Vec<&str> = statuses.iter().map(|status| &*status.source).collect();
        assert_eq!(names, ["legacy"], "{good}");
    }
    let with_client = |client: &str| {
        format!("identity: {{legacy: {{introspection: {{url: https://sso.test/i, client: {{{client}}}}}}}}}\n")
    };
    let secret = "secret: {file: key.txt}";
    for (text, want) in [
        (introspection("cache: no"), "2: `no` is not how long answers are used"),
        (introspection("cache: {positive: 61s}"), "2: `61s` is not a lifetime of an answer"),
        (introspection("timeout: 10s"), "2: `10s` is not a timeout"),
        (introspection("leeway: 11m"), "2: `11m` is not a leeway"),
        (introspection("jwts: true"), "2: `jwts: true` needs to know whose signed tokens to ask about"),
        (introspection("issuer: ''"), "2: the issuer may not be empty"),
        (introspection("audience: ''"), "2: an audience may not be empty"),
        (introspection("token: [bearer, bearer]"), "2: this token place is listed twice"),
        (with_client(&format!("id: '', {secret}")), "2: the client id may not be empty"),
        (with_client("id: a"), "2: nothing proves to the provider who we are"),
        (with_client(&format!("id: a, {secret}, key: {{file: key.txt}}")), "2: `secret` and `key` both prove who we are"),
        (with_client("id: a, secret: {file: gone.txt}"), "2: the file `p/gone.txt` does not exist"),
        (with_client("id: a, key: {file: key.txt}"), "2: there is no `PRIVATE KEY` block (PKCS #8, PEM) in it"),
        (
            with_client(&format!("id: a, {secret}, method: private_key_jwt")),
            "2: `private_key_jwt` needs a `key`, not a `secret`",
        ),
        (
            with_client("id: a, key: {file: key.txt}, method: client_secret_post"),
            "2: a `key` proves who we are by `private_key_jwt` only",
        ),
        (with_client(&format!("id: a, {secret}, kid: k1")), "2: `kid` and `audience` of a client belong to a `key`"),
        (
            "identity: {legacy: {userinfo: {url: http://sso.test/u}}}\n".to_owned(),
            "2: `http://sso.test/u` is not https",
        ),
        (
            "identity: {legacy: {userinfo: {url: https://sso.test/u}, jwt: {issuer: https://sso.test, audience: a}}}\n"
                .to_owned(),
            "2: identity source `legacy` is of two kinds, `jwt` and `userinfo`",
        ),
        (
            "identity: {a: {userinfo: {url: https://sso.test/u}}, b: {userinfo: {url: https://sso.test/v}}}\ndefaults: {identity: [a, b]}\n"
                .to_owned(),
            "2: sources `a` and `b` claim the same tokens: nothing tells opaque tokens in one place apart",
        ),
        (
            "identity: {a: {userinfo: {url: https://sso.test/u, issuer: https://sso.test, jwts: true}}, b: {jwt: {issuer: https://sso.test, audience: a}}}\ndefaults: {identity: [a, b]}\n"
                .to_owned(),
            "2: sources `a` and `b` claim the same tokens: one issuer, one place",
        ),
    ] {
        assert_eq!(problems(&with_host(&text)), [want], "{text}");
    }
}

#[test]
fn a_provider_that_is_asked_counts_as_the_issuer_it_is() {
    let two = |issuer: &str| {
        format!(
            "identity:\n  people: {{jwt: {{issuer: https://sso.test, audience: app}}}}\n  legacy: {{userinfo: {{url: https://sso.test/u{issuer}}}}}\ndefaults: {{identity: [people, legacy]}}\nroles: {{ops: {{groups: [sre]}}}}\n"
        )
    };
    assert_eq!(problems(&with_host(&two(", issuer: https://sso.test"))), [""; 0]);
    let want = ["6: `sre` could come from any issuer: with two or more, say whose it is"];
    assert_eq!(problems(&with_host(&two(""))), want);
    assert_eq!(problems(&with_host(&two(", issuer: https://other.test"))), want);
}

#[test]
fn a5_insecure_urls_of_providers_are_weakening_switches() {
    let text = "identity: {a: {userinfo: {url: http://sso.test/u, insecure_url: true}}, b: {introspection: {url: http://sso.test/i, insecure_url: true, insecure_untyped: true, token: [{cookie: t}], client: {id: a, secret: {file: key.txt}}}}}\ndefaults: {identity: [a, b]}\n";
    let (snapshot, _) = built(&with_host(text)).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        snapshot.insecure,
        [
            "identity.a.userinfo.insecure_url",
            "identity.b.introspection.insecure_url",
            "identity.b.introspection.insecure_untyped"
        ]
    );
}
