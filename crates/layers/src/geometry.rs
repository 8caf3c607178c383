//! Sizes of windows over sequences, pictures and volumes.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A size for each axis behind the channels: [`Single`] for sequences, [`Pair`] for pictures, [`Triple`] for
/// volumes.
pub trait Sizes:
    Copy
    + fmt::Debug
    + fmt::Display
    + PartialEq
    + From<usize>
    + Serialize
    + DeserializeOwned
    + JsonSchema
    + Send
    + Sync
    + 'static
{
    /// How it is written, in messages.
    const FORM: &'static str;
    /// How the sample is written that has these axes.
    const SAMPLE: &'static str;
    /// What such a sample is called.
    const NOUN: &'static str;
    /// How many axes there are.
    const AXES: usize;

    /// The sizes, in the order of the axes.
    fn to_vec(self) -> Vec<usize>;
}

impl Sizes for Single {
    const FORM: &'static str = "an integer";
    const SAMPLE: &'static str = "[channels, length]";
    const NOUN: &'static str = "sequence";
    const AXES: usize = 1;

    fn to_vec(self) -> Vec<usize> {
        vec![self.0]
    }
}

impl Sizes for Pair {
    const FORM: &'static str = "an integer, [height, width]";
    const SAMPLE: &'static str = "[channels, height, width]";
    const NOUN: &'static str = "picture";
    const AXES: usize = 2;

    fn to_vec(self) -> Vec<usize> {
        self.to_array().to_vec()
    }
}

impl Sizes for Triple {
    const FORM: &'static str = "an integer, [depth, height, width]";
    const SAMPLE: &'static str = "[channels, depth, height, width]";
    const NOUN: &'static str = "volume";
    const AXES: usize = 3;

    fn to_vec(self) -> Vec<usize> {
        self.0.to_vec()
    }
}

/// The size of the only axis of a sequence. In JSON an integer.
///
/// ```
/// use onestep_layers::{Conv1d, Single};
/// assert_eq!(Conv1d::new(8, 3).kernel_size, Single(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Single(pub usize);

impl From<usize> for Single {
    fn from(size: usize) -> Self {
        Single(size)
    }
}

impl fmt::Display for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is wrong with sizes of at least `least`, if anything.
pub(crate) fn range_error(sizes: &[usize], least: usize) -> Option<String> {
    let fit = sizes.iter().all(|size| (least..=Pair::MAX).contains(size));
    (!fit).then(|| format!("between {least} and {}", Pair::MAX))
}

/// The sizes of depth, height and width. In JSON one integer for all, or `[depth, height, width]`.
///
/// ```
/// use onestep_layers::Triple;
/// assert_eq!(Triple::from(3), Triple([3, 3, 3]));
/// assert_eq!(Triple::from([1, 3, 5]).to_string(), "[1, 3, 5]");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Triple(pub [usize; 3]);

impl From<usize> for Triple {
    fn from(size: usize) -> Self {
        Triple([size; 3])
    }
}

impl From<[usize; 3]> for Triple {
    fn from(sizes: [usize; 3]) -> Self {
        Triple(sizes)
    }
}

impl fmt::Display for Triple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [depth, height, width] = self.0;
        if depth == height && height == width {
            return write!(f, "{depth}");
        }
        write!(f, "[{depth}, {height}, {width}]")
    }
}

impl Serialize for Triple {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            [depth, height, width] if depth == height && height == width => {
                depth.serialize(serializer)
            }
            sizes => sizes.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Triple {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const WANTED: &str = "expected a size: an integer or [depth, height, width]";
        let value = serde_json::Value::deserialize(deserializer)?;
        let one = usize::deserialize(&value).map(Triple::from);
        let sizes = one.or_else(|_| <[usize; 3]>::deserialize(&value).map(Triple));
        sizes.map_err(|_| D::Error::custom(format!("{WANTED}; got {value}")))
    }
}

impl JsonSchema for Triple {
    fn schema_name() -> Cow<'static, str> {
        "Triple".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let size = json_schema!({ "type": "integer", "minimum": 0, "maximum": Pair::MAX });
        json_schema!({
            "description": "One integer for all axes, or [depth, height, width].",
            "anyOf": [size, { "type": "array", "items": size, "minItems": 3, "maxItems": 3 }]
        })
    }
}

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

/// How much stands around a sample. In JSON a size, a list of one for each axis, `"same"` or `"valid"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Padding<S = Pair> {
    /// So many elements on both sides of each axis.
    Explicit(S),
    /// As many as keep the size of the sample; of an odd number the larger half goes behind the last
    /// element. Needs a stride of 1.
    Same,
    /// None.
    Valid,
}

impl<S: Sizes> Default for Padding<S> {
    fn default() -> Self {
        Padding::Explicit(S::from(0))
    }
}

impl<S: Sizes> From<usize> for Padding<S> {
    fn from(size: usize) -> Self {
        Padding::Explicit(size.into())
    }
}

impl From<[usize; 2]> for Padding {
    fn from(sizes: [usize; 2]) -> Self {
        Padding::Explicit(sizes.into())
    }
}

impl From<[usize; 3]> for Padding<Triple> {
    fn from(sizes: [usize; 3]) -> Self {
        Padding::Explicit(sizes.into())
    }
}

impl From<Pair> for Padding {
    fn from(pair: Pair) -> Self {
        Padding::Explicit(pair)
    }
}

impl<S: Sizes> Serialize for Padding<S> {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        match self {
            Padding::Explicit(sizes) => sizes.serialize(serializer),
            Padding::Same => serializer.serialize_str("same"),
            Padding::Valid => serializer.serialize_str("valid"),
        }
    }
}

impl<'de, S: Sizes> Deserialize<'de> for Padding<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        match value.as_str() {
            Some("same") => return Ok(Padding::Same),
            Some("valid") => return Ok(Padding::Valid),
            _ => {}
        }
        let wanted =
            || format!("expected padding: {}, \"same\" or \"valid\"; got {value}", S::FORM);
        S::deserialize(&value).map(Padding::Explicit).map_err(|_| D::Error::custom(wanted()))
    }
}

impl<S: Sizes> JsonSchema for Padding<S> {
    fn schema_name() -> Cow<'static, str> {
        match S::AXES {
            2 => "Padding".into(),
            axes => format!("Padding{axes}d").into(),
        }
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let sizes = generator.subschema_for::<S>();
        json_schema!({
            "description": "A size, a list of one for each axis, \"same\" or \"valid\".",
            "anyOf": [sizes, { "enum": ["same", "valid"] }]
        })
    }
}
