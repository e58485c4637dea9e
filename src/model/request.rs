//! The request as the proxy described it, and its one canonical form.

use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::model::host::Host;
use crate::model::path::Path;
use crate::model::reason::Reason;

/// The scheme the client used towards the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    /// Read `http` or `https`, any case.
    pub fn parse(text: &str) -> Option<Scheme> {
        if text.eq_ignore_ascii_case("https") {
            Some(Scheme::Https)
        } else if text.eq_ignore_ascii_case("http") {
            Some(Scheme::Http)
        } else {
            None
        }
    }

    /// `http` or `https`.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port that goes without saying.
    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A URL as somebody wrote it, only split and never normalised: scheme, authority, and target (path and query).
/// `None`: it has no `://`.
pub fn split_url(text: &str) -> Option<(&str, &str, String)> {
    let (scheme, rest) = text.split_once("://")?;
    let (host, target) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let target = if target.starts_with('?') { format!("/{target}") } else { target.to_owned() };
    Some((scheme, host, target))
}

/// What the proxy stated about the client's address, before any rule of ours is applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatedAddress<'w> {
    /// The proxy's own word on its peer (Envoy's `source.address`, nginx's `$remote_addr`, `X-Real-IP`):
    /// exactly one address, or nothing.
    pub peer: Option<&'w str>,
    /// The values of `X-Forwarded-For` in order, where the dialect carries one.
    pub forwarded_for: Vec<&'w str>,
}

/// What the proxy stated about the client certificate of the connection, as attributes; headers aside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StatedCertificate<'w> {
    /// The leaf as PEM with percent escapes (Envoy's `source.certificate`).
    pub pem: Option<&'w str>,
    /// Envoy's `source.principal`: the first URI name of the certificate, else its first DNS name, else its subject.
    pub principal: Option<&'w str>,
}

/// One check as a dialect read it from the wire: nothing judged yet but presence and conflict.
#[derive(Clone, Debug)]
pub struct Attributes<'w> {
    pub dialect: Dialect,
    /// The client's method, as sent.
    pub method: &'w str,
    /// The client's scheme, where the dialect says.
    pub scheme: Option<Scheme>,
    /// The client's Host or `:authority`, as sent.
    pub host: &'w str,
    /// The client's request target, as sent: path and query.
    pub target: &'w str,
    pub address: StatedAddress<'w>,
    pub certificate: StatedCertificate<'w>,
    /// The client's header fields, without those the dialect consumed as attributes.
    pub headers: Headers<'w>,
    /// How many forwarding header fields were present that this dialect does not read; ignored, only counted.
    pub ignored_forwarding: u32,
}

/// A check that could not be read: refused and recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub dialect: Dialect,
    pub reason: Reason,
    /// For our own log, never for the client.
    pub detail: String,
}

/// The canonical request: built once, used for matching, logging and limits alike.
#[derive(Clone, Debug)]
pub struct Request<'w> {
    pub dialect: Dialect,
    pub method: &'w str,
    pub scheme: Option<Scheme>,
    pub host: Host<'w>,
    pub path: Path<'w>,
    /// The raw target as the client sent it, proven to hold octets 0x21–0x7E only.
    pub target: &'w str,
    pub address: StatedAddress<'w>,
    pub certificate: StatedCertificate<'w>,
    pub headers: Headers<'w>,
}

impl<'w> Request<'w> {
    /// Canonicalise, or say why this cannot be judged.
    pub fn parse(attributes: Attributes<'w>) -> Result<Request<'w>, Refusal> {
        let dialect = attributes.dialect;
        let refuse = |reason, detail: String| Refusal { dialect, reason, detail };
        if !is_method(attributes.method) {
            return Err(refuse(Reason::BadMethod, format!("method {:?}", attributes.method)));
        }
        let host = Host::parse(attributes.host).map_err(|error| refuse(Reason::BadHost, error.to_string()))?;
        let path = Path::parse(attributes.target).map_err(|error| refuse(Reason::BadTarget, error.to_string()))?;
        Ok(Request {
            dialect,
            method: attributes.method,
            scheme: attributes.scheme,
            host,
            path,
            target: attributes.target,
            address: attributes.address,
            certificate: attributes.certificate,
            headers: attributes.headers,
        })
    }

    /// The port the client named, or the one its scheme implies.
    pub fn port(&self) -> Option<u16> {
        self.host.port().or_else(|| self.scheme.map(Scheme::default_port))
    }
}

/// RFC 9110 token, and upper case where it has letters: `get` is not a method (H8).
pub fn is_method(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"-_!#$%&'*+.^`|~".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h8_methods_are_upper_case_tokens() {
        for (method, good) in [
            ("GET", true),
            ("PROPFIND", true),
            ("M-SEARCH", true),
            ("get", false),
            ("Get", false),
            ("", false),
            ("GET ", false),
            ("GE\u{0}T", false),
            ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false),
        ] {
            assert_eq!(is_method(method), good, "{method:?}");
        }
    }
}
