//! Host blocks: an exact name, else the wildcard with the longest suffix. A request never falls through to another.

use std::sync::Arc;

use hashbrown::HashMap;
use thiserror::Error;

use crate::model::host::Host;
use crate::model::problem::Place;
use crate::policy::denial::Login;
use crate::policy::table::RouteTable;

/// The built rules of one host key.
#[derive(Debug)]
pub struct HostBlock {
    /// The key as written.
    pub key: Arc<str>,
    pub place: Place,
    /// How browsers without a session get one; `None` for a plain 401.
    pub login: Option<Login>,
    /// The servers behind tell upper from lower case.
    pub case_sensitive: bool,
    /// CORS preflights pass.
    pub preflight: bool,
    pub routes: RouteTable,
}

/// A parsed host key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPattern {
    pub kind: HostKind,
    /// The name, or what follows the wildcard.
    pub name: String,
    /// Matches only this port.
    pub port: Option<u16>,
}

/// How a host key covers names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HostKind {
    /// This name.
    Exact,
    /// `*.x`: exactly one label before the suffix.
    OneLabel,
    /// `**.x`: one or more labels before the suffix.
    Labels,
}

/// Why a host key is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HostPatternError {
    #[error("`*` alone covers every host; write the hosts, or a suffix such as `**.corp.test`")]
    Everything,
    #[error("a wildcard stands only at the front, as `*.` or `**.`")]
    Wildcard,
    #[error("`{0}` is not a host: {1}")]
    Host(String, crate::model::host::HostError),
    #[error("`{0}` is not written canonically; write `{1}`")]
    NotCanonical(String, String),
    #[error("`{0}` holds letters outside ASCII; write its A-label (`xn--…`)")]
    NotAscii(String),
}

impl HostPattern {
    /// Read a host key: lower-case A-labels, an optional port, an optional wildcard.
    pub fn parse(text: &str) -> Result<HostPattern, HostPatternError> {
        if matches!(text, "*" | "**" | "*." | "**.") {
            return Err(HostPatternError::Everything);
        }
        if !text.is_ascii() {
            return Err(HostPatternError::NotAscii(text.to_owned()));
        }
        let (kind, rest) = if let Some(rest) = text.strip_prefix("**.") {
            (HostKind::Labels, rest)
        } else if let Some(rest) = text.strip_prefix("*.") {
            (HostKind::OneLabel, rest)
        } else {
            (HostKind::Exact, text)
        };
        if rest.contains('*') {
            return Err(HostPatternError::Wildcard);
        }
        let host = Host::parse(rest).map_err(|error| HostPatternError::Host(rest.to_owned(), error))?;
        let prefix = text.strip_suffix(rest).unwrap_or_default();
        let canonical = match host.port() {
            Some(port) => format!("{prefix}{}:{port}", host.name()),
            None => format!("{prefix}{}", host.name()),
        };
        if canonical != text {
            return Err(HostPatternError::NotCanonical(text.to_owned(), canonical));
        }
        Ok(HostPattern { kind, name: host.name().to_owned(), port: host.port() })
    }
}

/// All host blocks.
#[derive(Debug, Default)]
pub struct HostTable {
    blocks: Vec<HostBlock>,
    /// By the name, or by what follows the wildcard. Hashed quickly: requests put nothing in.
    index: HashMap<Box<str>, Named>,
}

/// The numbers of the blocks of one name. Small: there may be ten thousand names, and a request looks at any of them.
#[derive(Debug)]
struct Named {
    /// For every port, or [`NONE`].
    exact: u32,
    one_label: u32,
    labels: u32,
    /// Few names have blocks for ports, and those few ports.
    ports: Box<[(HostKind, u16, u32)]>,
}

/// No block: there are never so many.
const NONE: u32 = u32::MAX;

impl HostTable {
    /// Index blocks by their patterns. Of two blocks with one pattern the first stays: `snapshot` refuses such.
    pub fn new(blocks: Vec<(HostPattern, HostBlock)>) -> HostTable {
        let mut table = HostTable::default();
        for (number, (pattern, block)) in (0..NONE).zip(blocks) {
            table.index.entry(pattern.name.into()).or_default().add(pattern.kind, pattern.port, number);
            table.blocks.push(block);
        }
        table
    }

    /// The block for a canonical host name and the port the client used, if that is known.
    pub fn find(&self, name: &str, port: Option<u16>) -> Option<&HostBlock> {
        if let Some(block) = self.look_up(HostKind::Exact, name, port) {
            return Some(block);
        }
        // Addresses have no labels.
        if name.starts_with('[') || name.parse::<std::net::Ipv4Addr>().is_ok() {
            return None;
        }
        let mut kind = HostKind::OneLabel;
        let mut rest = name;
        while let Some((_, suffix)) = rest.split_once('.') {
            if kind == HostKind::OneLabel
                && let Some(block) = self.look_up(kind, suffix, port)
            {
                return Some(block);
            }
            kind = HostKind::Labels;
            if let Some(block) = self.look_up(kind, suffix, port) {
                return Some(block);
            }
            rest = suffix;
        }
        None
    }

