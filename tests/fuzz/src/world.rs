//! The fixed world of the targets: one policy, one issuer whose key and tokens are the same in every run, one engine.

use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use postern::config::load::{Pretend, load};
use postern::engine::Engine;
use postern::model::request::{Attributes, Refusal};
use postern::model::response::Response;
use postern::snapshot::{Snapshot, build, judge};
use postern::telemetry::Telemetry;
use serde_json::{Value, json};

pub const POLICY: &str = include_str!("world.yaml");
pub const ISSUER: &str = "https://sso.test";
/// The moment the time-dependent targets play at, in seconds since 1970.
pub const NOW: i64 = 1_800_000_000;
/// As late as the policy's `max_lifetime` allows both from `NOW` and by the clock of the machine, until 2035.
const LATE: i64 = NOW + 3000 * 24 * 3600;

/// Somebody who may ask: the name, and the placeholder `{name}` that stands for the token in an input.
pub struct Person {
    pub name: &'static str,
    /// What `preferred_username` says.
    pub user: &'static str,
    pub groups: &'static [&'static str],
    pub token: String,
}

static KEY: LazyLock<Ed25519KeyPair> = LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a key"));
static OTHER_KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[8; 32]).expect("a key"));

/// Those with a sound token.
pub static PEOPLE: LazyLock<Vec<Person>> = LazyLock::new(|| {
    let person = |name, user, groups: &'static [&'static str]| Person {
        name,
        user,
        groups,
        token: sign(&header().to_string(), &claims(user, groups).to_string()),
    };
    vec![
        person("alice", "alice", &["staff"]),
        person("root", "root", &["staff", "admins"]),
        person("guest", "guest", &[]),
        person("odd", "odd", &["gr,oup", "gr\u{fc}n", "a b", "staff"]),
        person("zoe", "zo\u{eb}", &["staff"]),
    ]
});

/// Tokens that must never do: `{old}`, `{forged}`, `{unsigned}`, `{elsewhere}`.
pub static USELESS: LazyLock<Vec<(&'static str, String)>> = LazyLock::new(|| {
    let changed = |name: &str, value: Value| {
        let mut claims = claims("mallory", &["staff", "admins"]);
        claims[name] = value;
        claims.to_string()
    };
    let sound = claims("mallory", &["staff", "admins"]).to_string();
    let parts = signed(&header().to_string(), &sound);
    vec![
        ("old", sign(&header().to_string(), &changed("exp", json!(1_000_000_000)))),
        ("elsewhere", sign(&header().to_string(), &changed("aud", json!("other")))),
        ("unsigned", format!("{}.", signed(r#"{"alg":"none"}"#, &sound))),
        ("forged", format!("{parts}.{}", URL_SAFE_NO_PAD.encode(OTHER_KEY.sign(parts.as_bytes())))),
    ]
});

pub fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "k1", "typ": "JWT"})
}

pub fn claims(user: &str, groups: &[&str]) -> Value {
    json!({
        "iss": ISSUER, "aud": "web", "sub": format!("id-{}", user.len()), "exp": LATE, "preferred_username": user,
        "groups": groups, "email": format!("{user}@corp.test"), "email_verified": true, "name": "N\u{e4}me",
    })
}

fn signed(header: &str, payload: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
}

/// These very texts, signed with the issuer's key.
pub fn sign(header: &str, payload: &str) -> String {
    let signed = signed(header, payload);
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(KEY.sign(signed.as_bytes())))
}

/// The issuer's public key, raw.
pub fn public_key() -> Vec<u8> {
    KEY.public_key().as_ref().to_vec()
}

/// The issuer's key set document.
pub fn key_set() -> String {
    let x = URL_SAFE_NO_PAD.encode(public_key());
    json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "alg": "EdDSA", "use": "sig", "x": x}]}).to_string()
}

/// Put tokens in place of `{alice}`, `{old}` and so on.
pub fn substitute(octets: &[u8]) -> Vec<u8> {
    let mut written = Vec::with_capacity(octets.len());
    let mut rest = octets;
    'octets: while let Some((first, tail)) = rest.split_first() {
        if *first == b'{' {
            let people = PEOPLE.iter().map(|person| (person.name, &person.token));
            for (name, token) in people.chain(USELESS.iter().map(|(name, token)| (*name, token))) {
                if let Some(after) = tail.strip_prefix(name.as_bytes()).and_then(|rest| rest.strip_prefix(b"}")) {
                    written.extend_from_slice(token.as_bytes());
                    rest = after;
                    continue 'octets;
                }
            }
        }
        written.push(*first);
        rest = tail;
    }
    written
}

/// The pretended machine: a policy and the key set beside it.
pub fn machine(policy: &str) -> Pretend {
    Pretend::new().file("p.yaml", policy).file("keys.json", key_set())
}

/// Build a policy that is known to be good.
pub fn snapshot(policy: &str) -> Result<Snapshot, String> {
    let world = machine(policy);
    let loaded = load(Path::new("p.yaml"), &world).map_err(|refused| judge(refused, &world).text(false))?;
    match build(&loaded, &world) {
        Ok((snapshot, _)) => Ok(snapshot),
        Err(problems) => Err(loaded.report(problems).text(false)),
    }
}

/// What the fixed policy was built to.
pub static SNAPSHOT: LazyLock<Arc<Snapshot>> =
    LazyLock::new(|| Arc::new(snapshot(POLICY).unwrap_or_else(|report| panic!("{report}"))));

/// The engine that decides by it.
pub static ENGINE: LazyLock<Engine> =
    LazyLock::new(|| Engine::new(SNAPSHOT.clone(), Arc::new(Telemetry::new().expect("metrics"))));

/// Ask the engine. With a key set at hand it never waits.
pub fn authorize(attributes: Result<Attributes<'_>, Refusal>) -> Response {
    let asked = std::pin::pin!(ENGINE.authorize(attributes, None));
    match asked.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(response) => response,
        Poll::Pending => panic!("a decision with every key at hand waits"),
    }
}
