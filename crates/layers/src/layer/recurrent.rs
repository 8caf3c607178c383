//! A cell of one's own, run along a sequence.

use std::collections::BTreeMap;

use onestep_engine::{DType, Graph, ScanOptions, Scanned, Value, scan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scaled_dot_product_attention::counts;
use super::{InitialState, Layer, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};
use crate::limits::{MOST_LAYERS, clone_layers, drop_layers};
use crate::placed::{Placed, layer_list};

/// A recurrence whose step is written as layers: `[time, ...] -> [time, ...]`. In the `cell` the step of the
/// sequence is called `x`, and what is carried from step to step by the names in `carried`, whose `next` says
/// what it becomes. All steps share the cell's parameters, `NAME.cell.…`.
///
/// It takes the sequence, then with `initial` "input" what the carried values begin with, in the order of their
/// names, and with `lengths` at last how many steps each sample has, i32 `[1]`. It gives the `output` of each step
/// (default what the cell's last layer gives), 0 behind a sample's length; with `state` that as `NAME.0`
/// and the carried values after the last step as `NAME.1` and so on. A layer in `cell` may take what stands before
/// the recurrence, which all steps share then. Two of them, one with `reverse`, and a `concat` go both ways.
///
/// `h' = tanh(W x + b + U h)`:
///
/// ```
/// use onestep_layers::{Carried, Dense, ModelBuilder, Placed, Recurrent, Sum, Tanh};
/// let cell = [
///     Placed::from(Dense::new(16).named("input")).taking(["x"]),
///     Placed::from(Dense { bias: false, ..Dense::new(16).named("hidden") }).taking(["h"]),
///     Placed::from(Sum::default().named("sum")).taking(["input", "hidden"]),
///     Tanh::default().named("new").into(),
/// ];
/// let layer = Recurrent::new([("h", Carried::new([16], "new"))], cell);
/// let model = ModelBuilder::new([20, 8]).layer(layer).build()?;
/// assert_eq!(model.output_shape().dims(), &[20, 16]);
/// assert_eq!(model.parameters()[0].info.name, "recurrent1.cell.input.weight");
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recurrent {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is carried from step to step, by name.
    pub carried: BTreeMap<String, Carried>,
    /// The layers of a step.
    #[serde(deserialize_with = "layer_list")]
    pub cell: Vec<Placed>,
    /// What a step gives: a name in the cell. Default what its last layer gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Whether it begins with the last step, of each sample; default false.
    #[serde(default)]
    pub reverse: bool,
    /// Whether the last input says how many steps each sample has; default false.
    #[serde(default)]
    pub lengths: bool,
    /// What the carried values begin with; default zeros.
    #[serde(default)]
    pub initial: InitialState,
    /// Whether it gives the carried values after the last step too; default false.
    #[serde(default)]
    pub state: bool,
}

/// A value that [`Recurrent`] carries from step to step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Carried {
    /// Its shape, without the batch.
    pub shape: Vec<usize>,
    /// What it becomes: a name in the cell.
    pub next: String,
}

impl Carried {
    /// Of the given shape, becoming what is called `next` in the cell.
    pub fn new(shape: impl Into<Vec<usize>>, next: impl Into<String>) -> Self {
        Carried { shape: shape.into(), next: next.into() }
    }
}

impl Clone for Recurrent {
    fn clone(&self) -> Self {
        let mut copy = self.emptied();
        copy.cell = clone_layers(&self.cell);
        copy
    }
}

impl Drop for Recurrent {
    fn drop(&mut self) {
        drop_layers(std::mem::take(&mut self.cell));
    }
}

/// What the step of the sequence is called in a cell.
const STEP: &str = "x";

impl Recurrent {
    /// Forwards from zeros, giving what the last layer of the cell gives.
    pub fn new<N: Into<String>>(
        carried: impl IntoIterator<Item = (N, Carried)>,
        cell: impl Into<Vec<Placed>>,
    ) -> Self {
        let carried = carried.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let (reverse, lengths, state) = (false, false, false);
        let (cell, initial) = (cell.into(), InitialState::Zeros);
        Recurrent { name: None, carried, cell, output: None, reverse, lengths, initial, state }
    }

    /// The same without its cell.
    pub(crate) fn emptied(&self) -> Self {
        let &Recurrent { reverse, lengths, initial, state, .. } = self;
        let (name, carried) = (self.name.clone(), self.carried.clone());
        let (cell, output) = (Vec::new(), self.output.clone());
        Recurrent { name, carried, cell, output, reverse, lengths, initial, state }
    }

