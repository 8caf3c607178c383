//! Settings in JSON, read strictly: a key that stands twice is refused rather than the later taken,
//! and an error says which setting it is about, what was wanted and what was got.
//!
//! ```
//! use onestep_base::json;
//! let error = json::from_str::<Vec<usize>>("[1, 2, \"same\"]").unwrap_err();
//! assert_eq!(error, "[2]: invalid type: string \"same\", expected usize");
//! let error = json::from_str::<json::Value>("{\"p\": 1,\n \"p\": 2}").unwrap_err();
//! assert_eq!(error, "the key `p` is given twice at line 2 column 4");
//! ```

use std::fmt;

use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

pub use serde_json::Value;

/// Reads a text.
///
/// # Errors
/// What is wrong: the line and the column of what is no JSON or stands twice, otherwise the path of the
/// setting, what was got and what was wanted.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    from_value(parse(text)?)
}

/// Reads a text as it is.
///
/// # Errors
/// The line and the column of what is no JSON or stands twice.
pub fn parse(text: &str) -> Result<Value, String> {
    serde_json::from_str::<Strict>(text).map(|strict| strict.0).map_err(|e| e.to_string())
}

/// Reads a value.
///
/// # Errors
/// The path of the setting that is wrong, what was got and what was wanted.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (path, message) = (error.path().to_string(), error.inner().to_string());
        // These say their place themselves.
        let placed = ["unknown field", "layer ", "branch "].iter().any(|p| message.starts_with(p));
        if path == "." || placed { message } else { format!("{path}: {message}") }
    })
}

/// A value in which no key stands twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Strict(pub Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format!("expected a finite number, got {value}")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = serde_json::Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` is given twice")));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
