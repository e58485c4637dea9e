//! Everything that needs more than one room of the house, in one binary.

#![expect(clippy::disallowed_methods, reason = "tests read files, the environment and the clock as they need")]

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod bench;
#[cfg(test)]
mod blessed;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod differential;
#[cfg(test)]
mod docs;
#[cfg(test)]
#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the fuzzers have them from a package of their own")]
mod fuzz;
#[cfg(test)]
mod fuzz_corpus;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod oidc;
#[cfg(test)]
mod otlp;
#[cfg(test)]
mod property;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod recipes;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod rows;
#[cfg(test)]
mod server;
#[cfg(test)]
mod service;
#[cfg(test)]
mod soak;
#[cfg(test)]
mod token;
