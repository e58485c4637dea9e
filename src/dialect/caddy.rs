//! Caddy's `forward_auth`.
//!
//! Caddy writes all five attributes over whatever the client sent. Behind `trusted_proxies` it takes the host and the
//! scheme from its peer instead, while it still serves the site that `Host` names; so the two must agree here.

use http::request::Parts;

use super::forwarded::{self, READS};
use super::forwarding::Forwarding;
use super::refuse;
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::{Attributes, Refusal};

pub(super) const FORWARDING: Forwarding<5> = Forwarding { reads: READS, writes: &["x-forwarded-client-port"] };

/// The check was sent to the host `own`.
pub(super) fn decode<'w>(parts: &'w Parts, own: &str) -> Result<Attributes<'w>, Refusal> {
    let attributes = forwarded::decode(Dialect::Caddy, &FORWARDING, parts)?;
    if attributes.host != own {
        return Err(refuse(Dialect::Caddy, Reason::AttributeConflict, "x-forwarded-host differs from host"));
    }
    Ok(attributes)
}
