//! JSON from strangers: one object, no member twice at any level, at most 32 levels deep (J7, J16).
//!
//! 2026-11: we read it ourselves (RFC 8259), because beside the signature it is what an unknown token costs most, and
//! serde_json with a visitor that refuses doubles takes two and a half times as long. What is rare and hard is still
//! serde_json's, handed over as it stands: a text with escapes, and a number that is not short and whole. The tests and the
//! fuzzers compare the two.

use std::borrow::Cow;

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::authn::quoted::Quoted;

/// The deepest nesting of objects and arrays, the outermost counted.
const MAX_DEPTH: u8 = 32;

/// Why a text is not the JSON we take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text breaks a rule before this octet, counted from 0.
    #[error("is not sound JSON: {wrong} at octet {at}")]
    Unsound { wrong: Wrong, at: usize },
    #[error("is not a JSON object")]
    NotAnObject,
}

/// What is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("octets that are not UTF-8")]
    NotUtf8,
    #[error("nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    #[error("the member {} stands twice", Quoted(.0))]
    Twice(String),
    #[error("a text without end, with a control, or with a bad escape")]
    Text,
    #[error("a number that is none or that is out of range")]
    Number,
    #[error("something that does not belong there")]
    Unexpected,
}

/// Read one JSON object. Members are compared after their escapes are decoded.
pub(super) fn parse_object(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let text = std::str::from_utf8(text)
        .map_err(|error| JsonError::Unsound { wrong: Wrong::NotUtf8, at: error.valid_up_to() })?;
    let mut reader = Reader { text, at: 0 };
    if reader.next() != Some(b'{') {
        return Err(JsonError::NotAnObject);
    }
    let unsound = |wrong, at| JsonError::Unsound { wrong, at };
    let members = reader.object(MAX_DEPTH).map_err(|wrong| unsound(wrong, reader.at))?;
    match reader.next() {
        None => Ok(members),
        Some(_) => Err(unsound(Wrong::Unexpected, reader.at)),
    }
}

/// Reads a text from its start to its end, each octet once.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    /// The next octet that is not white space; it stays there.
    fn next(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                octet => return octet.copied(),
            }
        }
    }

    /// Is this the next one? Then it is read.
    fn take(&mut self, wanted: u8) -> bool {
        let is_next = self.next() == Some(wanted);
        self.at += usize::from(is_next);
        is_next
    }

    /// A value for which there is room of so many levels.
    fn value(&mut self, room: u8) -> Result<Value, Wrong> {
        match self.next() {
            Some(b'"') => self.string().map(|text| Value::String(text.into_owned())),
            Some(b'{') => self.object(room).map(Value::Object),
            Some(b'[') => self.array(room).map(Value::Array),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(_) | None => Err(Wrong::Unexpected),
        }
    }

    fn object(&mut self, room: u8) -> Result<Map<String, Value>, Wrong> {
        let room = room.checked_sub(1).ok_or(Wrong::TooDeep)?;
        let mut members = Vec::with_capacity(16);
        self.at += 1;
        if self.take(b'}') {
            return Ok(Map::new());
        }
        loop {
            if self.next() != Some(b'"') {
                return Err(Wrong::Unexpected);
            }
            let name = self.string()?;
            if !self.take(b':') {
                return Err(Wrong::Unexpected);
            }
            members.push((name, self.value(room)?));
            if !self.take(b',') {
                return if self.take(b'}') { distinct(members) } else { Err(Wrong::Unexpected) };
            }
        }
    }

    fn array(&mut self, room: u8) -> Result<Vec<Value>, Wrong> {
        let room = room.checked_sub(1).ok_or(Wrong::TooDeep)?;
        let mut list = Vec::new();
        self.at += 1;
        if self.take(b']') {
            return Ok(list);
        }
        loop {
            list.push(self.value(room)?);
            if !self.take(b',') {
                return if self.take(b']') { Ok(list) } else { Err(Wrong::Unexpected) };
            }
        }
    }

    /// A text, whose opening mark is next.
    fn string(&mut self) -> Result<Cow<'t, str>, Wrong> {
        let open = self.at;
        let start = open + 1;
        self.at = start + self.plain(start);
        match self.text.as_bytes().get(self.at) {
            Some(b'"') => {
                let text = self.text.get(start..self.at).ok_or(Wrong::Text)?;
                self.at += 1;
                Ok(Cow::Borrowed(text))
            }
            Some(b'\\') => self.escaped(open).map(Cow::Owned),
            Some(_) | None => Err(Wrong::Text),
        }
    }

    /// A text opened there, whose first escape is next: its end is found here, and the rest is serde_json's.
    fn escaped(&mut self, open: usize) -> Result<String, Wrong> {
        while self.text.as_bytes().get(self.at) == Some(&b'\\') {
            // What is escaped may be a mark, and is no end then.
            self.at += 2;
            self.at += self.plain(self.at);
        }
        self.at += 1;
        serde_json::from_str(self.text.get(open..self.at).ok_or(Wrong::Text)?).map_err(|_| Wrong::Text)
    }

    /// How many octets from there on are neither a mark, nor a backslash, nor a control: eight at once, as long as that
    /// goes.
    fn plain(&self, from: usize) -> usize {
        let octets = self.text.as_bytes().get(from..).unwrap_or_default();
        let (words, rest) = octets.as_chunks();
        let mut plain = 0;
        for word in words {
            match specials(u64::from_le_bytes(*word)) {
                0 => plain += 8,
                found => return plain + found.trailing_zeros() as usize / 8,
            }
        }
        plain + rest.iter().take_while(|octet| !matches!(octet, b'"' | b'\\' | 0..0x20)).count()
    }

    fn number(&mut self) -> Result<Number, Wrong> {
        // Up to here no sum of digits can overflow.
        const SHORT: usize = 18;
        let rest = self.text.get(self.at..).ok_or(Wrong::Number)?;
        let is_part = |octet: &u8| matches!(octet, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
        let length = rest.bytes().take_while(is_part).count();
        let text = rest.get(..length).ok_or(Wrong::Number)?;
        self.at += length;
        if length <= SHORT && text.starts_with(|first: char| matches!(first, '1'..='9')) {
            let mut digits = text.bytes();
            let sum = digits
                .try_fold(0, |sum: u64, digit| digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0')));
            if let Some(sum) = sum {
                return Ok(sum.into());
            }
        }
        serde_json::from_str(text).map_err(|_| Wrong::Number)
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, Wrong> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(Wrong::Unexpected);
        }
        self.at += word.len();
        Ok(value)
    }
}

/// The members by their names, of which none may stand twice. Sorted first: then doubles are neighbours, and the map is
/// built in one go, which is cheaper than finding each member its place.
fn distinct(mut members: Vec<(Cow<'_, str>, Value)>) -> Result<Map<String, Value>, Wrong> {
    members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    for pair in members.windows(2) {
        if let [(one, _), (other, _)] = pair
            && one == other
        {
            return Err(Wrong::Twice(one.to_string()));
        }
    }
    Ok(members.into_iter().map(|(name, value)| (name.into_owned(), value)).collect())
}

/// Marks in the highest bit of each octet whether it is one that ends plain text. The lowest that is marked is right;
/// above it borrows may mark too many.
fn specials(word: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    // An octet below `n`, itself below 0x80, borrows from its highest bit and did not have that before.
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n)) & !word;
    let is = |octet: u8| below(word ^ (ONES * u64::from(octet)), 1);
    (below(word, 0x20) | is(b'"') | is(b'\\')) & HIGHS
}

#[cfg(test)]
mod tests;
