//! Envoy's `ext_authz` over gRPC, version 3.
//!
//! The status of a `CheckResponse` alone decides: 0, the default, allows. Denials are made in one place that sets both
//! a status and a `denied_response`.

mod check;
mod decode;
mod encode;
mod wire;

pub use check::Check;
pub(super) use decode::FORWARDING;
pub use decode::{decode, read};
pub use encode::{encode, failure};

pub use proto::envoy::service::auth::v3::authorization_client;
pub use proto::envoy::service::auth::v3::authorization_server;
pub use proto::envoy::service::auth::v3::{CheckRequest, CheckResponse};

/// The messages, generated from `proto/`.
#[expect(clippy::allow_attributes, reason = "the generator writes it so")]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/ext_authz_v3.rs"));
}

#[cfg(test)]
mod tests;
