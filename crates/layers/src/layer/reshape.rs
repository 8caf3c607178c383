//! Another shape for each sample.

use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;

/// The same elements of each sample under another shape.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new shape of a sample, without the batch. One size may be -1: it is inferred.
    pub shape: Vec<i64>,
}

impl Reshape {
    /// To the given shape of a sample, of which one size may be -1.
    pub fn new(shape: impl Into<Vec<i64>>) -> Self {
        Reshape { name: None, shape: shape.into() }
    }

    /// The new sizes of a sample of `elements`, `None` where they do not fit.
    fn resolve(&self, elements: usize) -> Option<Vec<usize>> {
        let known = self.shape.iter().filter(|&&size| size != -1);
        let product = known
            .clone()
            .try_fold(1usize, |product, &size| product.checked_mul(usize::try_from(size).ok()?))?;
        let inferred = match self.shape.len() - known.count() {
            0 if product == elements => 0,
            1 if product > 0 && elements.is_multiple_of(product) => elements / product,
            _ => return None,
        };
        Some(self.shape.iter().map(|&s| usize::try_from(s).unwrap_or(inferred)).collect())
    }
}

impl Layer for Reshape {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let dims = cx.dims(x);
        let elements = dims[1..].iter().product();
        let Some(sizes) = self.resolve(elements) else {
            let wanted = format!("a shape of {elements} elements (at most one size -1)");
            return Err(cx.option_error("shape", wanted, format!("{:?}", self.shape)));
        };
        let shape = [&dims[..1], &sizes].concat();
        Ok(cx.graph.reshape(x, &shape)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
