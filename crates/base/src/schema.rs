//! What several schemas need.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::Value;

use crate::registered::{Entry, Registered};

/// Lets the name stand for an object with a `type`, where the rest has defaults. For
/// `#[schemars(transform = ...)]`.
pub fn or_name<T: Registered>(schema: &mut Schema) {
    let names = T::plain_names();
    or(schema, json_schema!({ "enum": names }));
}

/// Lets a text stand for an object with a `type`, whatever the text looks like.
pub fn or_text(schema: &mut Schema, description: &str) {
    or(schema, json_schema!({ "type": "string", "description": description }));
}

fn or(schema: &mut Schema, other: Schema) {
    let mut full = std::mem::take(schema).to_value();
    let description = full.as_object_mut().and_then(|full| full.remove("description"));
    if let Some(description) = description {
        schema.insert("description".to_owned(), description);
    }
    schema.insert("anyOf".to_owned(), vec![other.to_value(), full].into());
}

/// The schema of kinds that are written as a name or as `{"name": {options}}`.
pub fn name_or_options<T: Registered>(generator: &mut SchemaGenerator) -> Schema {
    let mut forms = vec![json_schema!({ "enum": T::plain_names() })];
    for Entry { name, schema, .. } in T::ENTRIES {
        let options = schema(generator);
        forms.push(json_schema!({
            "type": "object", "properties": { (*name): options },
            "required": [name], "additionalProperties": false
        }));
    }
    let description = format!("One of the {}: a name, or {{\"name\": {{options}}}}.", T::PLURAL);
    json_schema!({ "description": description, "anyOf": forms })
}

/// Writes f32 defaults as 0.1 rather than as the f64 nearest to that f32.
pub fn shorten_defaults(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_f64() {
                    Some(number) if key == "default" && value.is_f64() => {
                        let shortest = (number as f32).to_string().parse::<f64>();
                        *value = shortest.unwrap_or(number).into();
                    }
                    _ => shorten_defaults(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten_defaults),
        _ => {}
    }
}
