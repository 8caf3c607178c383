//! One list makes all that there is to a choice among named kinds.

/// Declares an enum over named kinds, each with a struct of options, and makes from this one list:
/// the enum, `TYPES` and `type_name`, reading and writing (serde, [`FromStr`]),
/// the JSON schema, a line of help ([`Registered::help`]) and a table for the documents
/// ([`Registered::table`]).
///
/// Each line is `Variant(Options) = "name"` under a comment that says what it is; `Variant = "name"`
/// has no options. `form` says how one is written:
///
/// | form | in JSON | as a text |
/// | --- | --- | --- |
/// | `object` | `{"type": "huber", "delta": 0.5}` | |
/// | `name_or_object(Error)` | that, or `"huber"` | `FromStr`: the name, or the object; the error is made `From<RegistryError>` |
/// | `text_or_object` | that, or any text | by a `FromStr` of one's own |
/// | `name_or_options` | `"huber"` or `{"huber": {"delta": 0.5}}` | |
///
/// With `: Trait` behind the enum's name, which all options implement, a private method `inner` gives
/// the options as `&dyn Trait`. But for `name_or_options` each options struct turns into the enum by
/// `From`. The crate that uses the macro needs `serde` and `schemars`.
///
/// ```
/// use onestep_base::{Registered, RegistryError, registry};
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
/// #[serde(deny_unknown_fields)]
/// pub struct Circle {
///     #[serde(default)]
///     pub radius: f32,
/// }
///
/// registry! {
///     kind = "shape", plural = "shapes", form = name_or_object(RegistryError);
///     /// A shape by name with its options.
///     pub enum Shape {
///         /// All points of one distance.
///         Circle(Circle) = "circle",
///         /// Nothing.
///         Empty = "empty",
///     }
/// }
///
/// let half = Shape::from(Circle { radius: 0.5 });
/// assert_eq!(serde_json::from_str::<Shape>(r#"{"type": "circle", "radius": 0.5}"#)?, half);
/// assert_eq!(serde_json::to_string(&half)?, r#"{"type":"circle","radius":0.5}"#);
/// assert_eq!("empty".parse::<Shape>()?.type_name(), "empty");
/// assert_eq!(Shape::help(), "circle, empty");
/// assert!(Shape::table().ends_with(
///     "| `circle` | All points of one distance. | `radius` 0.0 |\n| `empty` | Nothing. |  |\n"
/// ));
/// let error = "square".parse::<Shape>().unwrap_err().to_string();
/// assert_eq!(error, "unknown shape `square`; known shapes: circle, empty");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Registered::help`]: crate::Registered::help
/// [`Registered::table`]: crate::Registered::table
/// [`FromStr`]: std::str::FromStr
#[macro_export]
macro_rules! registry {
    (
        kind = $kind:literal, plural = $plural:literal, form = $form:ident $(($error:ty))?;
        $(#[$meta:meta])*
        pub enum $enum:ident $(: $trait:path)? {
            $($(#[doc = $about:literal])+ $variant:ident $(($options:ty))? = $name:literal),*
            $(,)?
        }
    ) => {
        $crate::__registry_enum! { $form
            $(#[$meta])*
            pub enum $enum {
                $($(#[doc = $about])+ #[serde(rename = $name)] $variant $(($options))?,)*
            }
        }

        impl $enum {
            /// The names that settings may use.
            pub const TYPES: &'static [&'static str] = &[$($name),*];

            /// The name in settings.
            pub fn type_name(&self) -> &'static str {
                match self {
                    $($enum::$variant { .. } => $name,)*
                }
            }
        }

        impl $crate::Registered for $enum {
            const KIND: &'static str = $kind;
            const PLURAL: &'static str = $plural;
            const ENTRIES: &'static [$crate::Entry] = &[$($crate::Entry {
                name: $name,
                about: concat!($($about),+),
                schema: $crate::__registry_schema!($($options)?),
            }),*];

            fn from_parts(
                name: &str,
                options: $crate::json::Value,
            ) -> ::std::option::Option<::std::result::Result<Self, ::std::string::String>> {
                match name {
                    $($name => ::std::option::Option::Some(
                        $crate::__registry_read!(options, $enum::$variant $(, $options)?),
                    ),)*
                    _ => ::std::option::Option::None,
                }
            }
        }

        $crate::__registry_form! { $form, $enum $(, $error)? }
        $crate::__registry_inner! { $enum $(: $trait)? { $($variant $(($options))?),* } }
        $($crate::__registry_from! { $form, $enum::$variant $(, $options)? })*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry_enum {
    (name_or_options $($enum:tt)*) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        $($enum)*
    };
    (name_or_object $(#[$meta:meta])* pub enum $enum:ident { $($variants:tt)* }) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(tag = "type")]
        #[schemars(transform = $crate::schema::or_name::<$enum>)]
        $(#[$meta])*
        pub enum $enum { $($variants)* }
    };
    ($form:ident $($enum:tt)*) => {
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(tag = "type")]
        $($enum)*
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry_schema {
    () => {
        |generator| generator.subschema_for::<$crate::NoOptions>()
    };
    ($options:ty) => {
        |generator| generator.subschema_for::<$options>()
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry_read {
    ($value:ident, $enum:ident :: $variant:ident) => {
        $crate::json::from_value::<$crate::NoOptions>($value).map(|_| $enum::$variant)
    };
    ($value:ident, $enum:ident :: $variant:ident, $options:ty) => {
        $crate::json::from_value::<$options>($value).map($enum::$variant)
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry_from {
    (name_or_options, $($rest:tt)*) => {};
    ($form:ident, $enum:ident :: $variant:ident) => {};
    ($form:ident, $enum:ident :: $variant:ident, $options:ty) => {
        impl From<$options> for $enum {
            fn from(options: $options) -> Self {
                $enum::$variant(options)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry_inner {
    ($enum:ident { $($variants:tt)* }) => {};
    ($enum:ident : $trait:path { $($variant:ident ($options:ty)),* }) => {
        impl $enum {
            fn inner(&self) -> &dyn $trait {
                match self {
                    $($enum::$variant(options) => options,)*
                }
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry_form {
    (object, $enum:ident) => {
        $crate::__registry_deserialize! { $enum, |value| $crate::Registered::from_object(value) }
    };
    (name_or_object, $enum:ident, $error:ty) => {
        $crate::__registry_deserialize! {
            $enum, |value| $crate::Registered::from_name_or_object(value)
        }

        impl ::std::str::FromStr for $enum {
            type Err = $error;

            /// Reads a name, or the JSON object.
            fn from_str(text: &str) -> ::std::result::Result<Self, $error> {
                $crate::Registered::from_text(text).map_err(::std::convert::Into::into)
            }
        }
    };
    (text_or_object, $enum:ident) => {
        $crate::__registry_deserialize! { $enum, |value| match value {
            $crate::json::Value::String(text) => {
                text.parse::<$enum>().map_err(|error| error.to_string())
            }
            other => <$enum as $crate::Registered>::from_object(other)
                .map_err(|error| error.to_string()),
        } }
    };
    (name_or_options, $enum:ident) => {
        $crate::__registry_deserialize! {
            $enum, |value| $crate::Registered::from_name_or_options(value)
        }

        impl schemars::JsonSchema for $enum {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                stringify!($enum).into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::schema::name_or_options::<$enum>(generator)
            }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __registry_deserialize {
    ($enum:ident, |$value:ident| $read:expr) => {
        impl<'de> serde::Deserialize<'de> for $enum {
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::std::result::Result<Self, D::Error> {
                let $crate::json::Strict($value) =
                    <$crate::json::Strict as serde::Deserialize>::deserialize(deserializer)?;
                $read.map_err(<D::Error as serde::de::Error>::custom)
            }
        }
    };
}