    /// Every block, in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &HostBlock> {
        self.blocks.iter()
    }

    fn look_up(&self, kind: HostKind, name: &str, port: Option<u16>) -> Option<&HostBlock> {
        let number = self.index.get(name)?.number(kind, port);
        self.blocks.get(number as usize)
    }
}

impl Default for Named {
    fn default() -> Named {
        Named { exact: NONE, one_label: NONE, labels: NONE, ports: Box::default() }
    }
}

impl Named {
    /// Add a block. The first of several is found first.
    fn add(&mut self, kind: HostKind, port: Option<u16>, number: u32) {
        let any = match (kind, port) {
            (_, Some(port)) => {
                let ports = std::mem::take(&mut self.ports).into_iter();
                self.ports = ports.chain([(kind, port, number)]).collect();
                return;
            }
            (HostKind::Exact, None) => &mut self.exact,
            (HostKind::OneLabel, None) => &mut self.one_label,
            (HostKind::Labels, None) => &mut self.labels,
        };
        *any = number.min(*any);
    }

    /// The block of a kind for a port, else that for every port, else [`NONE`].
    fn number(&self, kind: HostKind, port: Option<u16>) -> u32 {
        let any = match kind {
            HostKind::Exact => self.exact,
            HostKind::OneLabel => self.one_label,
            HostKind::Labels => self.labels,
        };
        let listed = self.ports.iter().find(|(of, listed, _)| *of == kind && Some(*listed) == port);
        listed.map_or(any, |(_, _, number)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(keys: &[&str]) -> HostTable {
        HostTable::new(
            keys.iter()
                .map(|key| {
                    let block = HostBlock {
                        key: (*key).into(),
                        place: Place::whole("test.yaml"),
                        login: None,
                        case_sensitive: false,
                        preflight: false,
                        routes: RouteTable::default(),
                    };
                    (HostPattern::parse(key).expect(key), block)
                })
                .collect(),
        )
    }

    #[test]
    fn h6_exact_names_win_then_the_longest_suffix() {
        let hosts = table(&[
            "wiki.corp.test",
            "*.corp.test",
            "**.corp.test",
            "**.test",
            "*.a.corp.test",
            "wiki.corp.test:8443",
            "192.0.2.1",
        ]);
        for (name, port, want) in [
            ("wiki.corp.test", None, "wiki.corp.test"),
            ("wiki.corp.test", Some(443), "wiki.corp.test"),
            ("wiki.corp.test", Some(8443), "wiki.corp.test:8443"),
            ("x.corp.test", None, "*.corp.test"),
            ("x.y.corp.test", None, "**.corp.test"),
            ("b.a.corp.test", None, "*.a.corp.test"),
            ("c.b.a.corp.test", None, "**.corp.test"),
            ("corp.test", None, "**.test"),
            ("evilcorp.test", None, "**.test"),
            ("test", None, "-"),
            ("wiki.corp.test.evil", None, "-"),
            ("192.0.2.1", None, "192.0.2.1"),
            ("192.0.2.2", None, "-"),
        ] {
            let found = hosts.find(name, port).map_or("-", |block| &block.key);
            assert_eq!(found, want, "{name} {port:?}");
        }
    }

    #[test]
    fn h2_a_key_with_a_port_covers_no_other_port() {
        let hosts = table(&["h.test:8443"]);
        for (port, found) in [(None, false), (Some(443), false), (Some(8443), true)] {
            assert_eq!(hosts.find("h.test", port).is_some(), found, "{port:?}");
        }
    }

    #[test]
    fn keys_have_one_spelling() {
        let not_canonical = |a: &str, b: &str| Err(HostPatternError::NotCanonical(a.into(), b.into()));
        assert_eq!(HostPattern::parse("*"), Err(HostPatternError::Everything));
        assert_eq!(HostPattern::parse("a.*.test"), Err(HostPatternError::Wildcard));
        assert_eq!(HostPattern::parse("Wiki.test"), not_canonical("Wiki.test", "wiki.test"));
        assert_eq!(HostPattern::parse("wiki.test."), not_canonical("wiki.test.", "wiki.test"));
        assert_eq!(HostPattern::parse("*.Wiki.test:80"), not_canonical("*.Wiki.test:80", "*.wiki.test:80"));
        assert_eq!(HostPattern::parse("bücher.test"), Err(HostPatternError::NotAscii("bücher.test".into())));
        assert!(matches!(HostPattern::parse("a/b"), Err(HostPatternError::Host(..))));
    }
}
