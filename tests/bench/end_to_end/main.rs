//! The whole server from outside, beside servers that decide nothing. One command, one table:
//!
//! `cargo bench --bench end_to_end [-- --quick] [-- --only grpc-100]`
//!
//! Server and load are processes of their own, each on its own processor; servers are measured by turns in the same
//! minutes, and every answer is compared with the right one. What counts is the processor time that the server used for
//! an answer, by the scheduler's own count: requests in a second and tails tell more about the machine than about us.
//! Ratios are of means over rounds. When rounds disagree, nothing is claimed.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    clippy::indexing_slicing,
    reason = "a measurement reads the clock and the system, prints, and may stop"
)]

mod compare;
mod fixture;
mod floor;
mod load;
mod measure;
mod message;
mod report;
mod row;
mod server;

use std::io::stdout;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::compare::Verdict;
use crate::floor::Floor;
use crate::load::Load;
use crate::report::Line;
use crate::row::ROWS;
use crate::server::Bench;
use crate::server::Manner;

/// The allocator of the policy server, for the floor.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser, Debug)]
#[command(name = "end_to_end")]
struct Arguments {
    #[command(subcommand)]
    role: Option<Role>,
    /// Short rounds, and two of them: to see that everything works
    #[arg(long)]
    quick: bool,
    /// Only these rows
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Name the rows
    #[arg(long)]
    list: bool,
    /// How often each side of a comparison is measured [default: 5]
    #[arg(long)]
    rounds: Option<usize>,
    /// How long each time [default: 3]
    #[arg(long)]
    seconds: Option<f64>,
    /// Claim nothing when the largest of the rounds is so many percent above the smallest
    #[arg(long, default_value_t = 15.0, value_name = "PERCENT")]
    noise: f64,
    /// Measure this binary, for example of another commit
    #[arg(long, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_postern"))]
    postern: PathBuf,
    /// Where the server runs, and where the load [default: the first two]
    #[arg(long, value_name = "NUMBER,NUMBER", value_delimiter = ',')]
    processors: Vec<usize>,
    /// Go ahead of all other work on this machine; only root may
    #[arg(long)]
    first: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Cargo says it to every bench
    #[arg(long, hide = true)]
    bench: bool,
}

/// What the processes that the bench starts do.
#[derive(Subcommand, Debug)]
enum Role {
    #[command(hide = true)]
    Floor {
        kind: Floor,
        #[arg(long)]
        listen: SocketAddr,
    },
    #[command(hide = true)]
    Load(Load),
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.role {
        Some(Role::Floor { kind, listen }) => floor::run(*kind, *listen).map(|()| ExitCode::SUCCESS),
        Some(Role::Load(load)) => {
            println!("{}", serde_json::to_string(&load.run()?)?);
            Ok(ExitCode::SUCCESS)
        }
        None if arguments.list => {
            for row in ROWS {
                println!("{:14} {}", row.name, row.about);
            }
            Ok(ExitCode::SUCCESS)
        }
        None => arguments.measure(),
    }
}

impl Arguments {
    fn measure(&self) -> anyhow::Result<ExitCode> {
        if let Some(unknown) = self.only.iter().find(|name| ROWS.iter().all(|row| row.name != **name)) {
            anyhow::bail!("there is no row `{unknown}`; --list names them");
        }
        let (rounds, seconds, warm_up, tries) = if self.quick { (2, 1.0, 0.3, 2) } else { (5, 3.0, 0.5, 3) };
        let manner = Manner {
            rounds: self.rounds.unwrap_or(rounds),
            seconds: self.seconds.unwrap_or(seconds),
            warm_up,
            tries: self.rounds.unwrap_or(tries),
            noise: self.noise / 100.0,
            first: self.first,
            postern: self.postern.clone(),
        };
        let bench = Bench::new(manner, &self.processors)?;
        if cfg!(debug_assertions) {
            eprintln!("NOT OPTIMISED: the figures mean nothing");
        }
        eprintln!(
            "{} rounds of {} s, server on processor {}, load on {}",
            bench.manner.rounds, bench.manner.seconds, bench.processors.server, bench.processors.load
        );

        let mut lines = Vec::new();
        let mut broken = false;
        for row in ROWS.iter().filter(|row| self.only.is_empty() || self.only.iter().any(|name| name == row.name)) {
            eprintln!("{}: {} ...", row.name, row.about);
            lines.extend((row.run)(&bench, row.name).unwrap_or_else(|error| {
                broken = true;
                vec![Line::not_run(row.name, row.about, format!("BROKEN: {error:#}"))]
            }));
        }
        if self.json {
            println!("{}", serde_json::to_string_pretty(&lines)?);
        } else {
            report::print(&lines, &mut stdout())?;
        }
        let failed = broken || lines.iter().any(|line| line.verdict == Verdict::Fail);
        Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
