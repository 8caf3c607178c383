//! Descriptions that may be written as a plain text or as a map with a `type`.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::Schema;
use serde::Deserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A description that is written either way.
pub(crate) trait Shorthand: FromStr<Err: Display> {
    /// What is expected, for errors.
    const EXPECTED: &'static str;

    /// The types there are.
    const TYPES: &'static [&'static str];

    /// Reads the options of a type, where there is such a type.
    fn from_options(kind: &str, options: Options) -> Option<Result<Self, String>>;
}

/// The map without its `type`.
pub(crate) struct Options(Map<String, Value>);

impl Options {
    /// Reads them. The error says which option is wrong.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, String> {
        serde_path_to_error::deserialize(Value::Object(self.0)).map_err(|error| {
            let (path, message) = (error.path().to_string(), error.inner().to_string());
            let placed = path == "." || message.starts_with("unknown field");
            if placed { message } else { format!("{path}: {message}") }
        })
    }
}

/// Reads a text through [`FromStr`] and a map as it is.
pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Shorthand,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(TextOrMap(PhantomData))
}

struct TextOrMap<T>(PhantomData<T>);

impl<'de, T: Shorthand> Visitor<'de> for TextOrMap<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut options = Map::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            if options.contains_key(&key) {
                return Err(A::Error::custom(format!("the key `{key}` is given twice")));
            }
            options.insert(key, value);
        }
        let kind = match options.remove("type") {
            Some(Value::String(kind)) => kind,
            Some(other) => {
                return Err(A::Error::custom(format!("`type` must be a text, got {other}")));
            }
            None => return Err(A::Error::missing_field("type")),
        };
        match T::from_options(&kind, Options(options)) {
            Some(read) => read.map_err(|problem| A::Error::custom(format!("{kind}: {problem}"))),
            None => Err(A::Error::unknown_variant(&kind, T::TYPES)),
        }
    }
}

/// Adds a text to the forms of a schema.
pub(crate) fn or_text(schema: &mut Schema, description: &str) {
    let full = std::mem::take(schema);
    let text = schemars::json_schema!({ "type": "string", "description": description });
    schema.insert("anyOf".to_owned(), vec![text.to_value(), full.to_value()].into());
}
