//! `postern health`: is an instance well? For containers that check it by a command.

use serde::Deserialize;

use crate::cli::FAILED;
use crate::cli::admin::Instance;
use crate::cli::print;

/// Say whether a running instance is ready, by the exit status
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 it is, 1 it is not or nobody answers, 2 wrong arguments.

Example:
  HEALTHCHECK CMD [\"postern\", \"health\", \"--live\"]")]
pub struct Health {
    #[command(flatten)]
    instance: Instance,
    /// Only whether it answers at all: for whoever restarts what is not well
    #[arg(long)]
    live: bool,
}

#[derive(Deserialize)]
struct Readiness {
    reasons: Vec<String>,
}

impl Health {
    /// Ask, and say so.
    pub fn run(&self) -> anyhow::Result<u8> {
        let (status, body) = self.instance.get(if self.live { "/livez" } else { "/readyz" })?;
        if status.is_success() {
            print::out(if self.live { "live\n" } else { "ready\n" });
            return Ok(0);
        }
        let reasons = serde_json::from_slice::<Readiness>(&body).map(|read| read.reasons).unwrap_or_default();
        let reasons = if reasons.is_empty() { status.to_string() } else { reasons.join("; ") };
        print::out(&format!("not ready: {reasons}\n"));
        Ok(FAILED)
    }
}