    /// The sequence, the first carried values, the lengths.
    fn taken(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<(Value, Vec<Value>, Option<Value>), LayerError> {
        let fed = if self.initial == InitialState::Input { self.carried.len() } else { 0 };
        let wanted = 1 + fed + usize::from(self.lengths);
        if inputs.len() != wanted {
            let wanted = format!("{wanted} inputs (the sequence, initial values, lengths)");
            return Err(cx.input_error(wanted, format!("{} of them", inputs.len())));
        }
        let lengths = match self.lengths {
            true => Some(counts(cx, inputs[wanted - 1])?),
            false => None,
        };
        let x = inputs[0];
        if cx.dims(x).len() < 2 {
            return Err(cx.input_error("[time, ...] a sample", format!("{:?}", cx.sample(x))));
        }
        let mut initial = inputs[1..=fed].to_vec();
        for (at, (name, carried)) in self.carried.iter().enumerate() {
            let dims = [&[cx.batch()][..], &carried.shape].concat();
            match self.initial {
                InitialState::Input if cx.dims(initial[at]) != dims => {
                    let wanted = format!("{:?} a sample for `{name}`", carried.shape);
                    return Err(cx.input_error(wanted, format!("{:?}", cx.sample(initial[at]))));
                }
                InitialState::Input => cx.expect_f32(initial[at])?,
                InitialState::Zeros => {
                    let zero = cx.graph.constant(0.0)?;
                    initial.push(cx.graph.broadcast(zero, &dims)?);
                }
                InitialState::Learned => {
                    let own = format!("{name}_0");
                    let zeros = Initializer::Zeros;
                    let first = cx.parameter(&own, &carried.shape, zeros, Fan::NONE)?;
                    initial.push(cx.graph.broadcast(first, &dims)?);
                }
            }
        }
        Ok((x, initial, lengths))
    }

    /// One step.
    fn step(
        &self,
        cx: &mut BuildContext,
        carried: &[Value],
        x: Value,
    ) -> Result<Scanned, LayerError> {
        let states = cx.states.len();
        let (names, own): (Vec<String>, &str) = (self.names(), "cell");
        cx.wiring.enter(&names);
        for (name, &value) in names.iter().zip([x].iter().chain(carried)) {
            cx.wiring.learn(name, vec![value], None);
        }
        let step = cx.scope(own, |cx| self.layers(cx, x));
        cx.wiring.leave();
        let step = step?;
        if cx.states.len() > states {
            let got = format!("`{}`", cx.states[states].name);
            return Err(cx.option_error("cell", "layers without running statistics", got));
        }
        Ok(step)
    }

    fn layers(&self, cx: &mut BuildContext, x: Value) -> Result<Scanned, LayerError> {
        let names = cx.enter(&self.cell)?;
        let given = self.given(cx, &names, x);
        cx.wiring.leave();
        given
    }

    fn given(
        &self,
        cx: &mut BuildContext,
        names: &[String],
        x: Value,
    ) -> Result<Scanned, LayerError> {
        let known = self.names();
        if let Some(name) = names.iter().find(|name| known.contains(name)) {
            let got = format!("`{name}`, which is the step or carried");
            return Err(cx.option_error("cell", "layers with names of their own", got));
        }
        let last = cx.run(&self.cell, names, vec![x])?;
        let find = |cx: &BuildContext, option: &str, name: &str| {
            let value = cx.wiring.value(name);
            value.map_err(|(wanted, got)| cx.option_error(option, wanted, got))
        };
        let mut carried = Vec::with_capacity(self.carried.len());
        for (name, of) in &self.carried {
            let next = find(cx, &format!("carried.{name}.next"), &of.next)?;
            if cx.sample(next) != of.shape || cx.graph.type_of(next).dtype != DType::F32 {
                let wanted = format!("a value of f32 {:?} a sample for `{name}`", of.shape);
                let got = format!("`{}` of {:?}", of.next, cx.sample(next));
                return Err(cx.option_error("next", wanted, got));
            }
            carried.push(next);
        }
        let output = match &self.output {
            Some(name) => find(cx, "output", name)?,
            None => cx.one(&last)?,
        };
        Ok(Scanned { carried, outputs: vec![output] })
    }

    /// The step and what is carried.
    fn names(&self) -> Vec<String> {
        std::iter::once(STEP.to_owned()).chain(self.carried.keys().cloned()).collect()
    }
}

impl AsMut<Graph> for BuildContext {
    fn as_mut(&mut self) -> &mut Graph {
        &mut self.graph
    }
}

impl Layer for Recurrent {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        self.build_many(cx, &[x]).and_then(|values| cx.one(&values))
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        for name in self.carried.keys() {
            if name.is_empty() || name.contains('.') || name == STEP {
                let wanted = format!("names without a dot other than `{STEP}`");
                return Err(cx.option_error("carried", wanted, format!("`{name}`")));
            }
        }
        let (x, initial, lengths) = self.taken(cx, inputs)?;
        let steps = cx.dims(x)[1];
        if steps.saturating_mul(self.cell.len().max(1)) > MOST_LAYERS {
            let wanted = format!("at most {MOST_LAYERS} layers of the cell in all steps");
            return Err(cx.input_error(wanted, format!("{steps} steps of {}", self.cell.len())));
        }
        let first = cx.rows.len();
        let options = ScanOptions { reverse: self.reverse, lengths };
        let body =
            |cx: &mut BuildContext, carried: &[Value], x: &[Value]| self.step(cx, carried, x[0]);
        let Scanned { carried, mut outputs } = scan(cx, options, &initial, &[x], body)?;
        cx.rows[first..].iter_mut().for_each(|row| row.repeat(steps));
        if self.state {
            outputs.extend(carried);
        }
        Ok(outputs)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        // Those of the cell are its layers'.
        0
    }
}
