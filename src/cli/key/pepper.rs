//! `postern key pepper`: a secret that the hashes of a key file are made with.

use anyhow::Context;
use serde_json::json;

use crate::cli::print;

/// Print a new pepper, to be kept apart from the key file
#[derive(Debug, clap::Args)]
pub(super) struct Pepper {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Pepper {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let mut octets = [0; 32];
        aws_lc_rs::rand::fill(&mut octets).ok().context("the system gives no random numbers")?;
        let text: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
        print::out(&match self.json {
            true => format!("{:#}\n", json!({"pepper": text})),
            false => format!("{text}\n"),
        });
        Ok(0)
    }
}
