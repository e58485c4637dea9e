//! Request headers as a list of octets, and header text that is safe to send.

use std::borrow::Cow;
use std::fmt;

use http::HeaderName;
use http::HeaderValue;

/// The client's header fields as the dialect saw them: lower-case names, names and values as octets, order kept.
#[derive(Clone, Default)]
pub struct Headers<'w> {
    fields: Vec<(Cow<'w, [u8]>, &'w [u8])>,
    joined: bool,
}

impl<'w> Headers<'w> {
    /// An empty list; `joined` says that the proxy has already joined repeated fields with `,`
    /// (Envoy's `headers` map, and its HTTP service).
    pub fn new(joined: bool) -> Headers<'w> {
        Headers { fields: Vec::new(), joined }
    }

    /// The same with room for so many fields.
    pub fn with_capacity(joined: bool, fields: usize) -> Headers<'w> {
        Headers { fields: Vec::with_capacity(fields), joined }
    }

    /// Add one field. The name is lower-cased when it is not already: then this says `true`.
    pub fn push(&mut self, name: &'w str, value: &'w [u8]) -> bool {
        self.push_octets(name.as_bytes(), value)
    }

    /// The same with a name that was not looked at yet.
    pub fn push_octets(&mut self, name: &'w [u8], value: &'w [u8]) -> bool {
        let capitals = has_capitals(name);
        let name = if capitals { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) };
        self.fields.push((name, value));
        capitals
    }

    /// Add one field whose name was read by the `http` crate, which has made it lower-case.
    pub fn push_named(&mut self, name: &'w HeaderName, value: &'w [u8]) {
        self.fields.push((Cow::Borrowed(name.as_str().as_bytes()), value));
    }

    /// Has the proxy joined repeated fields with `,`?
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &'w [u8])> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), *value))
    }

    /// Every value of the field with this lower-case name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'w [u8]> + 'a {
        let name = name.as_bytes();
        self.fields.iter().filter(move |(field, _)| **field == *name).map(|(_, value)| *value)
    }

    /// The one value of a field.
    pub fn one(&self, name: &str) -> Single<'w> {
        let mut values = self.all(name);
        match (values.next(), values.next()) {
            (None, _) => Single::Absent,
            (Some(value), None) => Single::One(value),
            (Some(_), Some(_)) => Single::Many,
        }
    }
}

/// Does a name hold a capital? It is asked of every field of every check, so eight octets are looked at together.
pub fn has_capitals(name: &[u8]) -> bool {
    let Some(last) = name.last_chunk::<8>() else { return name.iter().any(u8::is_ascii_uppercase) };
    let (chunks, _) = name.as_chunks::<8>();
    let eight = |chunk: &[u8; 8]| capitals_of_eight(u64::from_ne_bytes(*chunk));
    chunks.iter().fold(eight(last), |any, chunk| any | eight(chunk)) != 0
}

/// The highest bit of every octet that is a capital, and no other bit. No octet carries over into the next, because their
/// highest bits are put aside first: those with one are no capitals.
fn capitals_of_eight(octets: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = EACH * 0x80;
    let low = octets & !HIGH;
    let from_a = low + EACH * (0x80 - b'A' as u64);
    let past_z = low + EACH * (0x80 - (b'Z' as u64 + 1));
    from_a & !past_z & !octets & HIGH
}

impl fmt::Debug for Headers<'_> {
    /// Names only: among the values are credentials (F6).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<Cow<'_, str>> = self.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        f.debug_struct("Headers").field("names", &names).field("joined", &self.joined).finish()
    }
}

/// What a field that should stand once was found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Single<'w> {
    Absent,
    One(&'w [u8]),
    Many,
}

/// Text that fits a header value everywhere: octets 0x20–0x7E, no space at either end, never empty.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderText(Cow<'static, str>);

impl HeaderText {
    /// `None` when an octet does not fit. Besides [`HeaderText::constant`] the only door a value leaves by.
    pub fn new(text: impl Into<String>) -> Option<HeaderText> {
        let text = text.into();
        HeaderText::fits(&text).then_some(HeaderText(Cow::Owned(text)))
    }

    /// Would this text be taken?
    pub fn fits(text: &str) -> bool {
        fits(text.as_bytes())
    }

    /// Our own words, checked when they are compiled: for `const` items only.
    pub const fn constant(text: &'static str) -> HeaderText {
        assert!(fits(text.as_bytes()), "header text does not fit");
        HeaderText(Cow::Borrowed(text))
    }

    /// The text itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

const fn fits(mut text: &[u8]) -> bool {
    if let [b' ', ..] | [.., b' '] | [] = text {
        return false;
    }
    while let [first, rest @ ..] = text {
        if *first < 0x20 || *first > 0x7E {
            return false;
        }
        text = rest;
    }
    true
}

impl fmt::Display for HeaderText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&HeaderText> for HeaderValue {
    fn from(text: &HeaderText) -> HeaderValue {
        // 0x20–0x7E is a subset of what `HeaderValue` takes, so this cannot fail; if it ever did, nothing is sent.
        HeaderValue::from_str(&text.0).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_text_takes_printable_ascii_only() {
        for (text, fits) in [
            ("alice", true),
            ("Alice Example", true),
            ("~!@", true),
            ("", false),
            (" a", false),
            ("a ", false),
            ("a\tb", false),
            ("a\r\nb", false),
            ("a\0", false),
            ("\u{7f}", false),
            ("é", false),
        ] {
            assert_eq!(HeaderText::new(text).is_some(), fits, "{text:?}");
        }
    }

    #[test]
    fn repeated_fields_are_seen_as_many() {
        let mut headers = Headers::new(false);
        headers.push("X-A", b"1");
        headers.push("x-b", b"2");
        headers.push("x-a", b"3");
        assert_eq!(headers.one("x-a"), Single::Many);
        assert_eq!(headers.one("x-b"), Single::One(b"2"));
        assert_eq!(headers.one("x-c"), Single::Absent);
        assert_eq!(headers.all("x-a").collect::<Vec<_>>(), [b"1", b"3"]);
    }

    #[test]
    fn a_capital_is_seen_wherever_it_stands() {
        for length in 1..20 {
            for octet in 0..=u8::MAX {
                for at in 0..length {
                    let mut name = vec![b'a'; length];
                    name[at] = octet;
                    assert_eq!(has_capitals(&name), octet.is_ascii_uppercase(), "{octet:#x} at {at} of {length}");
                }
            }
        }
        assert!(!has_capitals(b""));
    }

    #[test]
    fn a_name_that_was_read_before_is_the_same_name() {
        let (name, mut headers) = (HeaderName::from_bytes(b"X-A").expect("a name"), Headers::new(false));
        headers.push_named(&name, b"1");
        headers.push("X-A", b"2");
        assert_eq!(headers.all("x-a").collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn f6_values_of_headers_never_show() {
        let mut headers = Headers::new(false);
        headers.push("Cookie", b"s=1");
        assert_eq!(format!("{headers:?}"), r#"Headers { names: ["cookie"], joined: false }"#);
    }
}
