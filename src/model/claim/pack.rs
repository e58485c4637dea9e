//! Packing.

use serde_json::Map;
use serde_json::Value;

use crate::model::claim::Packed;
use crate::model::claim::tag;
use crate::model::claim::word;

/// So many texts are looked through for one that stands there already. More would make packing a large token slow.
const REMEMBERED: usize = 64;

/// A shorter text takes no more than a reference to it.
const SHORTEST: usize = 3;

/// Packs values, one after the other.
#[derive(Default)]
pub struct Packer {
    packed: String,
    /// The texts written out: where their tags stand, and where they begin and end.
    written: Vec<(usize, usize, usize)>,
}

impl Packer {
    /// One of nothing.
    pub fn new() -> Packer {
        Packer { packed: String::with_capacity(1024), written: Vec::with_capacity(REMEMBERED) }
    }

    /// Add a text.
    pub fn text(&mut self, text: &str) {
        if let Some(word) = word::number(text) {
            return self.tag(tag::WORD.saturating_add(word));
        }
        let same = |(_, from, to): &&(usize, usize, usize)| {
            to - from == text.len() && self.packed.get(*from..*to) == Some(text)
        };
        if let Some((at, ..)) = self.written.iter().find(same) {
            let at = *at as u64;
            self.tag(tag::AGAIN);
            return self.number(at);
        }
        let at = self.packed.len();
        self.tag(tag::TEXT);
        self.number(text.len() as u64);
        let from = self.packed.len();
        self.packed.push_str(text);
        if text.len() >= SHORTEST && self.written.len() < REMEMBERED {
            self.written.push((at, from, self.packed.len()));
        }
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
