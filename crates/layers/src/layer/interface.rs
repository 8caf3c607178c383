//! What a layer is: ops that it adds to a graph.

use onestep_engine::Value;

use crate::context::BuildContext;
use crate::error::LayerError;

/// The dimensions a layer works on, without the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shapes {
    /// Of the input, the first where there are several.
    pub input: Vec<usize>,
    /// Of the output, the first where there are several.
    pub output: Vec<usize>,
    /// How many inputs the layer takes.
    pub taken: usize,
}

impl Shapes {
    /// Elements of the input of one sample.
    pub fn inputs(&self) -> u64 {
        self.input.iter().map(|&dim| dim as u64).product()
    }

    /// Elements of the output of one sample.
    pub fn outputs(&self) -> u64 {
        self.output.iter().map(|&dim| dim as u64).product()
    }

    /// So many operations for each element of the output of one sample.
    pub fn per_output(&self, operations: u64) -> u64 {
        self.outputs().saturating_mul(operations)
    }
}

/// A composition of graph ops with parameters and state. The built-in layers implement it, and so
/// does every closure `Fn(&mut BuildContext, Value) -> Result<Value, LayerError>`.
///
/// A layer of one's own, `y = s tanh(x)` with a learned scale a feature:
///
/// ```
/// use onestep_layers::{BuildContext, Fan, Initializer, Layer, LayerError, ModelBuilder};
/// use onestep_engine::Value;
///
/// struct ScaledTanh;
///
/// impl Layer for ScaledTanh {
///     fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
///         let features = cx.dims(x)[1];
///         let scale = cx.parameter("scale", &[features], Initializer::Ones, Fan::NONE)?;
///         let squashed = cx.graph.tanh(x)?;
///         Ok(cx.graph.mul(squashed, scale)?)
///     }
/// }
///
/// let model = ModelBuilder::new([4]).dense(8, true, "fc").custom("squash", ScaledTanh).build()?;
/// assert_eq!(model.parameters()[2].info.name, "squash.scale");
/// # Ok::<(), LayerError>(())
/// ```
pub trait Layer: Send + Sync {
    /// Appends the layer's ops to the graph. `x` and the result have the batch as first axis.
    ///
    /// # Errors
    /// Options or an input that the layer cannot work with: [`BuildContext::option_error`] and
    /// [`BuildContext::input_error`] name the layer.
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError>;

    /// As [`Self::build`] for a layer that takes several values or gives several: what it takes by
    /// name, in that order, and what later layers take as `NAME.0`, `NAME.1` and so on. By default one
    /// value becomes one.
    ///
    /// # Errors
    /// Those of [`Self::build`], and another number of inputs than the layer takes.
    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let x = cx.one(inputs)?;
        self.build(cx, x).map(|y| vec![y])
    }

    /// Floating-point operations forward for one sample, a multiply-add as two. By default one for
    /// each element of the output.
    fn flops(&self, shapes: &Shapes) -> u64 {
        shapes.outputs()
    }
}

impl<F> Layer for F
where
    F: Fn(&mut BuildContext, Value) -> Result<Value, LayerError> + Send + Sync,
{
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self(cx, x)
    }
}

/// A closure as a layer that takes several values or gives several.
///
/// ```
/// use onestep_engine::Value;
/// use onestep_layers::{BuildContext, Custom, InputSpec, LayerError, Many, ModelBuilder};
/// let distance = Many(|cx: &mut BuildContext, inputs: &[Value]| -> Result<Vec<Value>, LayerError> {
///     let [a, b] = cx.two(inputs)?;
///     let difference = cx.graph.sub(a, b)?;
///     Ok(vec![cx.graph.abs(difference)?])
/// });
/// let model = ModelBuilder::with_inputs([("a", InputSpec::new([4])), ("b", InputSpec::new([4]))])
///     .layer(Custom::new(distance))
///     .taking(["a", "b"])
///     .build()?;
/// assert_eq!(model.output_shape().dims(), &[4]);
/// # Ok::<(), LayerError>(())
/// ```
pub struct Many<F>(
    /// `Fn(&mut BuildContext, &[Value]) -> Result<Vec<Value>, LayerError>`
    pub F,
);

impl<F> Layer for Many<F>
where
    F: Fn(&mut BuildContext, &[Value]) -> Result<Vec<Value>, LayerError> + Send + Sync,
{
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let outputs = (self.0)(cx, &[x])?;
        match outputs[..] {
            [y] => Ok(y),
            _ => Err(cx.input_error("a layer that gives one value", outputs.len())),
        }
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        (self.0)(cx, inputs)
    }
}
