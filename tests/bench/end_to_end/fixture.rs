//! The world of the measurement: an issuer and its tokens, policies of any size, and questions with the answers that are right.
//!
//! Team N may see `/api/team-N/**`. One question in five is another team's, and must be refused: a server that allows
//! everybody is found out.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

/// How many different callers there are, unless a row needs more.
pub(crate) const CALLERS: usize = 1000;
pub(crate) const ISSUER: &str = "https://idp.bench.test/realms/main";
pub(crate) const AUDIENCE: &str = "app";
const KEY: &str = "bench-1";

/// A question to ask, and the right answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) host: String,
    pub(crate) path: String,
    pub(crate) token: String,
    /// The client.
    pub(crate) address: String,
    /// Whom the application is to be told of; `None`: 403.
    pub(crate) allowed: Option<String>,
}

/// How large a policy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scale {
    pub(crate) routes: usize,
    /// Routes are dealt out over so many hosts, the same number to each.
    pub(crate) hosts: usize,
    /// `token_cache`, where it is not the default.
    pub(crate) token_cache: Option<usize>,
    /// A line of every answer is kept, chained or not.
    pub(crate) audit: Option<Chained>,
    /// The port of a Redis that counts everybody on the first host, and refuses them when it is away.
    pub(crate) redis: Option<u16>,
}

/// Does each line of the audit log name the one before it?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chained {
    No,
    Yes,
}

impl Scale {
    pub(crate) fn routes(routes: usize) -> Scale {
        Scale { routes, hosts: 1, token_cache: None, audit: None, redis: None }
    }

    /// Write policy and key set into `folder`.
    pub(crate) fn write(self, issuer: &Issuer, folder: &Path) -> anyhow::Result<()> {
        fs::write(folder.join("jwks.json"), issuer.jwks())?;
        fs::write(folder.join("policy.yaml"), self.policy(folder)?)?;
        Ok(())
    }

    fn policy(self, folder: &Path) -> anyhow::Result<String> {
        let audit = self.audit.map_or(String::new(), |chained| {
            let path = folder.join("audit.jsonl");
            format!("audit: {{path: '{}', chain: {}}}\n", path.display(), chained == Chained::Yes)
        });
        let limits = self.redis.map_or(String::new(), |port| {
            format!("limits: {{redis: {{address: 'redis://127.0.0.1:{port}', when_down: refuse}}}}\n")
        });
        let cache = self.token_cache.map_or(String::new(), |tokens| format!("      token_cache: {tokens}\n"));
        let mut policy = format!(
            "version: 1\n{audit}{limits}\
             identity:\n  people:\n    jwt:\n      issuer: {ISSUER}\n      audience: {AUDIENCE}\n      jwks_file: jwks.json\n\
             \x20     claims: {{user: preferred_username, groups: groups}}\n{cache}\
             networks:\n  inside: [10.0.0.0/8, 127.0.0.0/8]\n\
             defaults:\n  identity: [people]\n  network: [inside]\n\
             hosts:\n"
        );
        for host in 0..self.hosts {
            writeln!(policy, "  {}:", self.host(host))?;
            if host == 0 && self.redis.is_some() {
                // So much that nobody is ever over it.
                policy.push_str("    limit: {per: subject, rate: 1000000/s}\n");
            }
            policy.push_str("    routes:\n");
            for route in (host..self.routes).step_by(self.hosts) {
                let team = team(route);
                writeln!(policy, "      - {{path: /api/{team}/**, require: {{groups: [{team}]}}}}")?;
            }
        }
        policy.push_str("...\n");
        Ok(policy)
    }

    /// One question for each caller; their routes are spread over the whole table.
    pub(crate) fn questions(self, issuer: &Issuer, callers: usize) -> anyhow::Result<Vec<Question>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let question = |caller: usize| {
            // Prime, so that callers are spread over routes and hosts of any number.
            let route = caller * 7919 % self.routes;
            let own = caller % 5 != 4;
            // Another route on the same host.
            let asked = if own { route } else { (route + self.hosts) % self.routes };
            let user = format!("user{caller:06}");
            Ok(Question {
                host: self.host(asked % self.hosts),
                path: format!("/api/{}/items/{caller}?page=2&sort=name", team(asked)),
                token: issuer.token(caller, &user, &team(route), now)?,
                address: format!("10.{}.{}.7", caller / 250 % 250, caller % 250),
                allowed: own.then_some(user),
            })
        };
        (0..callers).map(question).collect()
    }

    fn host(self, number: usize) -> String {
        if self.hosts == 1 { "app.bench.test".to_owned() } else { format!("app-{number:05}.bench.test") }
    }
}

/// The name of a group, and of what it may see.
pub(crate) fn team(route: usize) -> String {
    format!("team-{route:06}")
}

/// Signs RS256 with a key of 2048 bits.
pub(crate) struct Issuer {
    key: RsaKeyPair,
}

impl Issuer {
    pub(crate) fn new() -> anyhow::Result<Issuer> {
        Ok(Issuer { key: RsaKeyPair::generate(KeySize::Rsa2048).ok().context("an RSA key")? })
    }

    pub(crate) fn jwks(&self) -> String {
        let public = self.key.public_key();
        let number = |octets: &[u8]| URL_SAFE_NO_PAD.encode(octets);
        let modulus = number(public.modulus().big_endian_without_leading_zero());
        let exponent = number(public.exponent().big_endian_without_leading_zero());
        json!({"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY, "n": modulus, "e": exponent}]})
            .to_string()
    }

    /// About 900 octets, as an identity provider writes them.
    fn token(&self, caller: usize, user: &str, team: &str, now: u64) -> anyhow::Result<String> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": KEY});
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": format!("5f0c2e7a-91d4-4c7b-8b1e-{caller:012x}"),
            "iat": now, "nbf": now, "exp": now + 6 * 3600, "jti": format!("{:032x}", caller * 65_537 + 1),
            "sid": format!("3d6f1b52-7c08-4a19-9f64-{caller:012x}"), "azp": AUDIENCE, "acr": "1",
            "preferred_username": user, "name": format!("Bench Caller {caller}"),
            "email": format!("{user}@bench.test"), "email_verified": true,
            "groups": ["everyone", "staff", team, "vpn-users"], "scope": "openid profile email",
        });
        let part = |value: &serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let mut signature = vec![0; self.key.public_modulus_len()];
        let done = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature);
        done.ok().context("a signature")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
