//! `postern check`: is this policy sound?

use std::path::Path;
use std::path::PathBuf;

use crate::cli::load::LoadedPolicy;
use crate::cli::print;
use crate::config::load::Machine;
use crate::config::load::World;
use crate::config::schema::json_schema;

/// Read a policy and report every problem in it
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 sound, 2 errors in it, secrets that everybody may read, or wrong arguments.")]
pub struct Check {
    /// The policy: a file, or a folder of files [env: POSTERN_CONFIG] [default: /etc/postern/postern.yaml]
    #[arg(value_name = "PATH")]
    policy: Option<PathBuf>,
    /// The same, as other commands take it
    #[arg(long, short, value_name = "PATH", conflicts_with = "policy")]
    config: Option<PathBuf>,
    /// Print JSON: a list of problems with severity, file, line, column, key, message and help
    #[arg(long)]
    json: bool,
    /// Treat warnings as errors
    #[arg(long)]
    deny_warnings: bool,
    /// Print the JSON Schema of the policy language instead, for editors
    #[arg(long, conflicts_with_all = ["policy", "config", "json", "deny_warnings"])]
    schema: bool,
}

impl Check {
    /// Check, and say by the exit status whether the policy is sound.
    pub fn run(&self) -> anyhow::Result<u8> {
        if self.schema {
            print::out(&format!("{:#}\n", json_schema()));
            return Ok(0);
        }
        let path = &self.path(&Machine);
        let Some(policy) = LoadedPolicy::load(path, &Machine, self.json) else {
            return Ok(crate::cli::INVALID);
        };
        let exposed = policy.warnings.problems().0.iter().filter(|problem| problem.fails_check).count();
        let failed = exposed > 0 || self.deny_warnings && !policy.no_warnings();
        if self.json {
            print::out(&format!("{:#}\n", policy.warnings.json()));
        } else {
            if !policy.no_warnings() {
                print::err(&policy.warnings.text(print::may_colour()));
            }
            if exposed > 0 {
                print::err(
                    "error: a secret that every user may read fails the check; `postern serve` starts with it\n",
                );
            }
            if !failed {
                print::out(&summary(&policy, path));
            }
        }
        Ok(if failed { crate::cli::INVALID } else { 0 })
    }

    /// Here the environment is the last to be asked: a policy that is named is the one that is checked.
    fn path(&self, world: &dyn World) -> PathBuf {
        let named = self.policy.clone().or_else(|| self.config.clone());
        let configured = || world.env(crate::cli::CONFIG_VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from);
        named.or_else(configured).unwrap_or_else(|| crate::cli::DEFAULT_CONFIG.into())
    }
}

fn summary(policy: &LoadedPolicy, path: &Path) -> String {
    let hosts = policy.snapshot.policy.hosts.iter().count();
    let routes: usize = policy.snapshot.policy.hosts.iter().map(|block| block.routes.iter().count()).sum();
    let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
    format!(
        "{}: good ({}, {}, {}; digest {})\n",
        path.display(),
        count(hosts, "host"),
        count(routes, "route"),
        count(policy.snapshot.keys.len(), "token issuer"),
        policy.snapshot.digest.get(..12).unwrap_or(&policy.snapshot.digest),
    )
}
