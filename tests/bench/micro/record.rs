//! The recorded counts, and what became dearer since.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;

use anyhow::Context;
use anyhow::Result;
use anyhow::ensure;

use crate::count;
use crate::operation::ALL;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/micro/instructions.txt");

/// By how much a count may differ: compilers and standard libraries change, and hash tables are seeded at random.
const TOLERANCE: f64 = 0.15;

/// What accepts the counts as they are now.
const ACCEPT: &str = "POSTERN_BLESS=1 cargo bench --bench micro --profile count -- --count";

/// Count everything and compare it with the record; with `POSTERN_BLESS=1` write the record instead.
pub(crate) fn judge() -> Result<ExitCode> {
    let program = std::env::current_exe()?;
    ensure!(
        program.components().any(|part| part.as_os_str() == "count"),
        "the record is of the profile `count`, and this is another one: {ACCEPT}"
    );
    let bless = std::env::var_os("POSTERN_BLESS").is_some_and(|value| value == "1");
    let recorded = if bless { BTreeMap::new() } else { recorded()? };
    let mut counted = Vec::new();
    let mut dearer = Vec::new();
    println!("{:<24} {:>12} {:>12} {:>8}", "operation", "recorded", "counted", "change");
    for operation in &ALL {
        let now = count::instructions(operation)?;
        counted.push((operation.name, now));
        let Some(before) = recorded.get(operation.name) else {
            println!("{:<24} {:>12} {now:>12} {:>8}", operation.name, "-", "new");
            dearer.extend((!bless).then(|| format!("`{}` is not recorded: {now} instructions", operation.name)));
            continue;
        };
        let change = now as f64 / (*before).max(1) as f64 - 1.0;
        println!("{:<24} {before:>12} {now:>12} {:>+7.1}%", operation.name, change * 100.0);
        if change > TOLERANCE {
            let (name, more) = (operation.name, change * 100.0);
            dearer.push(format!("`{name}` became {more:.0} % dearer: {now} instructions instead of {before}"));
        } else if change < -TOLERANCE {
            println!("    cheaper: record it, so that it stays so: {ACCEPT}");
        }
    }
    if bless {
        std::fs::write(FILE, written(&counted)?).with_context(|| FILE.to_owned())?;
        println!("written to {FILE}");
    }
    for line in &dearer {
        println!("{line}");
    }
    if dearer.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    println!("If that is worth it, accept it: {ACCEPT}");
    Ok(ExitCode::FAILURE)
}

fn written(counted: &[(&str, u64)]) -> Result<String> {
    let mut text =
        "# Instructions per operation, as callgrind counts them in the profile `count` on x86-64.\n".to_owned();
    writeln!(text, "# {ACCEPT}")?;
    for (name, count) in counted {
        writeln!(text, "{name:<24} {count:>8}")?;
    }
    Ok(text)
}

fn recorded() -> Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(FILE).with_context(|| FILE.to_owned())?;
    let line = |line: &str| {
        let (name, count) = line.split_once(' ').with_context(|| format!("`{line}` is not a name and a count"))?;
        Ok((name.to_owned(), count.trim().parse()?))
    };
    text.lines().filter(|text| !text.starts_with('#') && !text.is_empty()).map(line).collect()
}
