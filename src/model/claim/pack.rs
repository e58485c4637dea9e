//! Packing.

use serde_json::Map;
use serde_json::Value;

use crate::model::claim::Packed;
use crate::model::claim::tag;
use crate::model::claim::word;

/// So many texts are remembered, in case one of them comes again.
const REMEMBERED: usize = 64;

/// So many marks a text may have. A power of two.
const MARKS: usize = 256;

/// A shorter text takes no more than a reference to it.
const SHORTEST: usize = 3;

/// Packs values, one after the other.
pub struct Packer {
    packed: String,
    /// The texts written out.
    written: Vec<Written>,
    /// For each mark the number of the last of these texts that bears it, from 1. Texts that share a mark push each other
    /// out, which costs room and nothing else.
    marked: [u8; MARKS],
}

/// A text written out: where its tag stands, and where it begins and ends.
struct Written {
    tag: usize,
    from: usize,
    to: usize,
}

impl Default for Packer {
    fn default() -> Packer {
        let (packed, written) = (String::with_capacity(1024), Vec::with_capacity(REMEMBERED));
        Packer { packed, written, marked: [0; MARKS] }
    }
}

impl Packer {
    /// One of nothing.
    pub fn new() -> Packer {
        Packer::default()
    }

    /// Add a text.
    pub fn text(&mut self, text: &str) {
        if let Some(word) = word::number(text) {
            return self.tag(tag::WORD.saturating_add(word));
        }
        if let Some(at) = self.before(text) {
            self.tag(tag::AGAIN);
            return self.number(at as u64);
        }
        let tag = self.packed.len();
        self.tag(tag::TEXT);
        self.number(text.len() as u64);
        let from = self.packed.len();
        self.packed.push_str(text);
        if text.len() >= SHORTEST && self.written.len() < REMEMBERED {
            self.written.push(Written { tag, from, to: self.packed.len() });
            if let Some(marked) = self.marked.get_mut(mark(text)) {
                *marked = self.written.len() as u8;
            }
        }
    }

    /// Where the tag of this very text stands, if it was written before and is remembered.
    fn before(&self, text: &str) -> Option<usize> {
        let number = usize::from(*self.marked.get(mark(text))?);
        let Written { tag, from, to } = self.written.get(number.checked_sub(1)?)?;
        (self.packed.get(*from..*to)? == text).then_some(*tag)
    }

    /// Add a text, or null.
    pub fn maybe_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.tag(tag::NULL),
        }
    }

    /// Add a list of texts.
    pub fn texts<'t>(&mut self, texts: impl ExactSizeIterator<Item = &'t str>) {
        self.tag(tag::LIST);
        self.number(texts.len() as u64);
        texts.for_each(|text| self.text(text));
    }

    /// Add a truth.
    pub fn truth(&mut self, truth: bool) {
        self.tag(if truth { tag::TRUE } else { tag::FALSE });
    }

    /// Add a whole number, or null.
    pub fn maybe_whole(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.whole(number < 0, number.unsigned_abs()),
            None => self.tag(tag::NULL),
        }
    }

    /// Add an object.
    pub fn object(&mut self, members: &Map<String, Value>) {
        self.tag(tag::OBJECT);
        self.number(members.len() as u64);
        for (name, value) in members {
            self.text(name);
            self.value(value);
        }
    }

    /// Add any value.
    pub fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.tag(tag::NULL),
            Value::Bool(truth) => self.truth(*truth),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(whole), ..) => self.whole(false, whole),
                (None, Some(whole), _) => self.maybe_whole(Some(whole)),
                (None, None, fraction) => {
                    self.tag(tag::FRACTION);
                    self.number(fraction.unwrap_or(f64::NAN).to_bits());
                }
            },
            Value::String(text) => self.text(text),
            Value::Array(values) => {
                self.tag(tag::LIST);
                self.number(values.len() as u64);
                values.iter().for_each(|value| self.value(value));
            }
            Value::Object(members) => self.object(members),
        }
    }

    /// That was all.
    pub fn finish(self) -> Packed {
        Packed(self.packed.into_boxed_str())
    }

    fn whole(&mut self, negative: bool, number: u64) {
        self.tag(if negative { tag::NEGATIVE } else { tag::WHOLE });
        self.number(number);
    }

    // INVARIANT: below 0x80, so that what is packed stays a text.
    fn tag(&mut self, tag: u8) {
        self.packed.push(char::from(tag));
    }

    /// Six bits an octet, the least first; the seventh says that more follow.
    fn number(&mut self, mut number: u64) {
        while number >= 0x40 {
            self.packed.push(char::from((number & 0x3f) as u8 | 0x40));
            number >>= 6;
        }
        self.packed.push(char::from(number as u8));
    }
}

/// Something of a text that tells it from most others: its length, and the octets at its ends.
fn mark(text: &str) -> usize {
    let octet = |octet: Option<&u8>| octet.copied().map_or(0, usize::from);
    let (first, last) = (octet(text.as_bytes().first()), octet(text.as_bytes().last()));
    (text.len() * 37 + first * 11 + last) % MARKS
}
