//! The only place that prints: data to stdout, talk to stderr. Texts bring their own line ends. What is read from a
//! person or a pipe comes in here, too.

use std::io;
use std::io::IsTerminal;
use std::io::Read;
use std::io::Write;

use anyhow::Context;
use anyhow::ensure;

use crate::model::secret::Secret;

/// The longest secret that is read, in octets.
const MAX_SECRET: u64 = 4096;

/// What was asked for. A reader that went away, as `head` does, is no error of ours.
pub fn out(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What a person should know.
pub fn err(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// A failure and its causes, in one line.
pub fn failure(error: &anyhow::Error) {
    err(&format!("error: {error:#}\n"));
}

/// May talk be coloured? Only for a person at a terminal.
pub fn may_colour() -> bool {
    io::stderr().is_terminal()
}

/// A secret from stdin: its one line, without the end of the line.
pub fn secret_line() -> anyhow::Result<Secret<String>> {
    let mut read = Vec::new();
    io::stdin().lock().take(MAX_SECRET + 1).read_to_end(&mut read).context("cannot read stdin")?;
    let octets = Secret::new(read);
    let text = std::str::from_utf8(octets.expose()).ok().context("stdin is not UTF-8 text")?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    ensure!(!line.is_empty(), "stdin is empty");
    ensure!(text.len() as u64 <= MAX_SECRET, "stdin holds more than a secret");
    ensure!(!line.contains('\n'), "stdin holds more than one line");
    Ok(Secret::new(line.to_owned()))
}
