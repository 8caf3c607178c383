//! Changes to an input between the data set and the device: normalisation and augmentation.
//!
//! Workers apply them in place. Whatever is random in them comes from a generator that is keyed by
//! seed, epoch and sample, so that the number of workers changes nothing.

mod crop;
mod custom;
mod flip;
mod normalise;
#[cfg(test)]
mod testing;
mod traits;

use std::fmt;
use std::str::FromStr;

use onestep_base::json::{self, Value};
use onestep_base::{Constructors, Registered, RegistryError, registry};
use onestep_memory::Shape;

use crate::{DataError, SampleRng};
pub use crop::RandomCrop;
pub use custom::CustomTransform;
pub use flip::RandomHorizontalFlip;
pub use normalise::Normalise;
use traits::Short;
pub use traits::Transform;

/// The one list of transforms; what a new one touches is in `docs/adding-a-transform.md`.
macro_rules! transforms {
    (
        $(#[$meta:meta])*
        pub enum TransformSpec {
            $($(#[doc = $about:literal])+ $variant:ident($options:ty) = $name:literal,)*
        }
    ) => {
        registry! {
            kind = "transform", plural = "transforms", form = text_or_object;
            $(#[$meta])*
            pub enum TransformSpec: Transform {
                $($(#[doc = $about])+ $variant($options) = $name,)*
            }
        }

        impl TransformSpec {
            /// What each built-in transform is as a text.
            fn forms() -> Vec<String> {
                let forms = [$(($name, <$options as Short>::FORM)),*];
                let built_in = forms.into_iter().filter(|(_, form)| !form.is_empty());
                built_in.map(|(name, form)| format!("{name}={form}")).collect()
            }

            /// Reads what stands behind a built-in transform's name and an equals sign.
            fn short(name: &str, value: &str) -> Option<Self> {
                match name {
                    $($name => <$options as Short>::short(value).map(Self::from),)*
                    _ => None,
                }
            }
        }
    };
}

transforms! {
    /// A transform by name with its options. As a text, as a [`Pipeline`](crate::Pipeline) has it, the name
    /// with a short form of its options (`crop=4`) or with an object of them (`flip={"probability": 0.5}`);
    /// in JSON that, or an object with a `type`.
    ///
    /// ```
    /// use onestep_data::{RandomCrop, TransformSpec};
    ///
    /// let crop = TransformSpec::from(RandomCrop { padding: 4 });
    /// for text in ["crop=4", r#"crop={"padding": 4}"#, r#"{"type": "crop", "padding": 4}"#] {
    ///     assert_eq!(text.parse::<TransformSpec>()?, crop);
    /// }
    /// assert_eq!(crop.to_string(), "crop=4");
    /// assert_eq!(
    ///     "crop=wide".parse::<TransformSpec>().unwrap_err().to_string(),
    ///     "transform: expected crop=PIXELS, flip=PROBABILITY or normalise=MEANS:DEVIATIONS, got `crop=wide`"
    /// );
    /// # Ok::<(), onestep_data::DataError>(())
    /// ```
    #[schemars(description = "A transform as an object: its type and its options.")]
    pub enum TransformSpec {
        /// Puts a border of zeros around a picture and cuts a window of the old size out of it, anywhere.
        Crop(RandomCrop) = "crop",
        /// Mirrors a picture left to right, with a probability.
        Flip(RandomHorizontalFlip) = "flip",
        /// (x - mean) / deviation, by channel or for all; in evaluation and prediction too.
        Normalise(Normalise) = "normalise",
        /// A transform of one's own, by the name it is registered under.
        Custom(CustomTransform) = "custom",
    }
}

/// What a [`Pipeline`](crate::Pipeline) may have, for help: `crop=PIXELS, flip=PROBABILITY or ...`.
pub fn transform_forms() -> String {
    let mut forms = TransformSpec::forms();
    let last = forms.pop().unwrap_or_default();
    format!("{} or {last}", forms.join(", "))
}

impl TransformSpec {
    /// The same transform with the code of a custom one looked up by its name.
    ///
    /// # Errors
    /// [`DataError::Setting`] where it is not registered, or what its constructor says of its options.
    pub fn resolve(mut self, own: &Constructors) -> Result<Self, DataError> {
        if let Self::Custom(custom) = &mut self {
            custom.resolve(own, &transform_forms())?;
        }
        Ok(self)
    }
}

impl Transform for TransformSpec {
    fn check(&self, shape: &Shape) -> Result<(), DataError> {
        self.inner().check(shape)
    }

    fn apply(
        &self,
        input: &mut [f32],
        shape: &Shape,
        rng: &mut SampleRng,
        scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        self.inner().apply(input, shape, rng, scratch)
    }

    fn moves(&self) -> bool {
        self.inner().moves()
    }

    fn always(&self) -> bool {
        self.inner().always()
    }
}

impl fmt::Display for TransformSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.inner(), f)
    }
}

impl FromStr for TransformSpec {
    type Err = DataError;

    /// Reads `NAME`, `NAME=VALUE`, `NAME={OPTIONS}` or the JSON object. A name that is none of the
    /// library's is one of a program's own.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let refuse = || DataError::setting("transform", transform_forms(), format!("`{text}`"));
        let wrong =
            |error: RegistryError| DataError::setting("transform", transform_forms(), error);
        let object = |text: &str| {
            let problem = |problem| RegistryError::Form { kind: Self::KIND, problem };
            json::parse(text).map_err(problem).map_err(wrong)
        };
        if text.starts_with('{') {
            return Self::from_object(object(text)?).map_err(wrong);
        }
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let name = if name == "normalize" { "normalise" } else { name };
        let plain = |c: char| c.is_alphanumeric() || "_-.".contains(c);
        if name.is_empty() || name == "custom" || !name.chars().all(plain) {
            return Err(refuse());
        }
        let is_built_in = Self::TYPES.contains(&name);
        match value.starts_with('{') {
            true if is_built_in => Self::named(name, object(value)?).map_err(wrong),
            false if is_built_in => Self::short(name, value).ok_or_else(refuse),
            is_object => {
                let options = match object(if is_object { value } else { "{}" })? {
                    Value::Object(options) if is_object || value.is_empty() => options,
                    _ => return Err(refuse()),
                };
                Ok(CustomTransform::registered(name, options).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_objects_are_read_and_written() {
        for (text, json) in [
            ("crop=4", r#"{"type":"crop","padding":4}"#),
            ("flip=0.25", r#"{"type":"flip","probability":0.25}"#),
            ("normalise=0.5/1:2/3", r#"{"type":"normalise","mean":[0.5,1.0],"std":[2.0,3.0]}"#),
            ("noise", r#"{"type":"custom","transform":"noise"}"#),
            (
                r#"noise={"a":[1,"b"]}"#,
                r#"{"type":"custom","transform":"noise","options":{"a":[1,"b"]}}"#,
            ),
        ] {
            let read: TransformSpec = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
            assert_eq!(serde_json::from_str::<TransformSpec>(json).unwrap(), read);
            assert_eq!(json.parse::<TransformSpec>().unwrap(), read);
            let quoted = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str::<TransformSpec>(&quoted).unwrap(), read);
        }
        assert_eq!("flip".parse::<TransformSpec>().unwrap().to_string(), "flip=0.5");
        assert_eq!(r#"{"type":"flip"}"#.parse::<TransformSpec>().unwrap().to_string(), "flip=0.5");
    }

    #[test]
    fn wrong_options_are_refused_by_name() {
        for (text, named) in [
            ("crop", "got `crop`"),
            ("crop={}", "missing field `padding`"),
            (r#"crop={"padding":-1}"#, "padding: invalid value: integer `-1`"),
            (r#"crop={"padding":1,"pad":2}"#, "unknown field `pad`"),
            (r#"crop={"padding":1,"padding":2}"#, "the key `padding` is given twice"),
            (r#"normalise={"mean":[0],"std":[0]}"#, "finite deviations above 0"),
            (r#"{"type":"crob"}"#, "unknown transform `crob`; known transforms: crop, flip"),
            (r#"{"padding":3}"#, "the field \"type\" is missing"),
            ("{", "EOF"),
            ("noise=3", "got `noise=3`"),
            ("noise=[3]", "got `noise=[3]`"),
            ("custom", "got `custom`"),
            ("", "got ``"),
            ("a b", "got `a b`"),
        ] {
            let error = text.parse::<TransformSpec>().unwrap_err().to_string();
            assert!(error.starts_with("transform: expected crop=PIXELS, "), "{text}: {error}");
            assert!(error.contains(named), "{text}: {error}");
        }
    }

    #[test]
    fn own_transforms_need_their_code() {
        let custom: TransformSpec = "noise".parse().unwrap();
        let error = custom.check(&Shape::from([1])).unwrap_err().to_string();
        assert!(error.contains("`noise`, whose code nobody has looked up"), "{error}");
        let error = custom.resolve(&Constructors::default()).unwrap_err().to_string();
        assert_eq!(
            error,
            "transform: expected crop=PIXELS, flip=PROBABILITY or normalise=MEANS:DEVIATIONS, or one of \
             the program's own, got no custom transform `noise` is registered (registered: none)"
        );
    }
}
