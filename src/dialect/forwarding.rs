//! Forwarding headers: which ones a dialect reads, and what every other spelling counts as.
//!
//! Proxies pass on forwarding headers they do not know, and some applications fold `_` and `.` to `-`. So a name is
//! compared by its folded form: an exact name is read, another spelling of it is refused.

use crate::model::header::Headers;

/// The forwarding headers of one dialect: those it reads, and others its proxy always writes itself.
pub(super) struct Forwarding<const N: usize> {
    pub(super) reads: [&'static str; N],
    pub(super) writes: &'static [&'static str],
}

/// What one header name is to a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The attribute at this place of `reads`.
    Attribute(usize),
    /// Another spelling of an attribute.
    Alias(&'static str),
    /// A forwarding header that is not read.
    Ignored,
    /// Any other header.
    Client,
}

impl<const N: usize> Forwarding<N> {
    /// What a header of this name is.
    #[inline]
    pub(super) fn standing(&self, name: &[u8]) -> Standing {
        if may_forward(name) { self.standing_among_forwarding(name) } else { Standing::Client }
    }

    fn standing_among_forwarding(&self, name: &[u8]) -> Standing {
        // Nearly always a proxy writes its headers the way we know them.
        if let Some(place) = self.reads.iter().position(|read| read.as_bytes() == name) {
            return Standing::Attribute(place);
        }
        if self.writes.iter().any(|written| written.as_bytes() == name) {
            return Standing::Client;
        }
        for (place, read) in self.reads.iter().enumerate() {
            if name.eq_ignore_ascii_case(read.as_bytes()) {
                return Standing::Attribute(place);
            }
            if folds_to(name, read) {
                return Standing::Alias(read);
            }
        }
        let forwards =
            NAMES.iter().any(|known| folds_to(name, known)) || FAMILIES.iter().any(|family| begins(name, family));
        if forwards && !self.writes.iter().any(|written| name.eq_ignore_ascii_case(written.as_bytes())) {
            Standing::Ignored
        } else {
            Standing::Client
        }
    }
}

/// The elements of one `X-Forwarded-For` line, in order. A line that is no text is one element that is no address.
pub(super) fn elements(value: &[u8]) -> impl Iterator<Item = &str> {
    let line = std::str::from_utf8(value).unwrap_or("?");
    let blank = line.trim_matches([' ', '\t']).is_empty();
    line.split(',').filter(move |_| !blank).map(|element| element.trim_matches([' ', '\t']))
}

/// Header fields as they are collected from the wire.
#[derive(Default)]
pub(super) struct Collected<'w> {
    pub(super) headers: Headers<'w>,
    pub(super) forwarded_for: Vec<&'w str>,
    pub(super) ignored: u32,
    /// Some name was written with capitals.
    pub(super) capitals: bool,
}

impl Collected<'_> {
    /// Room for so many headers.
    pub(super) fn new(joined: bool, fields: usize) -> Self {
        Collected { headers: Headers::with_capacity(joined, fields), ..Collected::default() }
    }
}

const NAMES: [&str; 5] =
    ["forwarded", "x-real-ip", "x-rewrite-url", "x-envoy-original-path", "x-envoy-external-address"];
const FAMILIES: [&str; 2] = ["x-forwarded-", "x-original-"];

/// Can a name be one of them at all? Their first and third letters tell for nearly every other header. Whatever a dialect
/// reads or writes itself begins like one of these, which a test holds.
fn may_forward(name: &[u8]) -> bool {
    match name {
        [b'x' | b'X', _, third, ..] => matches!(third.to_ascii_lowercase(), b'f' | b'r' | b'o' | b'e'),
        [b'f' | b'F', _, third, ..] => third.eq_ignore_ascii_case(&b'r'),
        _ => false,
    }
}

fn folds_to(name: &[u8], known: &str) -> bool {
    name.len() == known.len() && begins(name, known)
}

fn begins(name: &[u8], known: &str) -> bool {
    name.len() >= known.len() && name.iter().zip(known.as_bytes()).all(|(byte, want)| fold(*byte) == *want)
}

fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_has_its_standing() {
        let wire = Forwarding { reads: ["x-forwarded-uri", "x-forwarded-for"], writes: &["x-real-ip"] };
        for (name, want) in [
            ("x-forwarded-uri", Standing::Attribute(0)),
            ("X-Forwarded-For", Standing::Attribute(1)),
            ("x_forwarded_uri", Standing::Alias("x-forwarded-uri")),
            ("X.Forwarded-For", Standing::Alias("x-forwarded-for")),
            ("x-real-ip", Standing::Client),
            ("x_real_ip", Standing::Ignored),
            ("x-original-url", Standing::Ignored),
            ("x-original_uri", Standing::Ignored),
            ("x-forwarded-host", Standing::Ignored),
            ("x-forwarded-", Standing::Ignored),
            ("forwarded", Standing::Ignored),
            ("x-rewrite-url", Standing::Ignored),
            ("x-forwarded", Standing::Client),
            ("forwarded-by", Standing::Client),
            ("x-request-id", Standing::Client),
            ("authorization", Standing::Client),
            ("", Standing::Client),
        ] {
            assert_eq!(wire.standing(name.as_bytes()), want, "{name}");
        }
    }

    #[test]
    fn the_quick_look_passes_no_forwarding_header_by() {
        use crate::dialect::{caddy, envoy_http, ext_authz, haproxy, ingress_nginx, nginx, traefik};
        fn names<const N: usize>(of: &Forwarding<N>) -> Vec<&'static str> {
            of.reads.iter().chain(of.writes).copied().collect()
        }
        let stated = [
            names(&ext_authz::FORWARDING),
            names(&envoy_http::FORWARDING),
            names(&caddy::FORWARDING),
            names(&traefik::FORWARDING),
            names(&nginx::FORWARDING),
            names(&ingress_nginx::FORWARDING),
            names(&haproxy::FORWARDING),
            NAMES.to_vec(),
            FAMILIES.to_vec(),
        ];
        for name in stated.concat() {
            for spelling in [name.to_owned(), name.to_ascii_uppercase(), name.replace('-', "_")] {
                assert!(may_forward(spelling.as_bytes()), "{spelling}");
            }
        }
    }

    #[test]
    fn elements_keep_order_and_what_is_malformed() {
        for (line, want) in [
            ("192.0.2.1", vec!["192.0.2.1"]),
            ("6.6.6.6,7.7.7.7, 192.0.2.1", vec!["6.6.6.6", "7.7.7.7", "192.0.2.1"]),
            ("6.6.6.6,,192.0.2.1", vec!["6.6.6.6", "", "192.0.2.1"]),
            ("192.0.2.1,", vec!["192.0.2.1", ""]),
            (" ", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(elements(line.as_bytes()).collect::<Vec<_>>(), want, "{line:?}");
        }
        assert_eq!(elements(b"\xff").collect::<Vec<_>>(), ["?"]);
    }
}
