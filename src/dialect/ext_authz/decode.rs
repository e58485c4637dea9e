//! `CheckRequest` to `Attributes`.

use std::collections::HashSet;

use super::check::{Address, Check, Http, Source};
use crate::dialect::forwarding::{Collected, Forwarding, Standing, elements};
use crate::model::dialect::Dialect;
use crate::model::header::has_capitals;
use crate::model::reason::Reason;
use crate::model::request::{Attributes, Refusal, Scheme, StatedAddress, StatedCertificate};

/// Read the message itself. Octets that are no message are a refusal like any other.
pub fn read(message: &[u8]) -> Result<Check<'_>, Refusal> {
    Check::read(message).map_err(|error| refuse(Reason::MessageMalformed, error.to_string()))
}

/// Read the attributes of one check.
pub fn decode<'w>(check: &Check<'w>) -> Result<Attributes<'w>, Refusal> {
    let http = check.http.as_ref().ok_or_else(|| refuse(Reason::MessageMalformed, "no attributes.request.http"))?;
    let method = required("method", http.method)?;
    let host = required("host", http.host)?;
    let target = required("path", http.path)?;
    // Envoy leaves both empty and keeps everything in `path`; a value here would be a second target.
    if !http.query.is_empty() || !http.fragment.is_empty() {
        return Err(refuse(Reason::AttributeConflict, "query or fragment beside path"));
    }
    let Collected { headers, forwarded_for, ignored, capitals: _ } = collect(http)?;
    let source = check.source.as_ref();
    Ok(Attributes {
        dialect: Dialect::ExtAuthz,
        method,
        scheme: Scheme::parse(http.scheme),
        host,
        target,
        address: StatedAddress { peer: source.and_then(peer), forwarded_for },
        certificate: source.map(certificate).unwrap_or_default(),
        headers,
        ignored_forwarding: ignored,
    })
}

/// Envoy adds its peer to `X-Forwarded-For`, and writes the other two itself.
pub(in crate::dialect) const FORWARDING: Forwarding<1> =
    Forwarding { reads: ["x-forwarded-for"], writes: &["x-forwarded-proto", "x-envoy-external-address"] };

fn required<'w>(name: &str, value: &'w str) -> Result<&'w str, Refusal> {
    if value.is_empty() { Err(refuse(Reason::AttributeMissing, name)) } else { Ok(value) }
}

/// The TCP peer; a pipe has no address.
fn peer<'w>(source: &Source<'w>) -> Option<&'w str> {
    match source.address {
        Address::Socket(address) => Some(address).filter(|address| !address.is_empty()),
        Address::Pipe | Address::None => None,
    }
}

/// What Envoy says of the client certificate; an empty text is none.
fn certificate<'w>(source: &Source<'w>) -> StatedCertificate<'w> {
    StatedCertificate {
        pem: Some(source.certificate).filter(|pem| !pem.is_empty()),
        principal: Some(source.principal).filter(|principal| !principal.is_empty()),
    }
}

/// The header fields from whichever of the two lists Envoy was told to send.
fn collect<'w>(http: &Http<'w>) -> Result<Collected<'w>, Refusal> {
    match &http.header_map {
        None => {
            let mut collected = Collected::new(true, http.headers.len());
            for (name, value) in &http.headers {
                add(http, &mut collected, name, value)?;
            }
            if collected.capitals
                && let Some(name) = two_spellings(&http.headers)
            {
                return Err(refuse(Reason::AttributeConflict, format!("{name} in two spellings")));
            }
            Ok(collected)
        }
        Some(map) if http.headers.is_empty() => {
            let mut collected = Collected::new(false, map.len());
            for field in map {
                let octets = if field.raw.is_empty() { field.value.as_bytes() } else { field.raw };
                add(http, &mut collected, field.key.as_bytes(), octets)?;
            }
            Ok(collected)
        }
        Some(_) => Err(refuse(Reason::AttributeConflict, "headers beside header_map")),
    }
}

/// A name that a map has twice, in capitals and without. A map has no order, so nobody knows which of the two values
/// comes first; and Envoy, which writes small letters only, never sends one.
fn two_spellings(headers: &[(&[u8], &[u8])]) -> Option<String> {
    let mut seen = HashSet::with_capacity(headers.len());
    let double = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).find(|name| !seen.insert(name.clone()));
    double.map(|name| String::from_utf8_lossy(&name).into_owned())
}

fn add<'w>(http: &Http<'_>, collected: &mut Collected<'w>, name: &'w [u8], value: &'w [u8]) -> Result<(), Refusal> {
    if name.first() == Some(&b':') || name.eq_ignore_ascii_case(b"host") {
        return agree(http, name, value);
    }
    match FORWARDING.standing(name) {
        Standing::Attribute(_) => {
            collected.capitals |= has_capitals(name);
            collected.forwarded_for.extend(elements(value));
        }
        Standing::Alias(of) => return Err(refuse(Reason::ForwardingAlias, format!("an alias of {of}"))),
        Standing::Ignored => {
            collected.ignored += 1;
            collected.capitals |= collected.headers.push_octets(name, value);
        }
        Standing::Client => collected.capitals |= collected.headers.push_octets(name, value),
    }
    Ok(())
}

/// A pseudo header, or `host`, repeats a field of the message; it must not contradict it.
fn agree(http: &Http<'_>, name: &[u8], value: &[u8]) -> Result<(), Refusal> {
    let stated = match name {
        b":method" => http.method,
        b":path" => http.path,
        b":scheme" | b":protocol" => return Ok(()),
        _ if name == b":authority" || name.eq_ignore_ascii_case(b"host") => http.host,
        _ => return Err(refuse(Reason::AttributeConflict, "an unknown pseudo header")),
    };
    if stated.as_bytes() == value {
        Ok(())
    } else {
        let name = String::from_utf8_lossy(name);
        Err(refuse(Reason::AttributeConflict, format!("{name} differs from its field")))
    }
}

fn refuse(reason: Reason, detail: impl Into<String>) -> Refusal {
    crate::dialect::refuse(Dialect::ExtAuthz, reason, detail)
}
