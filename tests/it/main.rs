//! Everything that needs more than one room of the house, in one binary.

#![expect(clippy::disallowed_methods, reason = "tests read files, the environment and the clock as they need")]

#[cfg(test)]
mod server;
