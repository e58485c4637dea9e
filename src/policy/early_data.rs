//! TLS early data (RFC 8470): a request that an attacker may have recorded and played again.

use crate::model::request::Request;

/// Must this request come again once the handshake is done? `Early-Data` says that a hop before us took it early;
/// copies and odd values mean the same as `1` (§5.1). Safe methods (RFC 9110 §9.2.1) may pass: they change nothing.
pub fn must_come_again(request: &Request<'_>) -> bool {
    !matches!(request.method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
        && request.headers.all("early-data").next().is_some()
}
