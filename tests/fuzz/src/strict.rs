//! JSON as we take it, judged by serde_json: one object, no member twice at any level, at most 32 levels deep.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Would we take this?
pub fn is_object(text: &[u8]) -> bool {
    let mut json = serde_json::Deserializer::from_slice(text);
    let read = Level { room: 32, outermost: true }.deserialize(&mut json);
    read.is_ok() && json.end().is_ok()
}

/// A value for which there is room of so many levels.
#[derive(Clone, Copy)]
struct Level {
    room: u8,
    outermost: bool,
}

impl Level {
    fn inner<E: Error>(self) -> Result<Level, E> {
        let room = self.room.checked_sub(1).ok_or_else(|| E::custom("too deep"))?;
        Ok(Level { room, outermost: false })
    }

    fn leaf<E: Error>(self) -> Result<(), E> {
        if self.outermost { Err(E::custom("not an object")) } else { Ok(()) }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.leaf()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.leaf()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.leaf()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.leaf()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.leaf()?;
        let inner = self.inner()?;
        while elements.next_element_seed(inner)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.inner()?;
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if !names.insert(name) {
                return Err(A::Error::custom("twice"));
            }
            members.next_value_seed(inner)?;
        }
        Ok(())
    }
}
