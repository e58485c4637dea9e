//! Loading a policy for a command, and saying what is wrong with it.

use std::path::Path;

use crate::cli::print;
use crate::config::load::Loaded;
use crate::config::load::World;
use crate::config::load::load;
use crate::config::report::Report;
use crate::config::report::draw;
use crate::engine::example;
use crate::model::problem::Place;
use crate::model::problem::Problems;
use crate::snapshot;
use crate::snapshot::Snapshot;

/// A policy that was read and built.
#[derive(Debug)]
pub struct LoadedPolicy {
    pub loaded: Loaded,
    pub snapshot: Snapshot,
    /// What works but deserves a look; warnings of the load included.
    pub warnings: Report,
}

impl LoadedPolicy {
    /// Read and build, and try the examples in its routes; or say everything that is wrong.
    pub fn read(path: &Path, world: &dyn World) -> Result<LoadedPolicy, Report> {
        let policy = LoadedPolicy::read_untried(path, world)?;
        let failures = example::prove(&policy.snapshot);
        if failures.has_errors() { Err(policy.loaded.report(failures)) } else { Ok(policy) }
    }

    /// Read and build, for a command that tries the examples itself.
    pub fn read_untried(path: &Path, world: &dyn World) -> Result<LoadedPolicy, Report> {
        let loaded = load(path, world).map_err(|refused| snapshot::judge(refused, world))?;
        match snapshot::build(&loaded, world) {
            Ok((snapshot, warnings)) => {
                let warnings = loaded.report(warnings);
                Ok(LoadedPolicy { loaded, snapshot, warnings })
            }
            Err(problems) => Err(loaded.report(problems)),
        }
    }

    /// Like [`LoadedPolicy::read`], for commands that need a policy: a bad one is reported and gives `None`.
    pub fn load(path: &Path, world: &dyn World, json: bool) -> Option<LoadedPolicy> {
        match LoadedPolicy::read(path, world) {
            Ok(policy) => Some(policy),
            Err(report) => {
                match json {
                    true => print::out(&format!("{:#}\n", report.json())),
                    false => print::err(&report.text(print::may_colour())),
                }
                None
            }
        }
    }

    /// Nothing to report.
    pub fn no_warnings(&self) -> bool {
        self.warnings.problems() == &Problems::default()
    }

    /// The line of a place as it is written, with what it is about underlined.
    pub fn snippet(&self, place: &Place) -> String {
        draw::snippet(place, &self.loaded.files)
    }
}
