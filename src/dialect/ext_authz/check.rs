//! A `CheckRequest` read where it lies: no text is copied, and nothing is built that no dialect asks for. What prost
//! would make of the same octets, this makes, too: repeated messages are merged, of repeated values the last one counts,
//! also in a map.

use std::collections::HashSet;

use super::CheckRequest;
use super::proto::envoy::config::core::v3::{HeaderValue, address};
use super::wire::{self, Field, Fields, WireError};

/// The attributes of one check that are asked for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Check<'w> {
    pub(super) source: Option<Source<'w>>,
    pub(super) http: Option<Http<'w>>,
}

/// `AttributeContext.source`: who connected to the proxy.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Source<'w> {
    pub(super) address: Address<'w>,
    pub(super) principal: &'w str,
    pub(super) certificate: &'w str,
}

/// `core.v3.Address`, as far as it is read.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Address<'w> {
    #[default]
    None,
    Socket(&'w str),
    Pipe,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Http<'w> {
    pub(super) method: &'w str,
    /// The map `headers`, each name once. Names and values are text, as octets.
    pub(super) headers: Vec<(&'w [u8], &'w [u8])>,
    pub(super) path: &'w str,
    pub(super) host: &'w str,
    pub(super) scheme: &'w str,
    pub(super) query: &'w str,
    pub(super) fragment: &'w str,
    /// `header_map`, with `encode_raw_headers`.
    pub(super) header_map: Option<Vec<HeaderField<'w>>>,
}

/// `core.v3.HeaderValue`.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct HeaderField<'w> {
    pub(super) key: &'w str,
    pub(super) value: &'w str,
    pub(super) raw: &'w [u8],
}

impl<'w> Check<'w> {
    /// Read the octets of a `CheckRequest`.
    pub(super) fn read(message: &'w [u8]) -> Result<Check<'w>, WireError> {
        let mut check = Check::default();
        let mut fields = Fields::of(message);
        while let Some(attributes) = fields.next(|number| number == 1)? {
            check.attributes(attributes.message()?)?;
        }
        if let Some(http) = &mut check.http {
            keep_last(&mut http.headers);
        }
        Ok(check)
    }

    fn attributes(&mut self, mut fields: Fields<'w>) -> Result<(), WireError> {
        while let Some(field) = fields.next(|number| matches!(number, 1 | 4 | 10))? {
            match field.number() {
                1 => self.source.get_or_insert_default().merge(field.message()?)?,
                4 => {
                    let mut request = field.message()?;
                    while let Some(http) = request.next(|number| number == 2)? {
                        self.http.get_or_insert_default().merge(http.message()?)?;
                    }
                }
                // `context_extensions`: read by nobody yet, and still a map of texts.
                _ => entry(&field).map(|_| ())?,
            }
        }
        Ok(())
    }
}

impl<'w> Source<'w> {
    fn merge(&mut self, mut fields: Fields<'w>) -> Result<(), WireError> {
        while let Some(field) = fields.next(|number| matches!(number, 1 | 4 | 5))? {
            match field.number() {
                1 => self.address.merge(field.message()?)?,
                4 => self.principal = field.text()?,
                _ => self.certificate = field.text()?,
            }
        }
        Ok(())
    }
}

impl<'w> Address<'w> {
    /// One of two: the last one counts, and is merged with itself.
    fn merge(&mut self, mut fields: Fields<'w>) -> Result<(), WireError> {
        while let Some(field) = fields.next(|number| matches!(number, 1 | 2))? {
            let mut inner = field.message()?;
            if field.number() == 2 {
                *self = Address::Pipe;
                while let Some(path) = inner.next(|number| number == 1)? {
                    path.text()?;
                }
                continue;
            }
            let mut address = match *self {
                Address::Socket(address) => address,
                Address::None | Address::Pipe => "",
            };
            while let Some(part) = inner.next(|number| matches!(number, 2 | 3))? {
                match part.number() {
                    2 => address = part.text()?,
                    _ => part.number_only()?,
                }
            }
            *self = Address::Socket(address);
        }
        Ok(())
    }
}

impl<'w> Http<'w> {
    fn merge(&mut self, mut fields: Fields<'w>) -> Result<(), WireError> {
        while let Some(field) = fields.next(|number| matches!(number, 2..=8 | 10 | 13))? {
            match field.number() {
                2 => self.method = field.text()?,
                3 => {
                    if self.headers.is_empty() {
                        self.headers.reserve(USUAL);
                    }
                    self.headers.push(entry(&field)?);
                }
                4 => self.path = field.text()?,
                5 => self.host = field.text()?,
                6 => self.scheme = field.text()?,
                7 => self.query = field.text()?,
                8 => self.fragment = field.text()?,
                10 => field.text().map(|_| ())?,
                _ => {
                    let list = self.header_map.get_or_insert_default();
                    let mut map = field.message()?;
                    while let Some(header) = map.next(|number| number == 1)? {
                        list.push(HeaderField::read(header.message()?)?);
                    }
                }
            }
        }
        Ok(())
    }
}

impl<'w> HeaderField<'w> {
    fn read(mut fields: Fields<'w>) -> Result<HeaderField<'w>, WireError> {
        let mut header = HeaderField::default();
        while let Some(field) = fields.next(|number| matches!(number, 1..=3))? {
            match field.number() {
                1 => header.key = field.text()?,
                2 => header.value = field.text()?,
                _ => header.raw = field.octets()?,
            }
        }
        Ok(header)
    }
}

/// One entry of a map of texts.
fn entry<'w>(field: &Field<'w>) -> Result<(&'w [u8], &'w [u8]), WireError> {
    let octets = field.octets()?;
    if let Some((key, value)) = usual_entry(octets) {
        // Key and value are ASCII where all of the entry is, their lengths included: one look instead of two.
        if value.len() >= 0x80 || !octets.is_ascii() {
            wire::text_octets(key)?;
            wire::text_octets(value)?;
        }
        return Ok((key, value));
    }
    let (mut key, mut value) = (&b""[..], &b""[..]);
    let mut fields = field.message()?;
    while let Some(part) = fields.next(|number| matches!(number, 1 | 2))? {
        match part.number() {
            1 => key = part.text_octets()?,
            _ => value = part.text_octets()?,
        }
    }
    Ok((key, value))
}

/// An entry as everybody writes it, a key and then a value with lengths below 2^14, and nothing else: most of a check
/// consists of these.
fn usual_entry(octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0A, length @ 0..0x80, rest @ ..] = octets else { return None };
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let (length, value) = match rest {
        [0x12, length @ 0..0x80, value @ ..] => (usize::from(*length), value),
        [0x12, low @ 0x80..=0xFF, high @ 0..0x80, value @ ..] => {
            (usize::from(low & 0x7F) | usize::from(*high) << 7, value)
        }
        _ => return None,
    };
    (value.len() == length).then_some((key, value))
}

