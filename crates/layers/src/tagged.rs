//! Reading of values that name their own type: `{"type": "conv2d", ...}`.

use serde_json::{Map, Value};

/// A value split into its type and its other fields.
pub(crate) struct Tagged {
    pub(crate) kind: String,
    pub(crate) options: Map<String, Value>,
}

/// Splits `{"type": kind, ...options}`; with `shorthand` also `"kind"`. The error says what was
/// wanted.
pub(crate) fn split(value: Value, shorthand: bool) -> Result<Tagged, String> {
    let mut options = match value {
        Value::Object(options) => options,
        Value::String(kind) if shorthand => return Ok(Tagged { kind, options: Map::new() }),
        other => return Err(format!("expected an object with a \"type\", got {other}")),
    };
    match options.remove("type") {
        Some(Value::String(kind)) => Ok(Tagged { kind, options }),
        Some(other) => Err(format!("\"type\" must be a string, got {other}")),
        None => Err("the field \"type\" is missing".to_owned()),
    }
}

/// Declares an enum over options structs, each with its name in specs. One line registers one.
/// Besides the enum there are the conversions from the structs, the list of names, and
/// `from_parts`, which reads the options of a named type.
macro_rules! tagged_enum {
    (
        $(#[$meta:meta])*
        pub enum $enum:ident : $trait:ident {
            $($(#[$doc:meta])* $variant:ident = $name:literal),* $(,)?
        }
    ) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(tag = "type")]
        $(#[$meta])*
        pub enum $enum {
            $($(#[$doc])* #[serde(rename = $name)] $variant($variant)),*
        }

        impl $enum {
            /// The type names that a spec may use.
            pub const TYPES: &[&str] = &[$($name),*];

            /// The name of the type in a spec.
            pub fn type_name(&self) -> &'static str {
                match self {
                    $($enum::$variant(_) => $name),*
                }
            }

            fn inner(&self) -> &dyn $trait {
                match self {
                    $($enum::$variant(options) => options),*
                }
            }

            /// Reads the options of the type called `kind`; `None` where there is no such type.
            fn from_parts(
                kind: &str,
                options: serde_json::Value,
            ) -> Option<Result<Self, String>> {
                match kind {
                    $($name => Some(crate::json::from_value(options).map($enum::$variant)),)*
                    _ => None,
                }
            }
        }

        $(impl From<$variant> for $enum {
            fn from(options: $variant) -> Self {
                $enum::$variant(options)
            }
        })*
    };
}
pub(crate) use tagged_enum;
