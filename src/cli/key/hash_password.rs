//! `postern key hash-password`: the line of a password, for a file of users.

use anyhow::Context;
use anyhow::ensure;
use serde_json::json;

use crate::authn::api_key::PREFIX;
use crate::authn::api_key::looks_like_key;
use crate::authn::basic::PasswordHash;
use crate::cli::print;

/// The shortest password (NIST SP 800-63B-4 §3.1.1.2 asks for more where it is the only factor; that is up to you).
const MIN: usize = 8;
/// What `Authorization: Basic` still carries with a user name beside it.
const MAX: usize = 512;

/// Read a password from stdin, and print its argon2id hash
#[derive(Debug, clap::Args)]
pub(super) struct HashPassword {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl HashPassword {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let password = print::secret_line()?;
        let text = password.expose();
        ensure!((MIN..=MAX).contains(&text.len()), "a password has {MIN} to {MAX} octets");
        ensure!(!text.contains(char::is_control), "a password holds no control characters");
        ensure!(!looks_like_key(text), "a password does not begin with `{PREFIX}`: that is how API keys begin");
        let hash = PasswordHash::new(&password).context("the system gives no random numbers")?.to_string();
        print::out(&match self.json {
            true => format!("{:#}\n", json!({"hash": hash})),
            false => format!("{hash}\n"),
        });
        Ok(0)
    }
}
