//! `postern key verify`: whose key is this?

use serde_json::json;

use crate::authn::api_key::KeyHash;
use crate::authn::api_key::KeyText;
use crate::cli::DENIED;
use crate::cli::INVALID;
use crate::cli::key::FileArgs;
use crate::cli::key::PepperArgs;
use crate::cli::key::file::KeyFile;
use crate::cli::print;
use crate::config::key_file;
use crate::config::load::Machine;
use crate::telemetry::clock;

/// Read a key from stdin, and say whose it is
#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    pepper: PepperArgs,
    /// Print JSON: id and owner, or the reason why it is not a good key
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let Some(hasher) = self.pepper.hasher(&Machine) else { return Ok(INVALID) };
        let Some(file) = KeyFile::read(&self.file.file, &Machine)? else { return Ok(INVALID) };
        let text = print::secret_line()?;
        let judged = KeyText::parse(text.expose()).map_err(|error| error.to_string()).and_then(|key| {
            let line = file.find(key.id).ok_or_else(|| key_file::unknown_id(key.id, &file.lines))?;
            match KeyHash::parse(&line.hash) {
                None => Err(format!("the hash of the key `{}` is none", key.id)),
                Some(hash) if hash.is_peppered() != hasher.is_peppered() => Err(format!(
                    "the key `{}` was made {} a pepper",
                    key.id,
                    if hash.is_peppered() { "with" } else { "without" }
                )),
                Some(hash) if hash != hasher.hash(&key) => {
                    Err(format!("the secret of the key `{}` is wrong, or the pepper is", key.id))
                }
                Some(_) => Ok(line),
            }
        });
        let ended = |moment: &str| key_file::parse_moment(moment).is_none_or(|end| end <= clock::now());
        let judged = judged.and_then(|line| match &line.expires {
            Some(moment) if ended(moment) => Err(format!("the key `{}` ended at {}", line.id.value, moment.value)),
            Some(_) | None => Ok(line),
        });
        match judged {
            Ok(line) => {
                let (id, owner) = (&line.id.value, &line.owner.value);
                print::out(&match self.json {
                    true => format!("{:#}\n", json!({"good": true, "id": id, "owner": owner})),
                    false => format!("{id} of {owner}\n"),
                });
                Ok(0)
            }
            Err(reason) => {
                match self.json {
                    true => print::out(&format!("{:#}\n", json!({"good": false, "reason": reason}))),
                    false => print::err(&format!("not a good key: {reason}\n")),
                }
                Ok(DENIED)
            }
        }
    }
}
