//! The defaults in schemas.

use serde_json::Value;

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
