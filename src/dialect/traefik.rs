//! Traefik's `forwardAuth`.
//!
//! `Host` is our own address here, so the site is `X-Forwarded-Host` alone. Traefik writes port, server and real
//! address as well; they say nothing new and are not read.

use http::request::Parts;

use super::forwarded::{self, READS};
use super::forwarding::Forwarding;
use crate::model::dialect::Dialect;
use crate::model::request::{Attributes, Refusal};

pub(super) const FORWARDING: Forwarding<5> =
    Forwarding { reads: READS, writes: &["x-forwarded-port", "x-forwarded-server", "x-real-ip"] };

pub(super) fn decode(parts: &Parts) -> Result<Attributes<'_>, Refusal> {
    forwarded::decode(Dialect::Traefik, &FORWARDING, parts)
}
