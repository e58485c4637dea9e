//! What must hold whatever is sent: one function a target, each taking any octets and panicking on a finding.
//!
//! The fuzzers in `bin/` call these, and so do the tests of the main package, which feed them the corpora and what
//! proptest makes up. So the same file is compiled twice: nothing here may say `crate::`.

pub mod asked;
pub mod backend;
pub mod oracle;
pub mod strict;
pub mod world;

pub mod address;
pub mod certificate;
pub mod check_request;
pub mod credential;
pub mod dialects;
pub mod host;
pub mod http_head;
pub mod key_set;
pub mod login;
pub mod path;
pub mod pattern;
pub mod policy;
pub mod token;

/// A function that must return whatever it is given.
pub type Target = fn(&[u8]);

/// Every target by the name of its corpus.
pub const TARGETS: [(&str, Target); 13] = [
    ("address", address::run),
    ("certificate", certificate::run),
    ("check_request", check_request::run),
    ("credential", credential::run),
    ("dialects", dialects::run),
    ("host", host::run),
    ("http_head", http_head::run),
    ("key_set", key_set::run),
    ("login", login::run),
    ("path", path::run),
    ("pattern", pattern::run),
    ("policy", policy::run),
    ("token", token::run),
];
