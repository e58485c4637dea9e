//! YAML as JSON, for files of others' making: the policy's own reader knows only policies.

use granit_parser::Event;
use granit_parser::Parser;
use serde_json::Map;
use serde_json::Value;

enum Open {
    List(Vec<Value>),
    Map(Map<String, Value>, Option<String>),
}

/// One document without anchors. Every scalar is text.
pub(crate) fn read(text: &str) -> Value {
    let mut open = Vec::new();
    for event in Parser::new_from_str(text) {
        let done = match event.expect("YAML").0 {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Map(Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().expect("something is open") {
                Open::List(items) => Value::Array(items),
                Open::Map(members, _) => Value::Object(members),
            },
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            _ => continue,
        };
        match open.last_mut() {
            None => return done,
            Some(Open::List(items)) => items.push(done),
            Some(Open::Map(members, key)) => match key.take() {
                None => *key = Some(done.as_str().expect("a key is text").to_owned()),
                Some(key) => assert!(members.insert(key.clone(), done).is_none(), "{key} is there twice"),
            },
        }
    }
    Value::Null
}
