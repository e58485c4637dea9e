//! Nanoseconds per operation.

use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;

use crate::operation::ALL;
use crate::operation::Work;

/// One round takes about as long: short enough to fall between two things that others do.
const ROUND: Duration = Duration::from_millis(4);

/// The best of so many rounds counts: everything that disturbs a round makes it longer.
const ROUNDS: usize = 40;

/// Print the time of every operation whose name holds `only`.
pub(crate) fn all(only: &str) -> Result<ExitCode> {
    println!("{:<24} {:>12}", "operation", "ns");
    for operation in ALL.iter().filter(|operation| operation.name.contains(only)) {
        println!("{:<24} {:>12.1}", operation.name, best(&mut (operation.prepare)()?));
    }
    Ok(ExitCode::SUCCESS)
}

/// Nanoseconds of one operation in the best round.
fn best(work: &mut Work) -> f64 {
    best_of(work, ROUNDS)
}

/// The same of several that are to be compared: a round of each in turn, so that what slows the machine for a while
/// slows them all.
pub(crate) fn best_of_each(works: &mut [Work]) -> Vec<f64> {
    let mut least = vec![f64::MAX; works.len()];
    for _ in 0..ROUNDS {
        for (work, least) in works.iter_mut().zip(&mut least) {
            *least = least.min(best_of(work, 1));
        }
    }
    least
}

fn best_of(work: &mut Work, rounds: usize) -> f64 {
    let mut times = 64;
    while round(work, times) < ROUND {
        times *= 2;
    }
    let rounds = (0..rounds).map(|_| round(work, times));
    rounds.min().unwrap_or_default().as_nanos() as f64 / times as f64
}

fn round(work: &mut Work, times: usize) -> Duration {
    let begin = Instant::now();
    for _ in 0..times {
        work();
    }
    begin.elapsed()
}
