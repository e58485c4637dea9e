//! A value, offered to serde as whatever its type asks for.

use serde::Deserializer;
use serde::de::Visitor;
use serde::forward_to_deserialize_any;

use crate::config::at;
use crate::config::nearest;
use crate::config::read::Given;
use crate::config::read::Stop;
use crate::config::read::access::Attempts;
use crate::config::read::access::Choice;
use crate::config::read::access::Items;
use crate::config::read::access::Pairs;
use crate::config::read::access::Table;
use crate::config::read::number;
use crate::config::read::place_of;
use crate::config::read::value::Reader;
use crate::config::read::value::one_of;
use crate::config::yaml::Value;
use crate::model::problem::Place;

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $number:ty;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
            let wanted = format!("a whole number from {} to {}", <$number>::MIN, <$number>::MAX);
            visitor.$visit(self.plain(&wanted, number::parse_whole::<$number>))
        })*
    };
}

impl<'de> Deserializer<'de> for Reader<'_, '_> {
    type Error = Stop;

    whole_numbers! {
        deserialize_u8 visit_u8 u8;
        deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32;
        deserialize_u64 visit_u64 u64;
        deserialize_i64 visit_i64 i64;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_bool(self.plain("`true` or `false`", number::parse_bool))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_f64(self.plain("a number that is not too large to be exact", number::parse_float))
    }

    /// Any scalar is text, as it is spelled.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.scalar() {
            Some((text, _)) => visitor.visit_str(text),
            None => {
                self.note_wanted("text", None);
                visitor.visit_str("")
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        if self.node.is_some() { visitor.visit_some(self) } else { visitor.visit_none() }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_seq(Items { reader: self, items: self.items(false).iter() })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        let (reader, entries) = self.entries("");
        visitor.visit_map(Pairs { reader, entries: entries.iter(), value: None })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        match name {
            at::AT => {
                let context = self.context;
                let place = self.node.and_then(|node| place_of(context.files, node.span));
                at::hand_over(place.unwrap_or_else(|| Place::whole("")));
                visitor.visit_seq(Attempts::new(self))
            }
            at::ONE_OR_MANY => visitor.visit_seq(Items { reader: self, items: self.items(true).iter() }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        table: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let (reader, entries) = self.entries(table);
        let node = reader.node.map(|node| node.span);
        let outcome = visitor.visit_map(Table::new(reader, table, keys, entries));
        outcome.map_err(|stop| match stop {
            Stop::Missing(key) => Stop::Give(Given { node, table, key }),
            other => other,
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        let stand_in = Choice { variant: variants.first().copied().unwrap_or(""), bare: true, content: self.nothing() };
        if name == at::SHAPE {
            return visitor.visit_enum(match self.shape(variants) {
                Some(variant) => Choice { variant, bare: false, content: self },
                None => {
                    self.note_shape(variants);
                    stand_in
                }
            });
        }
        let find = |text: &str| variants.iter().copied().find(|variant| *variant == text);
        let choice = match self.node.map(|node| &node.value) {
            None | Some(Value::Refused) => stand_in,
            Some(Value::Scalar { text, .. }) => match find(text) {
                Some(variant) => Choice { variant, bare: true, content: self },
                None => {
                    self.note_wanted(&one_of(variants), Some(nearest::help(text, variants)));
                    match nearest::nearest(text, variants) {
                        Some(variant) => Choice { variant, ..stand_in },
                        None => stand_in,
                    }
                }
            },
            Some(Value::Map(entries)) => self.chosen(variants, entries).unwrap_or(stand_in),
            Some(Value::Null | Value::List(_)) => {
                self.note_wanted(&one_of(variants), None);
                stand_in
            }
        };
        visitor.visit_enum(choice)
    }

    /// For types that take whatever comes; the tree has none.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        match self.node.map(|node| &node.value) {
            None | Some(Value::Null | Value::Refused) => visitor.visit_unit(),
            Some(Value::List(_)) => self.deserialize_seq(visitor),
            Some(Value::Map(_)) => self.deserialize_map(visitor),
            Some(Value::Scalar { text, plain: true }) if number::is_number(text) => self.deserialize_f64(visitor),
            Some(Value::Scalar { text, plain: true }) if number::parse_bool(text).is_some() => {
                self.deserialize_bool(visitor)
            }
            Some(Value::Scalar { .. }) => self.deserialize_str(visitor),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        i8 i16 i32 f32 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}
