//! JSON from strangers: one object, no member twice at any level, at most 32 levels deep (J7, J16).

use std::fmt;

use serde::de::DeserializeSeed;
use serde::de::Deserializer;
use serde::de::Error;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::authn::quoted::Quoted;

/// The deepest nesting of objects and arrays, the outermost counted.
const MAX_DEPTH: u8 = 32;

/// Why a text is not the JSON we take.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error("is not sound JSON: {0}")]
    Unsound(#[source] serde_json::Error),
    #[error("is not a JSON object")]
    NotAnObject,
}

/// Read one JSON object. Members are compared after their escapes are decoded.
pub(super) fn parse_object(text: &[u8]) -> Result<Map<String, Value>, JsonError> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let value = Strict { room: MAX_DEPTH }.deserialize(&mut json).map_err(JsonError::Unsound)?;
    json.end().map_err(JsonError::Unsound)?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(JsonError::NotAnObject),
    }
}

/// Builds a value while counting levels and refusing doubles.
#[derive(Clone, Copy)]
struct Strict {
    room: u8,
}

impl Strict {
    fn inner<E: Error>(self) -> Result<Strict, E> {
        match self.room.checked_sub(1) {
            Some(room) => Ok(Strict { room }),
            None => Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if map.contains_key(&name) {
                return Err(A::Error::custom(format_args!("the member {} stands twice", Quoted(&name))));
            }
            map.insert(name, value);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        parse_object(text.as_bytes()).map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn sound_objects_are_read_as_serde_json_reads_them() {
        for text in [
            "{}",
            " {\"a\":1} ",
            r#"{"a":[1,-2,3.5,1e3,true,null,"x"],"b":{"c":{}},"\u0064":"\ud83d\ude00"}"#,
            r#"{"big":18446744073709551615,"float":1.0}"#,
        ] {
            assert_eq!(read(text), Ok(serde_json::from_str(text).expect("json")), "{text}");
        }
    }

    #[test]
    fn j7_doubles_are_refused_at_every_level_escapes_included() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"iss":"x","\u0069ss":"y"}"#,
            r#"{"b":{"a":1,"a":2}}"#,
            r#"{"b":[{"a":1,"\u0061":2}]}"#,
        ] {
            assert!(read(text).is_err_and(|error| error.contains("stands twice")), "{text}");
        }
    }

    #[test]
    fn anything_but_one_object_is_refused() {
        for text in
            ["", "1", "[]", "\"a\"", "null", "{} {}", "{}x", "{\"a\":1,}", "{\"a\":1e999}", "{'a':1}", "\u{feff}{}"]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(parse_object(b"{\"a\":\"\xff\"}").is_err());
        assert!(read(r#"{"a":"\ud800"}"#).is_err());
    }

    #[test]
    fn j16_nesting_ends_at_32_levels() {
        let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(read(&nested(32)).is_ok());
        assert!(read(&nested(33)).is_err());
        assert!(read(&nested(100_000)).is_err());
    }
}
