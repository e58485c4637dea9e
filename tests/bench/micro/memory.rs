//! Memory that policies and tokens take: the resident size of a process that holds nothing else, as the kernel states
//! it. What is freed is given back at once, so that only what is held counts, not what building it took.

use std::process::Command;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;

use crate::policy;
use crate::policy::Size;
use crate::scene::Scene;

/// The argument by which the program is told to hold something and to print its size.
pub(crate) const RESIDENT: &str = "--resident";

/// Octets that a process takes which holds so many of `routes` or `tokens`.
pub(crate) fn resident(what: &str, number: usize) -> Result<f64> {
    let mut other = Command::new(std::env::current_exe()?);
    let output = other.env("MIMALLOC_PURGE_DELAY", "0").args([RESIDENT, what, &number.to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>()? * 1024.0)
}

/// The other side: hold it, and print the kibibytes.
pub(crate) fn print(what: &str, number: usize) -> Result<ExitCode> {
    match what {
        "routes" => {
            // What `serve` keeps: the snapshot, and the text it was read from.
            let loaded = policy::loaded(&policy::text(Size::routes(number))?)?;
            let snapshot = policy::built(&loaded)?;
            drop(loaded.config);
            println!("{}", kibibytes()?);
            drop((snapshot, loaded.files));
        }
        "tokens" => {
            let size = Size { tokens: 200_000, ..Size::routes(10) };
            let snapshot = policy::snapshot(size)?;
            Scene::verify(size, &snapshot, number)?;
            println!("{}", kibibytes()?);
        }
        _ => bail!("`{what}` is neither `routes` nor `tokens`"),
    }
    Ok(ExitCode::SUCCESS)
}

fn kibibytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("the kernel states no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
