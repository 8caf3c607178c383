//! A function of one's own, written in the specification.

use onestep_engine::{Shape, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::elementwise::operands;
use super::{Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::formula;

/// `y = ...`, elementwise, as the specification writes it:
/// `{"type": "formula", "y": "x * tanh(softplus(x))"}`. It is differentiated and fused like all else. `x` is
/// the input; where there are several they are `x0`, `x1` and so on, and shapes broadcast.
///
/// There are `+ - * / ^`, comparisons (1 or 0), `where(condition, a, b)`, `min`, `max`, `abs`, `sign`,
/// `floor`, `exp`, `expm1`, `log`, `log1p`, `sqrt`, `sin`, `cos`, `tanh`, `sigmoid`, `erf`, `relu`,
/// `softplus` and `log_sigmoid`.
///
/// ```
/// use onestep_layers::{Formula, ModelBuilder};
/// let model = ModelBuilder::new([4]).layer(Formula::new("x * tanh(softplus(x))")).build()?;
/// assert_eq!(model.output_shape().dims(), &[4]);
/// let error = ModelBuilder::new([4]).layer(Formula::new("x + ")).build().unwrap_err();
/// assert!(error.to_string().contains("a number, a name or `(` at character 5"), "{error}");
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Formula {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The output as a formula of `x`, or of `x0`, `x1` and so on.
    pub y: String,
}

impl Formula {
    /// With the given formula.
    pub fn new(y: impl Into<String>) -> Self {
        Formula { name: None, y: y.into() }
    }

    fn read(&self, inputs: usize) -> Result<formula::Formula, formula::Misread> {
        let names: Vec<String> = match inputs {
            1 => vec!["x".to_owned()],
            _ => (0..inputs).map(|i| format!("x{i}")).collect(),
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        formula::Formula::parse(&self.y, &names)
    }
}

impl Layer for Formula {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self.build_many(cx, &[x]).map(|values| values[0])
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let formula =
            self.read(inputs.len()).map_err(|misread| cx.option_error("y", misread, &self.y))?;
        let values = operands(cx, inputs)?;
        let y = formula.build(&mut cx.graph, &values)?;
        // One that does not speak of all inputs still has the shape of all.
        let shape = |value: &Value| cx.graph.shape(*value).clone();
        let mut joint = shape(&y);
        for value in &values {
            joint = Shape::broadcast(&joint, &shape(value)).unwrap_or(joint);
        }
        Ok(vec![cx.graph.broadcast(y, joint.dims())?])
    }

    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.per_output(self.read(shapes.taken).map_or(0, |formula| formula.flops()))
    }
}
