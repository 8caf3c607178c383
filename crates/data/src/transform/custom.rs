//! Transforms of a program's own, by name.

use std::fmt;
use std::sync::Arc;

use onestep_base::Constructors;
use onestep_base::json::Value;
use onestep_memory::Shape;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::traits::{Short, Transform};
use crate::{DataError, SampleRng};

/// A transform of one's own: a name and options, which a program's
/// [`Constructors`](onestep_base::Constructors) turn into code. A pipeline has it as `NAME` or
/// `NAME={"option": 1}`, and is read with the constructors by [`Pipeline::read`](crate::Pipeline::read).
///
/// ```
/// use std::fmt;
/// use std::sync::Arc;
///
/// use onestep_base::Constructors;
/// use onestep_data::{DataError, Pipeline, SampleRng, Transform};
/// use onestep_memory::Shape;
///
/// /// Adds noise.
/// #[derive(Debug)]
/// struct Noise(f32);
///
/// impl fmt::Display for Noise {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         write!(f, "noise of {}", self.0)
///     }
/// }
///
/// impl Transform for Noise {
///     fn check(&self, _: &Shape) -> Result<(), DataError> {
///         Ok(())
///     }
///     fn apply(
///         &self,
///         input: &mut [f32],
///         _: &Shape,
///         rng: &mut SampleRng,
///         _: &mut Vec<f32>,
///     ) -> Result<(), DataError> {
///         input.iter_mut().for_each(|value| *value += self.0 * (rng.uniform() - 0.5));
///         Ok(())
///     }
/// }
///
/// let mut own = Constructors::default();
/// own.add::<dyn Transform>("noise", |options| {
///     let strength = options.get("strength").and_then(|s| s.as_f64()).ok_or("`strength` is missing")?;
///     Ok(Arc::new(Noise(strength as f32)))
/// });
/// let text = r#"crop=2,noise={"strength":0.1}"#;
/// assert_eq!(Pipeline::read(text, &own)?.to_string(), text);
/// let error = text.parse::<Pipeline>().unwrap_err().to_string();
/// assert!(error.contains("no custom transform `noise` is registered"));
/// # Ok::<(), DataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomTransform {
    /// The name it is registered under.
    pub transform: String,
    /// Options for the registered constructor; default none.
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub options: serde_json::Map<String, Value>,
    #[serde(skip)]
    code: Option<Code>,
}

#[derive(Clone)]
struct Code(Arc<dyn Transform>);

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl PartialEq for Code {
    /// Whether both are the very same code.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl CustomTransform {
    /// A transform by the name it is registered under.
    pub fn registered(name: &str, options: serde_json::Map<String, Value>) -> Self {
        Self { transform: name.to_owned(), options, code: None }
    }

    /// Looks the code up.
    pub(super) fn resolve(&mut self, own: &Constructors, known: &str) -> Result<(), DataError> {
        let made = own.make::<dyn Transform>(&self.transform, &self.options);
        let wanted = || format!("{known}, or one of the program's own");
        let code = made.map_err(|error| DataError::setting("transform", wanted(), error))?;
        self.code = Some(Code(code));
        Ok(())
    }

    fn code(&self) -> Result<&dyn Transform, DataError> {
        self.code.as_ref().map(|code| code.0.as_ref()).ok_or_else(|| {
            let got = format!("`{}`, whose code nobody has looked up", self.transform);
            DataError::setting("transform", "code (`Pipeline::read` looks it up)", got)
        })
    }
}

impl Short for CustomTransform {
    const FORM: &'static str = "";

    /// It is written by its own name.
    fn short(_: &str) -> Option<Self> {
        None
    }
}

impl Transform for CustomTransform {
    fn check(&self, shape: &Shape) -> Result<(), DataError> {
        self.code()?.check(shape)
    }

    fn apply(
        &self,
        input: &mut [f32],
        shape: &Shape,
        rng: &mut SampleRng,
        scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        self.code()?.apply(input, shape, rng, scratch)
    }

    fn moves(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.0.moves())
    }

    fn always(&self) -> bool {
        self.code.as_ref().is_some_and(|code| code.0.always())
    }
}

impl fmt::Display for CustomTransform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.transform)?;
        if self.options.is_empty() {
            return Ok(());
        }
        write!(f, "={}", Value::Object(self.options.clone()))
    }
}
