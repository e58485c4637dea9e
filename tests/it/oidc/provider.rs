//! A running provider, and what a client asks of it.

use std::process::Command;

use aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
use aws_lc_rs::signature::EcdsaKeyPair;
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use url::form_urlencoded;

use super::parts;
use crate::proxy::client;
use crate::proxy::ports;
use crate::proxy::process::Process;

/// What access tokens of ours are for, by their form.
pub(crate) const SIGNED: &str = "https://api.test/jwt";
pub(crate) const OPAQUE: &str = "https://api.test/opaque";

/// A provider that ends with its guard.
pub(crate) struct Provider {
    port: u16,
    process: Process,
    /// The private key of its client `postern-key`, as PEM.
    pub(crate) client_key: String,
    _folder: TempDir,
}

impl Provider {
    /// Start it, unless it may be done without.
    pub(crate) fn start() -> Option<Provider> {
        let (node, scripts) = parts::find()?;
        let (client_key, client_jwk) = client_key();
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let port = ports::free();
        let mut command = Command::new(node);
        command.arg(scripts.join("provider.mjs")).args([port.to_string(), client_jwk]).current_dir(folder.path());
        let process = Process::start("the OpenID provider", &mut command, &folder.path().join("log"));
        let mut provider = Provider { port, process, client_key, _folder: folder };
        let discovery =
            "GET /.well-known/openid-configuration HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        provider.process.wait_until("its configuration", || {
            client::send(port, discovery.as_bytes()).is_ok_and(|reply| reply.status == 200)
        });
        Some(provider)
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A token of the client `robot` for this audience, or for none (RFC 6749 §4.4, RFC 8707).
    pub(crate) fn token(&self, audience: Option<&str>) -> String {
        let mut form = vec![("grant_type", "client_credentials"), ("scope", "read")];
        form.extend(audience.map(|audience| ("resource", audience)));
        text(&self.post("/token", &form), "access_token")
    }

    /// An opaque access token and a refresh token of a user.
    pub(crate) fn tokens_of(&self, user: &str) -> (String, String) {
        let answer = self.post(&format!("/test/token?sub={user}"), &[]);
        (text(&answer, "access"), text(&answer, "refresh"))
    }

    /// Revoke a token of the client `robot` (RFC 7009).
    pub(crate) fn revoke(&self, token: &str) {
        self.post("/token/revocation", &[("token", token)]);
    }

    /// Sign with a new key from now on; `keep` publishing the old ones.
    pub(crate) fn rotate(&self, keep: bool) {
        self.post(&format!("/test/rotate?keep={keep}"), &[]);
    }

    /// End it without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// POST a form as the client `robot`.
    fn post(&self, path: &str, form: &[(&str, &str)]) -> Value {
        let form: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nConnection: close\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.port,
            STANDARD.encode("robot:robot-secret"),
            form.len()
        );
        let reply = client::send(self.port, request.as_bytes()).expect("an answer of the provider");
        assert_eq!(reply.status, 200, "{path}: {reply:?}\n{}", self.process.log());
        if reply.body.is_empty() { Value::Null } else { serde_json::from_str(&reply.body).expect("JSON") }
    }
}

fn text(answer: &Value, member: &str) -> String {
    answer[member].as_str().unwrap_or_else(|| panic!("no `{member}`: {answer}")).to_owned()
}

/// A fresh key: the private half as PEM, the public half as JWK.
fn client_key() -> (String, String) {
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a P-256 key");
    let der = key.to_pkcs8v1().expect("DER");
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    // An uncompressed point: 4, then 32 octets each of x and y.
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let jwk = json!({
        "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "c1",
        "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y),
    });
    (pem, jwk.to_string())
}
