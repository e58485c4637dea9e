//! `postern completions`: what a shell needs to finish our words.

use clap_complete::Shell;

use crate::cli::command;
use crate::cli::print;

/// Print what a shell needs to complete commands and options
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  postern completions bash > /etc/bash_completion.d/postern
  postern completions zsh > \"${fpath[1]}/_postern\"
  postern completions fish > ~/.config/fish/completions/postern.fish")]
pub struct Completions {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    /// Print them.
    pub fn run(&self) -> anyhow::Result<u8> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "postern", &mut script);
        print::out(&String::from_utf8(script)?);
        Ok(0)
    }
}
