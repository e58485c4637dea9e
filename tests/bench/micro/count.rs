//! Instructions per operation. This very program runs again under valgrind, whose callgrind counts only between the
//! first and the last line of one function, so that nothing of the preparation is in the count.

use std::process::Command;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use crate::operation::Operation;
use crate::operation::Work;

/// The argument by which the program is told that it runs under valgrind.
pub(crate) const MEASURED: &str = "--measured";

/// Operations before the count, so that every first time is over, and in it.
const BEFORE: usize = 128;
const TIMES: usize = 2048;

/// Instructions of one operation.
pub(crate) fn instructions(operation: &Operation) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*count::measured_times*"]);
    valgrind.arg(std::env::current_exe()?).args([MEASURED, operation.name]);
    let output = valgrind.output().context("valgrind does not start; `apt-get install valgrind` brings it")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` fails under valgrind:\n{said}", operation.name);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    let collected: u64 = collected.context("callgrind says no `Collected`")?.1.trim().parse()?;
    ensure!(collected > 0, "callgrind met no function `measured_times`");
    Ok(collected / TIMES as u64)
}

/// The other side: prepare an operation, and do it.
pub(crate) fn measured(name: &str) -> Result<ExitCode> {
    let mut work = (Operation::named(name)?.prepare)()?;
    for _ in 0..BEFORE {
        work();
    }
    measured_times(&mut work);
    Ok(ExitCode::SUCCESS)
}

#[inline(never)]
fn measured_times(work: &mut Work) {
    for _ in 0..TIMES {
        work();
    }
}
