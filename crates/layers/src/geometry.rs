//! Sizes of windows over pictures.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A vertical and a horizontal size. In JSON one integer for both, or `[height, width]`.
///
/// ```
/// use onestep_layers::Pair;
/// assert_eq!(Pair::from(3), Pair { height: 3, width: 3 });
/// assert_eq!(Pair::from([3, 5]).to_string(), "[3, 5]");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pair {
    /// The vertical size.
    pub height: usize,
    /// The horizontal size.
    pub width: usize,
}

impl Pair {
    /// The largest size a window, stride, dilation or padding may have. It keeps all arithmetic on
    /// sizes far from overflow.
    pub const MAX: usize = 1 << 24;

    /// `[height, width]`.
    pub fn to_array(self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// What is wrong with the pair as a size of at least `least`, if anything.
    pub(crate) fn range_error(self, least: usize) -> Option<String> {
        let fits = |size| (least..=Self::MAX).contains(&size);
        let wanted = || format!("between {least} and {}", Self::MAX);
        (!fits(self.height) || !fits(self.width)).then(wanted)
    }
}

impl From<usize> for Pair {
    fn from(size: usize) -> Self {
        Pair { height: size, width: size }
    }
}

impl From<[usize; 2]> for Pair {
    fn from([height, width]: [usize; 2]) -> Self {
        Pair { height, width }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.height == self.width {
            write!(f, "{}", self.height)
        } else {
            write!(f, "[{}, {}]", self.height, self.width)
        }
    }
}

/// What a pair may look like in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum PairForm {
    One(usize),
    Two([usize; 2]),
    Word(String),
}

impl Serialize for Pair {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.height == self.width {
            self.height.serialize(serializer)
        } else {
            self.to_array().serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WANTED: &str = "expected a size: an integer or [height, width]";
        let value = serde_json::Value::deserialize(deserializer)?;
        match PairForm::deserialize(&value) {
            Ok(PairForm::One(size)) => Ok(size.into()),
            Ok(PairForm::Two(sizes)) => Ok(sizes.into()),
            _ => Err(D::Error::custom(format!("{WANTED}; got {value}"))),
        }
    }
}

impl JsonSchema for Pair {
    fn schema_name() -> Cow<'static, str> {
        "Pair".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let size = json_schema!({ "type": "integer", "minimum": 0, "maximum": Pair::MAX });
        json_schema!({
            "description": "One integer for both axes, or [height, width].",
            "anyOf": [size, { "type": "array", "items": size, "minItems": 2, "maxItems": 2 }]
        })
    }
}

/// Zeros around a picture. In JSON a size, `[height, width]`, `"same"` or `"valid"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding {
    /// So many rows above and below, and columns left and right.
    Explicit(Pair),
    /// As many as keep the size of the picture; of an odd number the larger half goes below and to
    /// the right. Needs a stride of 1.
    Same,
    /// None.
    Valid,
}

impl Default for Padding {
    fn default() -> Self {
        Padding::Explicit(Pair::from(0))
    }
}

impl From<usize> for Padding {
    fn from(size: usize) -> Self {
        Padding::Explicit(size.into())
    }
}

impl From<[usize; 2]> for Padding {
    fn from(sizes: [usize; 2]) -> Self {
        Padding::Explicit(sizes.into())
    }
}

impl From<Pair> for Padding {
    fn from(pair: Pair) -> Self {
        Padding::Explicit(pair)
    }
}

impl Serialize for Padding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Padding::Explicit(pair) => pair.serialize(serializer),
            Padding::Same => serializer.serialize_str("same"),
            Padding::Valid => serializer.serialize_str("valid"),
        }
    }
}

impl<'de> Deserialize<'de> for Padding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WANTED: &str = "expected padding: an integer, [height, width], \"same\" or \"valid\"";
        let value = serde_json::Value::deserialize(deserializer)?;
        match PairForm::deserialize(&value) {
            Ok(PairForm::One(size)) => Ok(size.into()),
            Ok(PairForm::Two(sizes)) => Ok(sizes.into()),
            Ok(PairForm::Word(word)) if word == "same" => Ok(Padding::Same),
            Ok(PairForm::Word(word)) if word == "valid" => Ok(Padding::Valid),
            _ => Err(D::Error::custom(format!("{WANTED}; got {value}"))),
        }
    }
}

impl JsonSchema for Padding {
    fn schema_name() -> Cow<'static, str> {
        "Padding".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let pair = generator.subschema_for::<Pair>();
        json_schema!({
            "description": "A size, [height, width], \"same\" or \"valid\".",
            "anyOf": [pair, { "enum": ["same", "valid"] }]
        })
    }
}
