//! Descriptions that may be written as a plain text or as a map with a `type`.

use std::fmt::{self, Display};
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::Schema;
use serde::Deserializer;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};

/// A description that is written either way.
pub(crate) trait Shorthand<'de>: FromStr<Err: Display> {
    /// What is expected, for errors.
    const EXPECTED: &'static str;

    /// Reads the map with a `type`.
    fn deserialize_map<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;
}

/// Reads a text through [`FromStr`] and a map as it is.
pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Shorthand<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(TextOrMap(PhantomData))
}

struct TextOrMap<T>(PhantomData<T>);

impl<'de, T: Shorthand<'de>> Visitor<'de> for TextOrMap<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize_map(MapAccessDeserializer::new(map))
    }
}

/// Adds a text to the forms of a schema.
pub(crate) fn or_text(schema: &mut Schema, description: &str) {
    let full = std::mem::take(schema);
    let text = schemars::json_schema!({ "type": "string", "description": description });
    schema.insert("anyOf".to_owned(), vec![text.to_value(), full.to_value()].into());
}
