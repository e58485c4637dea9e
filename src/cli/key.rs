//! `postern key`: API keys and what they need, without a database: a file of hashed lines.

mod file;
mod hash_password;
mod line;
mod list;
mod new;
mod pepper;
mod revoke;
mod verify;

use std::path::PathBuf;

use clap::Args;
use clap::Subcommand;

use crate::authn::api_key::KeyHasher;
use crate::cli::print;
use crate::config::load;
use crate::config::load::World;
use crate::config::tree::SecretRef;

/// Make, list, check and revoke API keys, and hash passwords
#[derive(Args, Debug)]
#[command(
    after_help = "Exit status: 0 done, 1 it could not be, 2 a bad key file or wrong arguments, 3 not a good key."
)]
pub struct Key {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(new::New),
    List(list::List),
    Verify(verify::Verify),
    Revoke(revoke::Revoke),
    Pepper(pepper::Pepper),
    HashPassword(hash_password::HashPassword),
}

impl Key {
    /// Do it, and say by the exit status how it went.
    pub fn run(&self) -> anyhow::Result<u8> {
        match &self.verb {
            Verb::New(verb) => verb.run(),
            Verb::List(verb) => verb.run(),
            Verb::Verify(verb) => verb.run(),
            Verb::Revoke(verb) => verb.run(),
            Verb::Pepper(verb) => verb.run(),
            Verb::HashPassword(verb) => verb.run(),
        }
    }
}

/// The key file, as every verb takes it.
#[derive(Args, Clone, Debug)]
struct FileArgs {
    /// The key file that the policy names
    #[arg(long, short, value_name = "PATH")]
    file: PathBuf,
}

/// The pepper, as the policy names it.
#[derive(Args, Clone, Debug)]
struct PepperArgs {
    /// The file that holds the pepper
    #[arg(long, value_name = "PATH", conflicts_with = "pepper_env")]
    pepper_file: Option<String>,
    /// The environment variable that holds the pepper
    #[arg(long, value_name = "NAME")]
    pepper_env: Option<String>,
}

impl PepperArgs {
    /// What hashes keys. `None` when the pepper is bad, which has been said then.
    fn hasher(&self, world: &dyn World) -> Option<KeyHasher> {
        if self.pepper_file.is_none() && self.pepper_env.is_none() {
            return Some(KeyHasher::plain());
        }
        let reference = SecretRef::named(self.pepper_file.as_deref(), self.pepper_env.as_deref(), "the command line");
        let hasher = load::secret(&reference, world)
            .map_err(|problem| problem.message)
            .and_then(|pepper| KeyHasher::peppered(&pepper).map_err(|error| error.to_string()));
        hasher.map_err(|message| print::err(&format!("error: {message}\n"))).ok()
    }
}
