//! `postern audit`: what can be done with the log of decisions.

mod pseudonym;
mod verify;

use clap::Args;
use clap::Subcommand;

/// Verify the audit log, and find people in it
#[derive(Args, Debug)]
pub struct Audit {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Verify(verify::Verify),
    Pseudonym(pseudonym::Pseudonym),
}

impl Audit {
    /// Do it, and say by the exit status how it went.
    pub fn run(&self) -> anyhow::Result<u8> {
        match &self.verb {
            Verb::Verify(verb) => verb.run(),
            Verb::Pseudonym(verb) => verb.run(),
        }
    }
}
