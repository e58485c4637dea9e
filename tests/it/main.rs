//! Everything that needs more than one room of the house, in one binary.

#![expect(clippy::disallowed_methods, reason = "tests read files, the environment and the clock as they need")]

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod blessed;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod server;
#[cfg(test)]
mod token;
