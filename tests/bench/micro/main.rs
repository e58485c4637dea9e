//! What the stations of a decision cost, one by one, and how that grows with the policy.
//!
//! - `cargo bench --bench micro` prints nanoseconds per operation.
//! - `cargo bench --bench micro --profile count -- --count` counts instructions under valgrind and compares them with
//!   `instructions.txt`. Instructions are the same on a busy machine, so this can judge a change where no clock can.
//! - `cargo bench --bench micro -- --plot docs/performance` measures how the cost grows, judges it by the targets and
//!   draws it.
//!
//! Why a harness of our own: gungraun (once iai-callgrind) counts in the same way, but needs a runner of exactly its own
//! version, which every clean clone would have to build first (160,000 lines of dependencies) to do what `count.rs` does
//! in one call of valgrind. And the very same operations are also timed and plotted here.

#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a measurement reads the clock and prints")]

mod chart;
mod check;
mod count;
mod growth;
mod memory;
mod operation;
mod policy;
mod record;
mod scene;
mod time;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::Result;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<ExitCode> {
    // `cargo bench` adds a `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => time::all(""),
        [only] if !only.starts_with('-') => time::all(only),
        ["--count"] => record::judge(),
        ["--scale"] => growth::measure(None),
        ["--plot", folder] => growth::measure(Some(Path::new(folder))),
        [count::MEASURED, name] => count::measured(name),
        [memory::RESIDENT, what, number] => memory::print(what, number.parse().context("a number")?),
        _ => anyhow::bail!("usage: [NAME | --count | --scale | --plot FOLDER]"),
    }
}
