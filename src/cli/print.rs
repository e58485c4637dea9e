//! The only place that prints: data to stdout, talk to stderr. Texts bring their own line ends.

use std::io;
use std::io::IsTerminal;
use std::io::Write;

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
