//! What several schemas need.

pub use crate::defaults::shorten_defaults;
use crate::registered::{Entry, Registered};
use schemars::{Schema, SchemaGenerator, json_schema};

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
