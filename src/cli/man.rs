//! `postern man`: the manual pages, made from the very words of `--help`.

use std::path::PathBuf;

use anyhow::Context;
use clap_mangen::Man as Page;

use crate::cli::command;
use crate::cli::print;

/// Print the manual page, or write one of each command
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  postern man --out /usr/local/share/man/man1")]
pub struct Man {
    /// Write postern.1, postern-serve.1 and so on into this folder, which must exist
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Man {
    /// Print or write them.
    pub fn run(&self) -> anyhow::Result<u8> {
        match &self.out {
            Some(folder) => clap_mangen::generate_to(command(), folder)
                .with_context(|| format!("cannot write manual pages into `{}`", folder.display()))?,
            None => {
                let mut page = Vec::new();
                Page::new(command()).render(&mut page)?;
                print::out(&String::from_utf8(page)?);
            }
        }
        Ok(0)
    }
}
