//! The listeners over real sockets, with an engine that does as it is told.

mod admin;
mod grpc;
pub(crate) mod harness;
mod http;
mod lever;
mod listener;
mod overload;
mod quota;
mod reload;
mod tls;
mod watch;
