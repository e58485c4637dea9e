//! The configuration: its language, and the only place that reads files and the environment.
//!
//! A path goes in at [`load`], a [`tree::Config`] comes out, or a [`report::Report`] with every mistake.

pub mod at;
pub mod htpasswd;
pub mod key_file;
pub mod load;
pub mod nearest;
pub mod read;
pub mod report;
pub mod schema;
pub mod tree;
mod yaml;
