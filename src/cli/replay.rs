//! `postern replay`: what would another policy have said to the requests of a log?

mod render;
mod tally;

use std::path::PathBuf;

use anyhow::bail;
use clap::ValueEnum;

use crate::audit::replay::Recorded;
use crate::audit::replay::RecordedError;
use crate::cli::load::LoadedPolicy;
use crate::cli::log::Log;
use crate::cli::print;
use crate::cli::replay::tally::Change;
use crate::cli::replay::tally::Tally;
use crate::config::load::Machine;
use crate::engine::replay::Replayed;
use crate::engine::replay::replay;
use crate::policy::trace::Silent;
use crate::snapshot::Snapshot;

/// Judge the requests of an audit log again, by another policy, and show only what would change
///
/// The log must have been written with `audit.replay: true`, in the native format. Each request is judged as it was, at the
/// time it was, with the caller as the identity sources found them then. Where the policy looks at something that a line
/// does not say, nothing is guessed: it is counted as something that cannot be told.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 within what --max-flips and --forbid say, 3 past it, 2 a bad policy or wrong arguments, \
1 a log that cannot be read or holds nothing to judge.

Examples:
  postern replay --log /var/log/postern/audit*.jsonl --policy new/
  zcat audit.jsonl.gz | postern replay --log - --policy new.yaml --forbid deny-to-allow --max-flips 10"
)]
pub struct Replay {
    /// The policy to try: a file, or a folder of files
    #[arg(long, short = 'c', visible_alias = "config", env = crate::cli::CONFIG_VARIABLE, hide_env_values = true, value_name = "PATH", default_value = crate::cli::DEFAULT_CONFIG)]
    policy: PathBuf,
    /// Files of the log, plain or packed by gzip or zstd; `-` is stdin
    #[arg(long, required = true, num_args = 1.., value_name = "FILE")]
    log: Vec<PathBuf>,
    /// Fail when more decisions than these would be others
    #[arg(long, value_name = "NUMBER")]
    max_flips: Option<u64>,
    /// Fail when there is any of these
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    forbid: Vec<Forbidden>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Forbidden {
    /// Somebody is let in who was not
    DenyToAllow,
    /// Somebody is kept out who was not
    AllowToDeny,
    /// Something cannot be told
    Unknown,
}

impl Replay {
    /// Judge, and say by the exit status whether the changes are within bounds.
    pub fn run(&self) -> anyhow::Result<u8> {
        let Some(policy) = LoadedPolicy::load(&self.policy, &Machine, self.json) else {
            return Ok(crate::cli::INVALID);
        };
        let mut log = Log::open(&self.log)?;
        let mut tally = Tally::default();
        while let Some(line) = log.next()? {
            let spot = format!("{}:{}", line.file, line.number);
            judge(&policy.snapshot, &line.text, &spot, &mut tally);
            log.show(|| format!("{} flips", tally.flips()));
        }
        log.end();
        if tally.decisions == 0 {
            bail!("{}", nothing(&tally));
        }
        let broken = self.broken(&tally);
        print::out(&match self.json {
            true => format!("{:#}\n", render::json(&tally, &broken)),
            false => render::text(&tally, &broken),
        });
        Ok(if broken.is_empty() { 0 } else { crate::cli::DENIED })
    }

    /// Which of the bounds are passed.
    fn broken(&self, tally: &Tally) -> Vec<String> {
        let mut broken = Vec::new();
        if let Some(most) = self.max_flips.filter(|most| tally.flips() > *most) {
            broken.push(format!("{} flips, and at most {most} are allowed", tally.flips()));
        }
        for forbidden in &self.forbid {
            let (number, what) = match forbidden {
                Forbidden::DenyToAllow => (tally.of(Change::DenyToAllow), "from deny to allow"),
                Forbidden::AllowToDeny => (tally.of(Change::AllowToDeny), "from allow to deny"),
                Forbidden::Unknown => (tally.unknown(), "that cannot be told"),
            };
            if number > 0 {
                broken.push(format!("{number} {what}, and none is allowed"));
            }
        }
        broken
    }
}

/// One line.
fn judge(snapshot: &Snapshot, line: &str, spot: &str, tally: &mut Tally) {
    let recorded = match Recorded::read(line) {
        Ok(recorded) => recorded,
        Err(RecordedError::NoDecision) => return tally.other_lines += 1,
        Err(RecordedError::NotKept) => return tally.not_kept += 1,
        Err(error) => return tally.malformed(format!("{spot}: {:#}", anyhow::Error::from(error))),
    };
    match replay(snapshot, &recorded, &mut Silent) {
        Replayed::Unread => tally.unread(),
        Replayed::Unknown(lacking) => tally.cannot_tell(lacking),
        Replayed::Walked(walked) => tally.told(&recorded, &walked, spot),
    }
}

/// Why there was nothing to judge, and what helps.
fn nothing(tally: &Tally) -> String {
    if tally.not_kept > 0 {
        format!("{} decisions, and none was written with `audit: {{replay: true}}`", tally.not_kept)
    } else if tally.malformed > 0 {
        "no line is a decision of ours; a log in the format `ocsf` or `cef` cannot be judged again".to_owned()
    } else {
        "the log holds no decision".to_owned()
    }
}
