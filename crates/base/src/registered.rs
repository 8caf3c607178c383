//! What a list of named kinds can do.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::defaults::shorten_defaults;
use crate::json;

/// A choice among named kinds, each with options. [`registry!`](crate::registry!) implements it.
pub trait Registered: Sized {
    /// What one is called in messages: `loss`.
    const KIND: &'static str;

    /// What several are called: `losses`.
    const PLURAL: &'static str;

    /// All kinds, in the order of the list.
    const ENTRIES: &'static [Entry];

    /// Reads the options, an object, of the kind called `name`; `None` where there is no such kind.
    /// The error says which option is wrong.
    fn from_parts(name: &str, options: Value) -> Option<Result<Self, String>>;

    /// The names, for a line of help: `mse, mae, huber`.
    fn help() -> String {
        let names: Vec<&str> = Self::ENTRIES.iter().map(|entry| entry.name).collect();
        names.join(", ")
    }

    /// The kinds that need no options, so that the name alone stands for one.
    fn plain_names() -> Vec<&'static str> {
        let plain = |name: &&str| matches!(Self::from_parts(name, Map::new().into()), Some(Ok(_)));
        Self::ENTRIES.iter().map(|entry| entry.name).filter(plain).collect()
    }

    /// A table in Markdown: a row for each kind with its name, what it is, and its options with
    /// their defaults.
    fn table() -> String {
        let rows = Self::ENTRIES.iter().map(Entry::row);
        format!(
            "| name | what it is | options |\n| --- | --- | --- |\n{}",
            rows.collect::<String>()
        )
    }

    /// Reads the options of the kind called `name`.
    ///
    /// # Errors
    /// [`RegistryError`]: there is no such name, or which option is wrong.
    fn named(name: &str, options: Value) -> Result<Self, RegistryError> {
        match Self::from_parts(name, options) {
            Some(Ok(it)) => Ok(it),
            Some(Err(problem)) => {
                Err(RegistryError::Options { kind: Self::KIND, name: name.to_owned(), problem })
            }
            None => Err(RegistryError::Unknown {
                kind: Self::KIND,
                plural: Self::PLURAL,
                name: name.to_owned(),
                known: Self::help(),
            }),
        }
    }

    /// Reads `{"type": name, ...options}`.
    ///
    /// # Errors
    /// [`RegistryError`].
    fn from_object(value: Value) -> Result<Self, RegistryError> {
        let form = |problem| RegistryError::Form { kind: Self::KIND, problem };
        let mut options = match value {
            Value::Object(options) => options,
            other => return Err(form(format!("expected an object with a \"type\", got {other}"))),
        };
        match options.remove("type") {
            Some(Value::String(name)) => Self::named(&name, options.into()),
            Some(other) => Err(form(format!("\"type\" must be a string, got {other}"))),
            None => Err(form("the field \"type\" is missing".to_owned())),
        }
    }

    /// Reads a name, or an object with a `type`.
    ///
    /// # Errors
    /// [`RegistryError`].
    fn from_name_or_object(value: Value) -> Result<Self, RegistryError> {
        match value {
            Value::String(name) => Self::named(&name, Map::new().into()),
            object => Self::from_object(object),
        }
    }

    /// Reads a name, or `{"name": {options}}`.
    ///
    /// # Errors
    /// [`RegistryError`].
    fn from_name_or_options(value: Value) -> Result<Self, RegistryError> {
        match value {
            Value::String(name) => Self::named(&name, Map::new().into()),
            Value::Object(map) if map.len() == 1 => {
                let (name, options) = map.into_iter().next().unwrap_or_default();
                Self::named(&name, options)
            }
            other => {
                let problem = format!("expected a name or {{\"name\": {{options}}}}, got {other}");
                Err(RegistryError::Form { kind: Self::KIND, problem })
            }
        }
    }

    /// Reads a name, or the text of a JSON object with a `type`, as a command line has it.
    ///
    /// # Errors
    /// [`RegistryError`].
    fn from_text(text: &str) -> Result<Self, RegistryError> {
        if !text.trim_start().starts_with('{') {
            return Self::named(text.trim(), Map::new().into());
        }
        let value = json::parse(text)
            .map_err(|problem| RegistryError::Form { kind: Self::KIND, problem })?;
        Self::from_object(value)
    }
}

/// A kind of a list.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Its name in settings.
    pub name: &'static str,
    /// The comment over its line of the list.
    pub about: &'static str,
    /// The schema of its options.
    pub schema: fn(&mut SchemaGenerator) -> Schema,
}

impl Entry {
    fn row(&self) -> String {
        let schema = options_schema(self);
        let properties = schema.get("properties").and_then(Value::as_object);
        let option = |(name, property): (&String, &Value)| match property.get("default") {
            Some(default) if !default.is_null() => format!("`{name}` {default}"),
            _ => format!("`{name}`"),
        };
        let options: Vec<String> = properties.into_iter().flatten().map(option).collect();
        format!("| `{}` | {} | {} |\n", self.name, self.about.trim(), options.join("; "))
    }
}

/// The schema of an entry's options itself, where the generator gives a reference to it.
fn options_schema(entry: &Entry) -> Value {
    let mut generator = SchemaGenerator::default();
    let mut schema = (entry.schema)(&mut generator).to_value();
    let reference = schema.get("$ref").and_then(Value::as_str);
    let name = reference.and_then(|r| r.rsplit('/').next());
    if let Some(definition) = name.and_then(|name| generator.definitions().get(name)) {
        schema = definition.clone();
    }
    shorten_defaults(&mut schema);
    schema
}

/// The options of a kind that has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(description = "No options.")]
pub struct NoOptions {}

/// A setting that names no kind of its list, or options that the kind does not take.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RegistryError {
    /// No name and no object with one.
    #[error("{kind}: {problem}")]
    Form {
        /// What was to be read, such as `loss`.
        kind: &'static str,
        /// What was wanted and what was got.
        problem: String,
    },
    /// There is no kind of that name.
    #[error("unknown {kind} `{name}`; known {plural}: {known}")]
    Unknown {
        /// What was to be read, such as `loss`.
        kind: &'static str,
        /// Several of it, such as `losses`.
        plural: &'static str,
        /// The name that was got.
        name: String,
        /// The names there are.
        known: String,
    },
    /// An option is wrong, missing or unknown.
    #[error("{kind} `{name}`: {problem}")]
    Options {
        /// What was to be read, such as `loss`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// The option, what was wanted of it and what was got.
        problem: String,
    },
}
