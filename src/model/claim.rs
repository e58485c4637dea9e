//! Values of JSON in a fraction of the room that a tree of them takes. What a source learned about a caller is kept for
//! as long as its credential is remembered, thousands of times, and read far more often than it is written.
//!
//! Values stand one after the other in one run of octets: a tag, then what belongs to it. A text that stands there
//! already, or that half of all tokens hold, is only referred to. Everything but the texts is ASCII, so that the whole is
//! a text, and no part of it has to be proven one when it is read. It never leaves the process.

mod pack;
mod read;
mod word;

use std::fmt;

use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

pub use pack::Packer;
use read::Reader;

/// Values in a row, packed. Only a [`Packer`] makes them.
#[derive(Clone, PartialEq)]
pub struct Packed(Box<str>);

/// One value.
#[derive(Clone, Debug, PartialEq)]
pub enum Claim<'p> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'p str),
    List(List<'p>),
    Object(Object<'p>),
}

/// The values of a list, in order.
#[derive(Clone, Copy)]
pub struct List<'p> {
    values: Reader<'p>,
    left: u64,
}

/// The members of an object, in the order of the tree it was made of; no name twice.
#[derive(Clone, Copy)]
pub struct Object<'p> {
    members: Reader<'p>,
    left: u64,
}

/// A list of texts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Texts<'p>(List<'p>);

/// What an octet before a value says of it. Everything from [`WORD`] on is a word of our own.
mod tag {
    pub(super) const NULL: u8 = 0;
    pub(super) const FALSE: u8 = 1;
    pub(super) const TRUE: u8 = 2;
    /// A number of any length follows.
    pub(super) const WHOLE: u8 = 3;
    /// The same, to be negated.
    pub(super) const NEGATIVE: u8 = 4;
    /// The bits of IEEE 754 as such a number.
    pub(super) const FRACTION: u8 = 5;
    /// The length, then the text.
    pub(super) const TEXT: u8 = 6;
    /// Where such a text stands.
    pub(super) const AGAIN: u8 = 7;
    /// How many, then the values.
    pub(super) const LIST: u8 = 8;
    /// How many, then names and values by turns.
    pub(super) const OBJECT: u8 = 9;
    pub(super) const WORD: u8 = 16;
}

impl Packed {
    /// The value of this number, from 0.
    pub fn value(&self, number: usize) -> Option<Claim<'_>> {
        let mut reader = Reader::new(&self.0);
        for _ in 0..number {
            reader.skip()?;
        }
        reader.last()
    }

    /// How many octets that takes.
    pub fn size(&self) -> usize {
        self.0.len()
    }

    /// Every value in order.
    pub fn values(&self) -> impl Iterator<Item = Claim<'_>> {
        let mut reader = Reader::new(&self.0);
        std::iter::from_fn(move || reader.claim())
    }
}

impl<'p> Claim<'p> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&'p str> {
        match self {
            Claim::Text(text) => Some(text),
            Claim::Null | Claim::Bool(_) | Claim::Number(_) | Claim::List(_) | Claim::Object(_) => None,
        }
    }

    /// The number, if it is one, as near as can be.
    pub fn number(&self) -> Option<f64> {
        match self {
            Claim::Number(number) => number.as_f64(),
            Claim::Null | Claim::Bool(_) | Claim::Text(_) | Claim::List(_) | Claim::Object(_) => None,
        }
    }

    /// The list, or an empty one.
    pub fn list(&self) -> List<'p> {
        match self {
            Claim::List(list) => *list,
            Claim::Null | Claim::Bool(_) | Claim::Number(_) | Claim::Text(_) | Claim::Object(_) => List::default(),
        }
    }

    /// The same as a tree.
    pub fn tree(&self) -> Value {
        match self {
            Claim::Null => Value::Null,
            Claim::Bool(truth) => Value::Bool(*truth),
            Claim::Number(number) => Value::Number(number.clone()),
            Claim::Text(text) => Value::String((*text).to_owned()),
            Claim::List(list) => Value::Array(list.map(|claim| claim.tree()).collect()),
            Claim::Object(object) => {
                Value::Object(object.map(|(name, claim)| (name.to_owned(), claim.tree())).collect())
            }
        }
    }

    /// Is it what this tree says?
    pub fn is(&self, tree: &Value) -> bool {
        match (self, tree) {
            (Claim::Null, Value::Null) => true,
            (Claim::Bool(truth), Value::Bool(other)) => truth == other,
            (Claim::Number(number), Value::Number(other)) => number == other,
            (Claim::Text(text), Value::String(other)) => text == other,
            (Claim::List(list), Value::Array(others)) => {
                let (mut list, mut others) = (*list, others.iter());
                list.all(|claim| others.next().is_some_and(|other| claim.is(other))) && others.next().is_none()
            }
            (Claim::Object(object), Value::Object(others)) => object.is(others),
            _ => false,
        }
    }
}

impl<'p> Object<'p> {
    /// The value of the member of this name.
    pub fn member(&self, name: &str) -> Option<Claim<'p>> {
        let mut rest = *self;
        while rest.left > 0 {
            rest.left -= 1;
            if rest.members.text()? == name {
                return rest.members.last();
            }
            rest.members.skip()?;
        }
        None
    }

    /// Is it what this tree says?
    pub fn is(mut self, tree: &Map<String, Value>) -> bool {
        let mut others = tree.iter();
        self.all(|(name, claim)| others.next().is_some_and(|(other, tree)| name == other && claim.is(tree)))
            && others.next().is_none()
    }
}

impl<'p> Texts<'p> {
    /// Every text in order.
    pub fn iter(&self) -> impl Iterator<Item = &'p str> + use<'p> {
        let List { mut values, mut left } = self.0;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            values.text()
        })
    }

    /// Is there none?
    pub fn is_empty(&self) -> bool {
        self.0.left == 0
    }

    /// Is this one of them?
    pub fn contains(&self, text: &str) -> bool {
        self.iter().any(|one| one == text)
    }

    /// All of them, with this between.
    pub fn join(&self, between: &str) -> String {
        self.iter().collect::<Vec<_>>().join(between)
    }
}

impl<'p> From<List<'p>> for Texts<'p> {
    fn from(list: List<'p>) -> Texts<'p> {
        Texts(list)
    }
}

impl Default for List<'_> {
    fn default() -> Self {
        List { values: Reader::new(""), left: 0 }
    }
}

impl<'p> Iterator for List<'p> {
    type Item = Claim<'p>;

    fn next(&mut self) -> Option<Claim<'p>> {
        self.left = self.left.checked_sub(1)?;
        self.values.claim()
    }
}

impl<'p> Iterator for Object<'p> {
    type Item = (&'p str, Claim<'p>);

    fn next(&mut self) -> Option<(&'p str, Claim<'p>)> {
        self.left = self.left.checked_sub(1)?;
        Some((self.members.text()?, self.members.claim()?))
    }
}

impl PartialEq for List<'_> {
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(*self, *other)
    }
}

impl PartialEq for Object<'_> {
    fn eq(&self, other: &Self) -> bool {
        Iterator::eq(*self, *other)
    }
}

impl fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(*self).finish()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values().map(|claim| claim.tree())).finish()
    }
}

#[cfg(test)]
mod tests;
