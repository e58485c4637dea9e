//! `postern key revoke`: take the line of a key away.

use serde_json::json;

use crate::cli::INVALID;
use crate::cli::key::FileArgs;
use crate::cli::key::file::KeyFile;
use crate::cli::key::file::Replacement;
use crate::cli::print;
use crate::config::load::Machine;

/// Take the line of a key out of the file
#[derive(Debug, clap::Args)]
pub(super) struct Revoke {
    /// The id of the key
    #[arg(long, value_name = "ID")]
    id: String,
    #[command(flatten)]
    file: FileArgs,
    /// Print JSON: the id
    #[arg(long)]
    json: bool,
}

impl Revoke {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let path = &self.file.file;
        let replacement = Replacement::of(path)?;
        let Some(file) = KeyFile::read(path, &Machine)? else { return Ok(INVALID) };
        replacement.write(&file.without(&self.id)?)?;
        if self.json {
            print::out(&format!("{:#}\n", json!({"revoked": self.id})));
        }
        print::err(&format!(
            "The key `{}` is gone. A running server refuses it when it sees the file change, or on SIGHUP.\n",
            self.id
        ));
        Ok(0)
    }
}