/// Most requests have no more header fields than this.
const USUAL: usize = 32;

/// Past this many entries they are looked up, not compared one by one.
const FEW: usize = 48;

/// Of entries with one key only the last one stays.
fn keep_last(entries: &mut Vec<(&[u8], &[u8])>) {
    if !has_double(entries) {
        return;
    }
    let mut seen = HashSet::with_capacity(entries.len());
    let mut kept: Vec<bool> = entries.iter().rev().map(|(key, _)| seen.insert(*key)).collect();
    entries.retain(|_| kept.pop().unwrap_or(false));
}

fn has_double(entries: &[(&[u8], &[u8])]) -> bool {
    if entries.len() > FEW {
        let mut seen = HashSet::with_capacity(entries.len());
        return !entries.iter().all(|(key, _)| seen.insert(*key));
    }
    // Keys that fall on different bits are different. A few fall on one by chance, and are compared.
    let mut taken = 0_u64;
    entries.iter().enumerate().any(|(at, (key, _))| {
        let bit = 1 << spread(key);
        let double = taken & bit != 0 && entries.iter().take(at).any(|(earlier, _)| earlier == key);
        taken |= bit;
        double
    })
}

/// A number below 64 in which keys usually differ.
fn spread(key: &[u8]) -> u8 {
    let middle = key.get(key.len() / 2).copied().unwrap_or(0);
    let last = key.last().copied().unwrap_or(0);
    (key.len() as u8).wrapping_mul(5).wrapping_add(last.wrapping_mul(3)).wrapping_add(middle) & 63
}

/// The same of a message that has been built, for whoever built one.
impl<'w> From<&'w CheckRequest> for Check<'w> {
    fn from(message: &'w CheckRequest) -> Check<'w> {
        let attributes = message.attributes.as_ref();
        let source = attributes.and_then(|attributes| attributes.source.as_ref()).map(|source| Source {
            address: match source.address.as_ref().and_then(|address| address.address.as_ref()) {
                None => Address::None,
                Some(address::Address::SocketAddress(socket)) => Address::Socket(&socket.address),
                Some(address::Address::Pipe(_)) => Address::Pipe,
            },
            principal: &source.principal,
            certificate: &source.certificate,
        });
        let request = attributes.and_then(|attributes| attributes.request.as_ref());
        let http = request.and_then(|request| request.http.as_ref()).map(|http| Http {
            method: &http.method,
            headers: http.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect(),
            path: &http.path,
            host: &http.host,
            scheme: &http.scheme,
            query: &http.query,
            fragment: &http.fragment,
            header_map: http.header_map.as_ref().map(|map| {
                let field = |field: &'w HeaderValue| HeaderField {
                    key: &field.key,
                    value: &field.value,
                    raw: &field.raw_value,
                };
                map.headers.iter().map(field).collect()
            }),
        });
        Check { source, http }
    }
}
