//! The audit log: one line of JSON for every decision.

mod json;
pub mod line;
