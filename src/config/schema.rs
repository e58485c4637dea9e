//! The JSON Schema of a policy file, for editors. Derived from the tree, so that the two cannot drift.

use schemars::JsonSchema;
use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::Transform;
use schemars::transform::transform_subschemas;
use serde_json::Value;
use serde_json::json;

use crate::config::tree::Cases;
use crate::config::tree::Config;

/// The schema, draft 2020-12.
pub fn json_schema() -> Value {
    schema_of::<Config>("Postern policy")
}

/// The schema of a file of cases, as `postern test` reads it.
pub fn cases_schema() -> Value {
    schema_of::<Cases>("Postern cases")
}

fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with_transform(NothingEmpty);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    if let Some(version) = schema.as_value().pointer("/properties/version/description").cloned() {
        let known = json!({ "description": version, "const": 1 });
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            properties.insert("version".to_owned(), known);
        }
    }
    schema.to_value()
}

/// Empty lists and mappings are refused wherever they stand. A key that may be left out may not be `null` either.
#[derive(Clone, Debug)]
struct NothingEmpty;

impl Transform for NothingEmpty {
    fn transform(&mut self, schema: &mut Schema) {
        transform_subschemas(self, schema);
        let has_type = |schema: &Schema, name: &str| schema.get("type").and_then(Value::as_str) == Some(name);
        without_null(schema);
        if has_type(schema, "array") {
            schema.insert("minItems".to_owned(), 1.into());
        }
        if has_type(schema, "object") {
            schema.insert("minProperties".to_owned(), 1.into());
        }
        schema.remove("default");
    }
}

/// `Option` lets `null` in; the reader does not.
fn without_null(schema: &mut Schema) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    let Some(choices) = schema.get_mut("anyOf").and_then(Value::as_array_mut) else { return };
    choices.retain(|choice| choice.get("type").and_then(Value::as_str) != Some("null"));
    if let [Value::Object(only)] = choices.as_slice() {
        let only = only.clone();
        schema.remove("anyOf");
        for (key, value) in only {
            schema.insert(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_says_what_the_language_is() {
        let schema = json_schema();
        for (pointer, want) in [
            ("/$schema", json!("https://json-schema.org/draft/2020-12/schema")),
            ("/title", json!("Postern policy")),
            ("/description", json!("A Postern policy file.")),
            ("/required", json!(["version"])),
            ("/properties/version/const", json!(1)),
            ("/properties/hosts/additionalProperties/$ref", json!("#/$defs/HostBlock")),
            ("/$defs/HostBlock/properties/routes/items/$ref", json!("#/$defs/Route")),
            ("/$defs/Route/properties/require/$ref", json!("#/$defs/Require")),
            ("/$defs/Jwt/required", json!(["issuer", "audience"])),
            ("/$defs/Require/minProperties", json!(1)),
            ("/$defs/Require/properties/any/minItems", json!(1)),
            ("/$defs/Require/properties/groups/anyOf/0/type", json!("string")),
            ("/$defs/TokenPlace/oneOf/0/const", json!("bearer")),
            ("/$defs/AddressSource/oneOf/2/const", json!("forwarded")),
            ("/$defs/Defaults/properties/encode/$ref", json!("#/$defs/Encode")),
            ("/$defs/Encode/properties/user/$ref", json!("#/$defs/HeaderEncoding")),
            ("/$defs/HeaderEncoding/oneOf/1/const", json!("rfc2047")),
            ("/$defs/GroupFormat/oneOf/1/const", json!("json")),
        ] {
            assert_eq!(schema.pointer(pointer), Some(&want), "{pointer}");
        }
    }

    #[test]
    fn no_table_takes_unknown_keys_and_nothing_takes_null() {
        fn walk(schema: &Value, path: &str) {
            if schema.get("properties").is_some_and(|properties| !properties.as_object().expect("a map").is_empty())
                && schema.get("type").is_some()
            {
                assert_eq!(schema.get("additionalProperties"), Some(&json!(false)), "{path}");
            }
            assert_ne!(schema.get("type"), Some(&json!("null")), "{path}");
            match schema {
                Value::Object(entries) => entries.iter().for_each(|(key, value)| walk(value, &format!("{path}/{key}"))),
                Value::Array(items) => {
                    items.iter().enumerate().for_each(|(n, item)| walk(item, &format!("{path}/{n}")))
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        walk(&json_schema(), "");
    }
}
