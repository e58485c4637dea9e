//! HAProxy with our Lua action, which writes the five attributes.
//!
//! An empty `Host` or the target `*` reach us as empty values and are refused as missing.

use http::request::Parts;

use super::forwarded::{self, READS};
use super::forwarding::Forwarding;
use crate::model::dialect::Dialect;
use crate::model::request::{Attributes, Refusal};

pub(super) const FORWARDING: Forwarding<5> = Forwarding { reads: READS, writes: &["x-forwarded-client-port"] };

pub(super) fn decode(parts: &Parts) -> Result<Attributes<'_>, Refusal> {
    forwarded::decode(Dialect::Haproxy, &FORWARDING, parts)
}
