//! The ingress-nginx controller's `auth-url`.
//!
//! Scheme, host and target come as one absolute URL, put together from raw parts: it is taken apart at the same seams
//! and not normalised. The controller writes the host the client sent into it; the check's own `Host` is ours.

use http::request::Parts;

use super::forwarded::Fields;
use super::forwarding::{Collected, Forwarding};
use super::refuse;
use crate::model::dialect::Dialect;
use crate::model::reason::Reason;
use crate::model::request::{Attributes, Refusal, Scheme, StatedAddress, StatedCertificate};

const URL: &str = "x-original-url";
const METHOD: &str = "x-original-method";
const ADDRESS: &str = "x-real-ip";

pub(super) const FORWARDING: Forwarding<3> =
    Forwarding { reads: [URL, METHOD, ADDRESS], writes: &["x-forwarded-for", "x-forwarded-proto", "x-original-uri"] };

pub(super) fn decode(parts: &Parts) -> Result<Attributes<'_>, Refusal> {
    let fields = Fields::collect(Dialect::IngressNginx, &FORWARDING, &parts.headers)?;
    let method = fields.required(METHOD, Reason::BadMethod)?;
    let (scheme, host, target) = split(fields.required(URL, Reason::BadTarget)?)?;
    let address = StatedAddress { peer: fields.optional(ADDRESS), forwarded_for: Vec::new() };
    let Collected { headers, ignored, .. } = fields.rest;
    Ok(Attributes {
        dialect: Dialect::IngressNginx,
        method,
        scheme: Some(scheme),
        host,
        target,
        address,
        headers,
        certificate: StatedCertificate::default(),
        ignored_forwarding: ignored,
    })
}

/// `scheme://host/target`, cut at the first `://` and at the first octet that ends an authority.
fn split(url: &str) -> Result<(Scheme, &str, &str), Refusal> {
    let refuse = |reason, detail| refuse(Dialect::IngressNginx, reason, detail);
    let (scheme, rest) = url.split_once("://").ok_or_else(|| refuse(Reason::BadTarget, "no absolute url"))?;
    let scheme =
        Scheme::parse(scheme).ok_or_else(|| refuse(Reason::BadTarget, "a scheme that is not http or https"))?;
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if host.is_empty() {
        return Err(refuse(Reason::AttributeMissing, "host"));
    }
    if host.contains('@') {
        return Err(refuse(Reason::BadHost, "user information in the url"));
    }
    if target.is_empty() {
        return Err(refuse(Reason::AttributeMissing, "path"));
    }
    // A client can put `?` or `#` into its Host; the target would then start inside it.
    if !target.starts_with('/') {
        return Err(refuse(Reason::BadTarget, "the url's path does not start with a slash"));
    }
    Ok((scheme, host, target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_cut_and_not_normalised() {
        for (url, want) in [
            ("https://a.test/x?y=1", Ok((Scheme::Https, "a.test", "/x?y=1"))),
            (
                "http://A.test:8080//x/../%2e?rd=http://b.test/",
                Ok((Scheme::Http, "A.test:8080", "//x/../%2e?rd=http://b.test/")),
            ),
            ("https://[::1]:8443/", Ok((Scheme::Https, "[::1]:8443", "/"))),
            ("https://a.test/x@y", Ok((Scheme::Https, "a.test", "/x@y"))),
            ("https://a.test", Err(Reason::AttributeMissing)),
            ("https:///x", Err(Reason::AttributeMissing)),
            ("https://u@a.test/x", Err(Reason::BadHost)),
            ("https://a.test?/x", Err(Reason::BadTarget)),
            ("https://a.test#/x", Err(Reason::BadTarget)),
            ("https://a.test\\x/", Err(Reason::BadTarget)),
            ("ftp://a.test/x", Err(Reason::BadTarget)),
            ("//a.test/x", Err(Reason::BadTarget)),
            ("/x", Err(Reason::BadTarget)),
        ] {
            assert_eq!(split(url).map_err(|refusal| refusal.reason), want, "{url}");
        }
    }
}
