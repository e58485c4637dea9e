//! The host a client asked for, in one canonical spelling.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use thiserror::Error;

use crate::model::header::has_capitals;

/// A canonical request host: lower case, without port and without one trailing dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'w> {
    name: Cow<'w, str>,
    port: Option<u16>,
}

/// Why a host is refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HostError {
    #[error("host is empty")]
    Empty,
    #[error("host is longer than 255 octets")]
    TooLong,
    #[error("host holds an octet outside letters, digits, `-`, `_` and `.`")]
    Octet,
    #[error("host has an empty label or one longer than 63 octets")]
    Label,
    #[error("host is not an address although it is written like one")]
    Address,
    #[error("port is not a number from 1 to 65535")]
    Port,
}

impl<'w> Host<'w> {
    /// Read the `Host` value or `:authority` of a request: `reg-name`, IPv4 or `[IPv6]`, with an optional port.
    pub fn parse(text: &'w str) -> Result<Host<'w>, HostError> {
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > 255 + ":65535".len() {
            return Err(HostError::TooLong);
        }
        if let Some(address) = text.strip_prefix('[') {
            let (inner, rest) = address.split_once(']').ok_or(HostError::Address)?;
            let address: Ipv6Addr = inner.parse().map_err(|_| HostError::Address)?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(parse_port(port)?),
                None if rest.is_empty() => None,
                None => return Err(HostError::Octet),
            };
            return Ok(Host { name: Cow::Owned(format!("[{address}]")), port });
        }
        let colon = text.bytes().position(|byte| byte == b':');
        let (name, port) = match colon.and_then(|colon| text.split_at_checked(colon)) {
            Some((name, port)) => (name, Some(parse_port(port.strip_prefix(':').unwrap_or_default())?)),
            None => (text, None),
        };
        let name = name.strip_suffix('.').unwrap_or(name);
        check_name(name)?;
        let name =
            if has_capitals(name.as_bytes()) { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
        Ok(Host { name, port })
    }

    /// The canonical name: `wiki.corp.test`, `192.0.2.1` or `[2001:db8::1]`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port the client wrote, if any.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

/// Labels of letters, digits, `-` and `_`; what ends in a number must be an IPv4 address (WHATWG's rule), so that
/// `127.1` or `0x7f.0.0.1` is never taken for a name.
fn check_name(name: &str) -> Result<(), HostError> {
    if name.is_empty() {
        return Err(HostError::Empty);
    }
    if name.len() > 255 {
        return Err(HostError::TooLong);
    }
    let mut length = 0;
    for byte in name.bytes() {
        if byte == b'.' {
            is_label(length)?;
            length = 0;
        } else if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            length += 1;
        } else {
            return Err(HostError::Octet);
        }
    }
    is_label(length)?;
    let last = name.get(name.len() - length..).unwrap_or(name);
    // All of these begin with a digit.
    if !last.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(());
    }
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .strip_prefix("0x")
            .or(last.strip_prefix("0X"))
            .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if numeric && name.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(HostError::Address);
    }
    Ok(())
}

/// RFC 1035 §2.3.4: a label has 1 to 63 octets.
fn is_label(length: usize) -> Result<(), HostError> {
    if (1..=63).contains(&length) { Ok(()) } else { Err(HostError::Label) }
}

fn parse_port(text: &str) -> Result<u16, HostError> {
    if text.is_empty() || text.len() > 5 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    match text.parse::<u16>() {
        Ok(0) | Err(_) => Err(HostError::Port),
        Ok(port) => Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h2_one_spelling_remains() {
        for (text, name, port) in [
            ("wiki.corp.test", "wiki.corp.test", None),
            ("Wiki.CORP.test", "wiki.corp.test", None),
            ("wiki.corp.test.", "wiki.corp.test", None),
            ("wiki.corp.test:8443", "wiki.corp.test", Some(8443)),
            ("wiki.corp.test.:443", "wiki.corp.test", Some(443)),
            ("my_host", "my_host", None),
            ("localhost:3000", "localhost", Some(3000)),
            ("192.0.2.1", "192.0.2.1", None),
            ("192.0.2.1:80", "192.0.2.1", Some(80)),
            ("[2001:DB8::0:1]:443", "[2001:db8::1]", Some(443)),
            ("xn--bcher-kva.test", "xn--bcher-kva.test", None),
            ("1password.test", "1password.test", None),
        ] {
            let host = Host::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((host.name(), host.port()), (name, port), "{text}");
        }
    }

    #[test]
    fn h3_everything_else_is_refused() {
        for text in [
            "",
            ".",
            "..",
            "a..b",
            "h..",
            ".h",
            "h:",
            "h:0",
            "h:65536",
            "h:80:80",
            "h:+80",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a@b",
            "u:p@h",
            "a,b",
            "a\\b",
            "bücher.test",
            "a%2eb",
            "*.a",
            "[::1",
            "[::1]x",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "[v1.x]",
            "::1",
            "127.1",
            "0x7f.0.0.1",
            "1.2.3.4.5",
            "010.0.0.1",
            "2130706433",
            "a\0",
            "a\n",
        ] {
            assert!(Host::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Host::parse(&"a".repeat(64)), Err(HostError::Label));
        assert_eq!(Host::parse(&"a.".repeat(200)), Err(HostError::TooLong));
    }
}
