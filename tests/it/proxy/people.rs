//! Who asks in the scenarios, and with what in hand. A header of a scenario names a token in braces: `Bearer {alice}`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::token::{Issuer, now, unsigned};

/// What must reach the application about a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) user: &'static str,
    pub(crate) groups: &'static str,
    pub(crate) email: &'static str,
    pub(crate) name: &'static str,
}

impl Person {
    /// The four identity headers.
    pub(crate) fn headers(&self) -> [(&'static str, &'static str); 4] {
        [
            ("remote-user", self.user),
            ("remote-groups", self.groups),
            ("remote-email", self.email),
            ("remote-name", self.name),
        ]
    }
}

/// An ordinary member of staff.
pub(crate) const ALICE: Person =
    Person { user: "alice", groups: "staff,devs", email: "alice@example.test", name: "Alice Archer" };
/// In the group that is the role `admin`, and in no other.
pub(crate) const ADA: Person =
    Person { user: "ada", groups: "it-admins", email: "ada@example.test", name: "Ada Abbott" };

/// Every token a scenario may name, signed by one issuer.
pub(crate) struct Tokens {
    issuer: Issuer,
    tokens: BTreeMap<&'static str, String>,
}

impl Tokens {
    pub(crate) fn mint() -> Tokens {
        let issuer = Issuer::new("key-1");
        let stranger = Issuer::new("key-1");
        let now = now();
        let alice = claims(&ALICE, now);
        let with = |changes: &Value| {
            let mut claims = alice.clone();
            let (claims_of, changes) = (claims.as_object_mut(), changes.as_object());
            claims_of.expect("an object").extend(changes.expect("an object").clone());
            claims
        };
        let header = |changes: &Value| {
            let mut header = json!({"alg": "ES256", "typ": "JWT", "kid": "key-1"});
            header.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
            header
        };
        let bob = Person { user: "bob", groups: "guests", email: "bob@example.test", name: "Bob Baker" };
        let tokens = BTreeMap::from([
            ("alice", issuer.sign(&alice)),
            ("ada", issuer.sign(&claims(&ADA, now))),
            ("bob", issuer.sign(&claims(&bob, now))),
            ("expired", issuer.sign(&with(&json!({"exp": now - 600, "iat": now - 1200})))),
            ("too early", issuer.sign(&with(&json!({"nbf": now + 600})))),
            ("audience", issuer.sign(&with(&json!({"aud": "another-app"})))),
            ("issuer", issuer.sign(&with(&json!({"iss": "https://elsewhere.example.test"})))),
            ("kid", issuer.sign_with_header(&header(&json!({"kid": "key-2"})), &alice)),
            ("none", format!("{}.", unsigned(&header(&json!({"alg": "none"})), &alice))),
            ("hs256", issuer.sign_with_header(&header(&json!({"alg": "HS256"})), &alice)),
            ("signature", stranger.sign(&alice)),
        ]);
        Tokens { issuer, tokens }
    }

    /// The issuer's key set, as it publishes it.
    pub(crate) fn jwks(&self) -> String {
        self.issuer.jwks()
    }

    /// `{name}` replaced by that token.
    pub(crate) fn fill(&self, template: &str) -> String {
        let Some((before, rest)) = template.split_once('{') else { return template.to_owned() };
        let (name, after) = rest.split_once('}').unwrap_or_else(|| panic!("no closing brace in {template:?}"));
        let token = self.tokens.get(name).unwrap_or_else(|| panic!("no token is called {name:?}"));
        format!("{before}{token}{}", self.fill(after))
    }
}

fn claims(person: &Person, now: i64) -> Value {
    json!({
        "iss": "https://sso.example.test",
        "aud": "app",
        "sub": format!("id-of-{}", person.user),
        "iat": now - 60,
        "exp": now + 3600,
        "preferred_username": person.user,
        "groups": person.groups.split(',').collect::<Vec<_>>(),
        "email": person.email,
        "email_verified": true,
        "name": person.name,
    })
}
