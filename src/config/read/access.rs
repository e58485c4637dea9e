//! How serde walks lists, mappings, tables and choices.

use std::slice::Iter;

use serde::de::DeserializeSeed;
use serde::de::EnumAccess;
use serde::de::Error;
use serde::de::IntoDeserializer;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::VariantAccess;
use serde::de::Visitor;
use serde::de::value::StrDeserializer;

use crate::config::nearest;
use crate::config::read::Given;
use crate::config::read::Stop;
use crate::config::read::value::Reader;
use crate::config::yaml::Node;

/// The items of a list.
pub(super) struct Items<'r, 't> {
    pub(super) reader: Reader<'r, 't>,
    pub(super) items: Iter<'r, Node<'t>>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        match self.items.next() {
            Some(_) if self.reader.context.stopped.get() => Err(Stop::Enough),
            Some(item) => seed.deserialize(self.reader.at(Some(item))).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a mapping with keys of the operator's own.
pub(super) struct Pairs<'r, 't> {
    pub(super) reader: Reader<'r, 't>,
    pub(super) entries: Iter<'r, (Node<'t>, Node<'t>)>,
    pub(super) value: Option<&'r Node<'t>>,
}

impl<'de> MapAccess<'de> for Pairs<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        match self.entries.next() {
            Some(_) if self.reader.context.stopped.get() => Err(Stop::Enough),
            Some((key, value)) => {
                self.value = Some(value);
                seed.deserialize(self.reader.at(Some(key))).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.reader.at(self.value.take()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// The entries of a mapping whose keys we know. Keys we do not know are noted, and read as the key that was probably
/// meant or passed over; keys that are missing and given follow at the end.
pub(super) struct Table<'r, 't> {
    reader: Reader<'r, 't>,
    name: &'static str,
    keys: &'static [&'static str],
    entries: &'r [(Node<'t>, Node<'t>)],
    rest: Iter<'r, (Node<'t>, Node<'t>)>,
    /// The keys that were read in place of others.
    meant: Vec<&'static str>,
    given: Iter<'r, Given>,
    value: Option<&'r Node<'t>>,
}

impl<'r, 't> Table<'r, 't> {
    pub(super) fn new(
        reader: Reader<'r, 't>,
        name: &'static str,
        keys: &'static [&'static str],
        entries: &'r [(Node<'t>, Node<'t>)],
    ) -> Table<'r, 't> {
        let given = reader.given.iter();
        Table { reader, name, keys, entries, rest: entries.iter(), meant: Vec::new(), given, value: None }
    }

    /// The key that an unknown one probably means, if it is free.
    fn meant(&mut self, unknown: &str) -> Option<&'static str> {
        let key = nearest::nearest(unknown, self.keys)?;
        if self.meant.contains(&key) || self.entries.iter().any(|(other, _)| other.text() == Some(key)) {
            return None;
        }
        self.meant.push(key);
        Some(key)
    }
}

impl<'de> MapAccess<'de> for Table<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        while let Some((key, value)) = self.rest.next() {
            if self.reader.context.stopped.get() {
                return Err(Stop::Enough);
            }
            let text = key.text().unwrap_or("");
            let mut known = self.keys.iter().copied().find(|known| *known == text);
            if known.is_none() {
                known = self.meant(text);
                self.reader.note_unknown(key, known.is_some(), nearest::help(text, self.keys));
            }
            if let Some(known) = known {
                self.value = Some(value);
                return seed.deserialize(identifier(known)).map(Some);
            }
        }
        let node = self.reader.node.map(|node| node.span);
        let Some(given) = self.given.find(|given| given.table == self.name && given.node == node) else {
            return Ok(None);
        };
        let help = (given.key == "version").then(|| "write `version: 1`".to_owned());
        self.reader.note_missing(given.key, help);
        self.value = None;
        seed.deserialize(identifier(given.key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Stop> {
        seed.deserialize(self.reader.at(self.value.take()))
    }
}

/// The value of an `At`, offered again each time a missing key was found.
pub(super) struct Attempts<'r, 't> {
    reader: Reader<'r, 't>,
    given: Vec<Given>,
    noted: usize,
    again: bool,
}

impl<'r, 't> Attempts<'r, 't> {
    pub(super) fn new(reader: Reader<'r, 't>) -> Attempts<'r, 't> {
        Attempts { reader, given: Vec::new(), noted: reader.context.noted(), again: true }
    }
}

impl<'de> SeqAccess<'de> for Attempts<'_, '_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.again = false;
        let Reader { context, node, .. } = self.reader;
        let stop = match seed.deserialize(Reader { context, node, given: &self.given }) {
            Ok(value) => return Ok(Some(value)),
            Err(stop) => stop,
        };
        match &stop {
            Stop::Give(given) if !self.given.contains(given) => {
                self.given.push(given.clone());
                context.forget_since(self.noted);
                self.again = true;
            }
            Stop::Refused(message) if context.noted() == self.noted => self.reader.note(message.clone(), None),
            Stop::Give(_) | Stop::Missing(_) | Stop::Refused(_) | Stop::Enough => {}
        }
        Err(stop)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.again))
    }
}

/// One of several alternatives.
pub(super) struct Choice<'r, 't> {
    pub(super) variant: &'static str,
    /// Written as a bare word, without a value.
    pub(super) bare: bool,
    pub(super) content: Reader<'r, 't>,
}

impl<'de> EnumAccess<'de> for Choice<'_, '_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Stop> {
        seed.deserialize(identifier(self.variant)).map(|value| (value, self))
    }
}

impl<'r, 't> Choice<'r, 't> {
    /// The value that belongs to the variant.
    fn content(&self) -> Reader<'r, 't> {
        if self.bare {
            let help = format!("write `{{{}: …}}`", self.variant);
            self.content.note(format!("`{}` needs a value", self.variant), Some(help));
            return self.content.nothing();
        }
        self.content
    }
}

impl<'de> VariantAccess<'de> for Choice<'_, '_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<(), Stop> {
        if !self.bare {
            let help = format!("write only `{}`", self.variant);
            self.content.note(format!("`{}` takes no value", self.variant), Some(help));
        }
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self.content())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Stop> {
        Err(Stop::custom("a variant with several unnamed values cannot be written"))
    }

    fn struct_variant<V: Visitor<'de>>(self, keys: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        serde::Deserializer::deserialize_struct(self.content(), self.variant, keys, visitor)
    }
}

fn identifier(name: &'static str) -> StrDeserializer<'static, Stop> {
    name.into_deserializer()
}
