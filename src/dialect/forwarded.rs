//! What the HTTP dialects share in reading: collecting the attribute headers of one check, and the five
//! `X-Forwarded-…` attributes that Caddy, Traefik, nginx and HAProxy have in common.

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;

use super::forwarding::{Collected, Forwarding, Standing, elements};
use super::refuse;
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::{Attributes, Refusal, Scheme, StatedAddress, StatedCertificate};

/// The attribute headers of one check, each found at most once, and everything else.
pub(super) struct Fields<'w, const N: usize> {
    dialect: Dialect,
    forwarding: &'static Forwarding<N>,
    found: [Option<&'w HeaderValue>; N],
    pub(super) rest: Collected<'w>,
}

impl<'w, const N: usize> Fields<'w, N> {
    /// Collect them, refusing copies and aliases of what the dialect reads.
    pub(super) fn collect(
        dialect: Dialect,
        forwarding: &'static Forwarding<N>,
        headers: &'w HeaderMap,
    ) -> Result<Fields<'w, N>, Refusal> {
        let joined = matches!(dialect, Dialect::EnvoyHttp);
        let mut fields = Fields { dialect, forwarding, found: [None; N], rest: Collected::new(joined, headers.len()) };
        for (name, value) in headers {
            let text = name.as_str();
            match forwarding.standing(text.as_bytes()) {
                Standing::Attribute(place) => fields.attribute(place, text, value)?,
                Standing::Alias(of) => {
                    return Err(refuse(dialect, Reason::ForwardingAlias, format!("an alias of {of}")));
                }
                Standing::Ignored => {
                    fields.rest.ignored += 1;
                    fields.rest.headers.push_named(name, value.as_bytes());
                }
                Standing::Client if is_of_the_check(text) => {}
                Standing::Client => fields.rest.headers.push_named(name, value.as_bytes()),
            }
        }
        Ok(fields)
    }

    fn attribute(&mut self, place: usize, name: &str, value: &'w HeaderValue) -> Result<(), Refusal> {
        if name == FOR {
            elements(value.as_bytes()).for_each(|element| self.rest.forwarded_for.push(element));
            return Ok(());
        }
        match self.found.get_mut(place).map(|slot| slot.replace(value)) {
            Some(None) => Ok(()),
            Some(Some(_)) | None => Err(refuse(self.dialect, Reason::ForwardingAlias, format!("more than one {name}"))),
        }
    }

    /// An attribute that must be there; `bad` is the reason when it holds anything but visible octets.
    pub(super) fn required(&self, name: &str, bad: Reason) -> Result<&'w str, Refusal> {
        match self.value(name) {
            None | Some([]) => Err(refuse(self.dialect, Reason::AttributeMissing, name)),
            Some(octets) => {
                visible(octets).ok_or_else(|| refuse(self.dialect, bad, format!("{name} is not visible text")))
            }
        }
    }

    /// An attribute whose absence only means that it is not known.
    pub(super) fn optional(&self, name: &str) -> Option<&'w str> {
        visible(self.value(name)?).filter(|text| !text.is_empty())
    }

    fn value(&self, name: &str) -> Option<&'w [u8]> {
        let place = self.forwarding.reads.iter().position(|read| *read == name)?;
        self.found.get(place).copied().flatten().map(HeaderValue::as_bytes)
    }
}

/// Read a check that states everything in `X-Forwarded-…`.
pub(super) fn decode<'w>(
    dialect: Dialect,
    forwarding: &'static Forwarding<5>,
    parts: &'w Parts,
) -> Result<Attributes<'w>, Refusal> {
    let fields = Fields::collect(dialect, forwarding, &parts.headers)?;
    let method = fields.required(METHOD, Reason::BadMethod)?;
    let host = fields.required(HOST, Reason::BadHost)?;
    let target = fields.required(URI, Reason::BadTarget)?;
    // These proxies check with GET, or with the client's own method where they are told to keep it.
    if parts.method != http::Method::GET && parts.method.as_str() != method {
        return Err(refuse(dialect, Reason::AttributeConflict, "the check's method differs from the stated one"));
    }
    let scheme = fields.optional(PROTO).and_then(Scheme::parse);
    let Collected { headers, forwarded_for, ignored, capitals: _ } = fields.rest;
    // Whoever trusts earlier hops appends to the list, whoever does not replaces it: the last element is the proxy's.
    let peer = forwarded_for.last().copied();
    let address = StatedAddress { peer, forwarded_for };
    Ok(Attributes {
        dialect,
        method,
        scheme,
        host,
        target,
        address,
        headers,
        certificate: StatedCertificate::default(),
        ignored_forwarding: ignored,
    })
}

/// The host the check was sent to, from `Host` or `:authority`; two that differ are refused.
pub(super) fn request_host(dialect: Dialect, parts: &Parts) -> Result<Option<&str>, Refusal> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let stated = match (hosts.next(), hosts.next()) {
        (None, _) => None,
        (Some(host), None) => {
            Some(visible(host.as_bytes()).ok_or_else(|| refuse(dialect, Reason::BadHost, "host is not visible text"))?)
        }
        (Some(_), Some(_)) => return Err(refuse(dialect, Reason::AttributeConflict, "more than one host")),
    };
    match (parts.uri.authority().map(http::uri::Authority::as_str), stated) {
        (Some(authority), Some(host)) if authority != host => {
            Err(refuse(dialect, Reason::AttributeConflict, "host differs from the authority"))
        }
        (authority, host) => Ok(authority.or(host).filter(|host| !host.is_empty())),
    }
}

pub(super) const METHOD: &str = "x-forwarded-method";
pub(super) const PROTO: &str = "x-forwarded-proto";
pub(super) const HOST: &str = "x-forwarded-host";
pub(super) const URI: &str = "x-forwarded-uri";
pub(super) const FOR: &str = "x-forwarded-for";
/// The attributes of [`decode`].
pub(super) const READS: [&str; 5] = [METHOD, PROTO, HOST, URI, FOR];

/// Does a header describe the check itself, not the client's request?
fn is_of_the_check(name: &str) -> bool {
    matches!(name, "host" | "content-length" | "transfer-encoding" | "te" | "via")
}

fn visible(octets: &[u8]) -> Option<&str> {
    // Without a way out in the middle the compiler looks at many octets at a time.
    let fits = octets.iter().fold(true, |all, octet| all & (0x21..=0x7E).contains(octet));
    if fits { std::str::from_utf8(octets).ok() } else { None }
}
