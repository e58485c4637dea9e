//! `postern audit pseudonym`: what somebody is called in a log that does not name people.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;

use crate::audit::pseudonym::Naming;
use crate::audit::pseudonym::Pseudonyms;
use crate::audit::pseudonym::SHORTEST_KEY;
use crate::cli::print;
use crate::model::secret::Secret;

/// The longest file of a key.
const LONGEST_KEY: u64 = 64 * 1024;

/// Print what somebody is called in an audit log with pseudonyms
///
/// The log names nobody, but the same person is called the same wherever the same key is used. So whoever has the key can look
/// for someone they know.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  grep -F \"$(postern audit pseudonym --key-file audit.key --issuer https://sso.corp.test --subject 4f1c)\" audit.jsonl")]
pub(super) struct Pseudonym {
    /// The file of `audit.pseudonyms.key_file`
    #[arg(long, value_name = "PATH")]
    key_file: PathBuf,
    /// Who vouches for them, as lines say it in `issuer`
    #[arg(long)]
    issuer: String,
    /// The issuer's id of them: gives what stands in `subject`
    #[arg(long, required_unless_present = "user", conflicts_with = "user")]
    subject: Option<String>,
    /// Their user name: gives what stands in `user`
    #[arg(long)]
    user: Option<String>,
}

impl Pseudonym {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let mut key = Vec::new();
        let read = File::open(&self.key_file).and_then(|file| file.take(LONGEST_KEY).read_to_end(&mut key));
        read.with_context(|| format!("cannot read `{}`", self.key_file.display()))?;
        // As the policy reads a secret: a newline at its end does not belong to it.
        if key.pop_if(|octet| *octet == b'\n').is_some() {
            key.pop_if(|octet| *octet == b'\r');
        }
        let pseudonyms = Pseudonyms::new(&Secret::new(key))
            .with_context(|| format!("`{}` has fewer than {SHORTEST_KEY} octets", self.key_file.display()))?;
        let name = match (&self.subject, &self.user) {
            (Some(subject), _) => pseudonyms.of(Naming::Subject, &self.issuer, subject),
            (None, user) => pseudonyms.of(Naming::User, &self.issuer, user.as_deref().unwrap_or_default()),
        };
        print::out(&format!("{name}\n"));
        Ok(0)
    }
}
