//! The nouns every room speaks: pure data and the strict parsers that build it. Imports nothing of ours.

pub mod admin;
pub mod caller;
pub mod claim;
pub mod claim_path;
pub mod client_ip;
pub mod decision;
pub mod dialect;
pub mod header;
pub mod host;
pub mod identity;
pub mod introspection_status;
pub mod key_status;
pub mod key_use;
pub mod listen;
pub mod network;
pub mod path;
pub mod problem;
pub mod reason;
pub mod record;
pub mod reload;
pub mod replay;
pub mod request;
pub mod response;
pub mod secret;
pub mod status;
pub mod trace;
