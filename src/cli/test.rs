//! `postern test`: does the policy say what it should?

mod cases;
mod coverage;
mod render;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use jiff::Timestamp;

use crate::cli::load::LoadedPolicy;
use crate::cli::print;
use crate::cli::test::cases::NoCases;
use crate::cli::test::coverage::Coverage;
use crate::config::load::Machine;
use crate::config::report::Report;
use crate::config::schema::cases_schema;
use crate::engine::example::Clocks;
use crate::engine::example::judge;
use crate::engine::example::wrong;
use crate::model::example::Example;
use crate::model::problem::Place;
use crate::policy::trace::Notes;
use crate::server::watch::Watch;
use crate::snapshot::Snapshot;
use crate::telemetry::clock;

/// How long files are left alone after a change.
const AT_REST: Duration = Duration::from_millis(50);

/// Try the examples in a policy's routes, and cases from files
///
/// A case is a request and what must become of it. It is judged by the very walk of `serve`, with the caller taken for
/// granted, so neither tokens nor a server are needed. docs/changes.md shows how cases are written.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 all pass, 3 something fails, 2 a bad policy, bad cases or wrong arguments, 1 anything else.

Example:
  postern test -c postern.yaml tests/ --coverage"
)]
pub struct Test {
    /// Files of cases, or folders of such; without any, only the policy's own examples are tried
    #[arg(value_name = "PATH")]
    files: Vec<PathBuf>,
    /// The policy: a file, or a folder of files
    #[arg(long, short, env = crate::cli::CONFIG_VARIABLE, hide_env_values = true, value_name = "PATH", default_value = crate::cli::DEFAULT_CONFIG)]
    config: PathBuf,
    /// Say, too, which routes and conditions no case exercises
    #[arg(long)]
    coverage: bool,
    /// Fail when there is such a route or condition
    #[arg(long)]
    require_coverage: bool,
    /// Name what passes, too
    #[arg(long, short)]
    verbose: bool,
    /// Write a report for build servers to this file, as JUnit does
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Try again whenever the policy or a file of cases changes, until this is ended
    #[arg(long, conflicts_with = "schema")]
    watch: bool,
    /// Print the JSON Schema of files of cases instead, for editors
    #[arg(long, conflicts_with_all = ["files", "coverage", "require_coverage", "verbose", "junit", "json"])]
    schema: bool,
}

/// One request that was tried.
#[derive(Debug)]
struct Tried {
    place: Place,
    name: Option<String>,
    /// `GET https://app.test/ as alice from 192.0.2.1`.
    request: String,
    /// What became of it.
    came_of_it: String,
    /// What is wrong with that.
    wrong: Option<String>,
}

/// What one trial has to say.
struct Ran {
    status: u8,
    out: String,
    err: String,
}

impl Test {
    /// Try everything, and say by the exit status whether all pass.
    pub fn run(&self) -> anyhow::Result<u8> {
        if self.schema {
            print::out(&format!("{:#}\n", cases_schema()));
            return Ok(0);
        }
        if self.watch {
            return self.again_and_again();
        }
        let Ran { status, out, err } = self.once()?;
        print::out(&out);
        print::err(&err);
        Ok(status)
    }

    /// Try again whenever a file changes, until somebody ends it. What is said again is not repeated.
    fn again_and_again(&self) -> anyhow::Result<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let paths: Vec<PathBuf> = self.files.iter().chain([&self.config]).cloned().collect();
        runtime.block_on(async {
            let (mut watch, mut said) = (Watch::start(), String::new());
            loop {
                watch.follow(&paths);
                watch.changed().await;
                // An editor writes more than once.
                tokio::time::sleep(AT_REST).await;
                let says = match self.once() {
                    Ok(Ran { out, err, .. }) => out + &err,
                    Err(error) => format!("error: {error:#}\n"),
                };
                if says != said {
                    print::out(&format!("-- {}\n{says}", clock::now().strftime("%H:%M:%SZ")));
                    said = says;
                }
            }
        })
    }

    fn once(&self) -> anyhow::Result<Ran> {
        let bad = |report: &Report| match self.json {
            true => Ran { status: crate::cli::INVALID, out: format!("{:#}\n", report.json()), err: String::new() },
            false => Ran { status: crate::cli::INVALID, out: String::new(), err: report.text(print::may_colour()) },
        };
        let policy = match LoadedPolicy::read_untried(&self.config, &Machine) {
            Ok(policy) => policy,
            Err(report) => return Ok(bad(&report)),
        };
        let snapshot = &policy.snapshot;
        let written = match cases::read(&self.files, snapshot, &Machine) {
            Ok(written) => written,
            Err(NoCases::Unreadable(error)) => return Err(error),
            Err(NoCases::Bad(report)) => return Ok(bad(&report)),
        };
        let (now, clocks, mut coverage) = (clock::now(), Clocks::of(snapshot), Coverage::default());
        let examples = snapshot.examples.iter().chain(&written);
        let tried: Vec<Tried> =
            examples.flat_map(|example| tried(snapshot, example, (now, &clocks), &mut coverage)).collect();
        if tried.is_empty() {
            bail!("there is nothing to try: name files of cases, or write `examples` in the policy's routes");
        }
        let gaps = (self.coverage || self.require_coverage).then(|| coverage.gaps(snapshot));
        if let Some(path) = &self.junit {
            let written = std::fs::write(path, render::junit(&tried)?);
            written.with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        let out = match self.json {
            true => format!("{:#}\n", render::json(&tried, gaps.as_ref())),
            false => render::text(&tried, gaps.as_ref(), self.verbose),
        };
        let failed = tried.iter().any(|tried| tried.wrong.is_some())
            || self.require_coverage && gaps.is_some_and(|gaps| !gaps.gaps.is_empty());
        Ok(Ran { status: if failed { crate::cli::DENIED } else { 0 }, out, err: String::new() })
    }
}

/// Every request of an example.
fn tried(
    snapshot: &Snapshot,
    example: &Example,
    (now, clocks): (Timestamp, &Clocks),
    coverage: &mut Coverage,
) -> Vec<Tried> {
    let one = |request: &crate::model::example::ExampleRequest| {
        let mut notes = Notes::default();
        let (came_of_it, wrong) = match judge(snapshot, request, now, &mut notes) {
            Ok(judged) => {
                coverage.note(&judged, &notes);
                (judged.to_string(), wrong(example, &judged))
            }
            Err(lacking) => (lacking.clone(), Some(lacking)),
        };
        let wrong = clocks.lacking(request, &notes).map(str::to_owned).or(wrong);
        let (place, name) = (example.place.clone(), example.name.clone());
        Tried { place, name, request: request.to_string(), came_of_it, wrong }
    };
    example.requests.iter().map(one).collect()
}
