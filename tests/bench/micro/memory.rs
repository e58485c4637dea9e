//! Memory that policies and tokens take. It is the resident size of a process that holds nothing else, read from the
//! kernel, since that is what an operator pays for.

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
    let output = Command::new(std::env::current_exe()?).args([RESIDENT, what, &number.to_string()]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>()? * 1024.0)
}

/// The other side: hold it, and print the kibibytes.
pub(crate) fn print(what: &str, number: usize) -> Result<ExitCode> {
    match what {
        "routes" => {
            let snapshot = policy::snapshot(Size::routes(number))?;
            println!("{}", kibibytes()?);
            drop(snapshot);
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
