//! What `rnn`, `lstm` and `gru` have in common: cells in layers and directions.

use onestep_engine::ops::Cell;
use onestep_engine::{Graph, GraphError, RecurrenceOptions, Value};

use super::noise::drop;
use super::scaled_dot_product_attention::counts;
use super::{InitialState, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

pub(super) fn one() -> usize {
    1
}

/// Layers of a cell, each in one or both directions.
pub(super) struct Stack {
    pub(super) cell: Cell,
    pub(super) hidden_size: usize,
    pub(super) num_layers: usize,
    pub(super) bias: bool,
    pub(super) dropout: f32,
    pub(super) bidirectional: bool,
    /// The size of an output, 0 for that of the state.
    pub(super) proj_size: usize,
    pub(super) initial: InitialState,
    pub(super) lengths: bool,
    /// Whether the last state is given too.
    pub(super) state: bool,
}

/// What the layers are given beside the sequence.
struct Given {
    /// `[batch, layers x directions, out]`, and an LSTM's cells.
    first: Option<[Value; 2]>,
    lengths: Option<Value>,
}

impl Stack {
    fn directions(&self) -> usize {
        1 + usize::from(self.bidirectional)
    }

    /// Numbers of an output of one direction.
    fn out(&self) -> usize {
        if self.proj_size > 0 { self.proj_size } else { self.hidden_size }
    }

    fn is_lstm(&self) -> bool {
        self.cell == Cell::Lstm
    }

    fn check(&self, cx: &BuildContext) -> Result<(), LayerError> {
        if self.hidden_size == 0 {
            return Err(cx.option_error("hidden_size", "at least 1", 0));
        }
        if self.num_layers == 0 {
            return Err(cx.option_error("num_layers", "at least 1", 0));
        }
        if self.proj_size >= self.hidden_size {
            let wanted = format!("less than hidden_size, which is {}", self.hidden_size);
            return Err(cx.option_error("proj_size", wanted, self.proj_size));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(cx.option_error("dropout", "in [0, 1)", self.dropout));
        }
        if self.dropout > 0.0 && self.num_layers == 1 {
            let wanted = "0 where there is one layer, as dropout is between layers";
            return Err(cx.option_error("dropout", wanted, self.dropout));
        }
        Ok(())
    }

    /// The sequence `[t, out x directions]`, and where it is wanted the last state.
    pub(super) fn build(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        self.check(cx)?;
        let (mut x, given) = self.given(cx, inputs)?;
        let (batch, count) = (cx.batch(), self.num_layers * self.directions());
        let mut last: [Vec<Value>; 2] = Default::default();
        for layer in 0..self.num_layers {
            if layer > 0 && self.dropout > 0.0 {
                let mask = cx.dims(x);
                x = drop(cx, x, self.dropout, &mask)?;
            }
            let mut sides = Vec::with_capacity(2);
            for reverse in [false, true].into_iter().take(self.directions()) {
                let suffix = if reverse { "_reverse" } else { "" };
                let weights = self.weights(cx, x, &format!("l{layer}{suffix}"))?;
                let at = layer * self.directions() + usize::from(reverse);
                let first = self.first(cx, &given, at)?;
                let products = products(&mut cx.graph, x, weights.input)?;
                let options = RecurrenceOptions {
                    reverse,
                    bias: weights.bias,
                    projection: weights.projection,
                    lengths: given.lengths,
                };
                let g = &mut cx.graph;
                let y = g.recurrence(self.cell, products, weights.recurrent, first, options)?;
                sides.push(y.outputs);
                for (list, value) in last.iter_mut().zip([Some(y.last), y.cell]) {
                    let Some(value) = value else { continue };
                    let width = g.shape(value).dims()[1];
                    list.push(g.reshape(value, &[batch, 1, width])?);
                }
            }
            x = match sides[..] {
                [y] => y,
                _ => cx.graph.concat(&sides, 2)?,
            };
        }
        let mut all = vec![x];
        for list in last.iter().filter(|list| self.state && list.len() == count) {
            all.push(if count == 1 { list[0] } else { cx.graph.concat(list, 1)? });
        }
        Ok(all)
    }

    /// The sequence, and what else the inputs are.
    fn given(&self, cx: &mut BuildContext, inputs: &[Value]) -> Result<(Value, Given), LayerError> {
        let states = match self.initial {
            InitialState::Input => 1 + usize::from(self.is_lstm()),
            _ => 0,
        };
        let wanted = 1 + states + usize::from(self.lengths);
        if inputs.len() != wanted {
            let mut names = vec!["the sequence"];
            names.extend(["the first state h", "the first cells c"].into_iter().take(states));
            names.extend(self.lengths.then_some("lengths"));
            let wanted = format!("{wanted} inputs: {}", names.join(", "));
            return Err(cx.input_error(wanted, format!("{} of them", inputs.len())));
        }
        cx.expect_rank(inputs[0], 2, "[steps, features]")?;
        let lengths = match self.lengths {
            true => Some(counts(cx, inputs[wanted - 1])?),
            false => None,
        };
        let count = self.num_layers * self.directions();
        let sizes = [self.out(), self.hidden_size];
        let first = match self.initial {
            InitialState::Zeros => None,
            InitialState::Input => {
                for (&state, size) in inputs[1..=states].iter().zip(sizes) {
                    let dims = cx.dims(state);
                    cx.expect_f32(state)?;
                    if dims[1..] != [count, size] {
                        let wanted = format!("a first state of [{count}, {size}] a sample");
                        return Err(cx.input_error(wanted, format!("{:?}", &dims[1..])));
                    }
                }
                Some([inputs[1], inputs[states]])
            }
            InitialState::Learned => {
                let h = learned(cx, "h_0", [count, sizes[0]])?;
                let c = if self.is_lstm() { learned(cx, "c_0", [count, sizes[1]])? } else { h };
                Some([h, c])
            }
        };
        Ok((inputs[0], Given { first, lengths }))
    }

    /// The state before the first step of one direction of one layer.
    fn first(
        &self,
        cx: &mut BuildContext,
        given: &Given,
        at: usize,
    ) -> Result<(Value, Option<Value>), LayerError> {
        let batch = cx.batch();
        let g = &mut cx.graph;
        let mut part = |which: usize, size: usize| -> Result<Value, GraphError> {
            let Some(first) = given.first else {
                let zero = g.constant(0.0)?;
                return g.broadcast(zero, &[batch, size]);
            };
            let part = g.slice_axis(first[which], 1, at, at + 1)?;
            g.reshape(part, &[batch, size])
        };
        let h = part(0, self.out())?;
        let c = if self.is_lstm() { Some(part(1, self.hidden_size)?) } else { None };
        Ok((h, c))
    }

    fn weights(
        &self,
        cx: &mut BuildContext,
        x: Value,
        suffix: &str,
    ) -> Result<Weights, LayerError> {
        let (features, wide) = (cx.dims(x)[2], self.cell.gates() * self.hidden_size);
        let bound = 1.0 / (self.hidden_size as f32).sqrt();
        let init = Initializer::uniform(-bound, bound);
        let name = |kind: &str| format!("{kind}_{suffix}");
        let input = cx.dense_weight(&name("weight_ih"), [features, wide], init)?;
        let recurrent = cx.dense_weight(&name("weight_hh"), [self.out(), wide], init)?;
        let bias = match self.bias {
            true => {
                let input = cx.parameter(&name("bias_ih"), &[wide], init, Fan::NONE)?;
                let hidden = cx.parameter(&name("bias_hh"), &[wide], init, Fan::NONE)?;
                Some(self.joint_bias(&mut cx.graph, input, hidden)?)
            }
            false => None,
        };
        let projection = match self.proj_size {
            0 => None,
            size => Some(cx.dense_weight(&name("weight_hr"), [self.hidden_size, size], init)?),
        };
        Ok(Weights { input, recurrent, bias, projection })
    }

    /// PyTorch has a bias for each product. They are added to the same sum, but for a GRU's new gate.
    fn joint_bias(&self, g: &mut Graph, input: Value, hidden: Value) -> Result<Value, GraphError> {
        let sum = g.add(input, hidden)?;
        if self.cell != Cell::Gru {
            return Ok(sum);
        }
        let (from, to) = (2 * self.hidden_size, 3 * self.hidden_size);
        let gates = g.slice_axis(sum, 0, 0, from)?;
        let input = g.slice_axis(input, 0, from, to)?;
        let hidden = g.slice_axis(hidden, 0, from, to)?;
        g.concat(&[gates, input, hidden], 0)
    }

    /// Operations forward for one sample.
    pub(super) fn flops(&self, shapes: &Shapes) -> u64 {
        let [steps, mut features] = shapes.input[..] else { return 0 };
        let (hidden, out) = (self.hidden_size as u64, self.out() as u64);
        let wide = (self.cell.gates() as u64).saturating_mul(hidden);
        let mut all = 0u64;
        for _ in 0..self.num_layers {
            let mut weights = wide.saturating_mul(features as u64 + out);
            if self.proj_size > 0 {
                weights = weights.saturating_add(hidden.saturating_mul(out));
            }
            let step = weights.saturating_mul(2 * self.directions() as u64);
            all = all.saturating_add(step.saturating_mul(steps as u64));
            features = self.out().saturating_mul(self.directions());
        }
        all
    }
}

/// The weights of one direction of one layer.
struct Weights {
    input: Value,
    recurrent: Value,
    bias: Option<Value>,
    projection: Option<Value>,
}

/// The input products of all steps, as one product.
fn products(g: &mut Graph, x: Value, weight: Value) -> Result<Value, GraphError> {
    let (dims, wide) = (g.shape(x).dims().to_vec(), g.shape(weight).dims()[1]);
    let flat = g.reshape(x, &[dims[0] * dims[1], dims[2]])?;
    let products = g.matmul(flat, weight)?;
    g.reshape(products, &[dims[0], dims[1], wide])
}

/// A parameter that is the same for each sample.
fn learned(cx: &mut BuildContext, name: &str, dims: [usize; 2]) -> Result<Value, LayerError> {
    let value = cx.parameter(name, &dims, Initializer::Zeros, Fan::NONE)?;
    let batch = cx.batch();
    let value = cx.graph.reshape(value, &[1, dims[0], dims[1]])?;
    Ok(cx.graph.broadcast(value, &[batch, dims[0], dims[1]])?)
}

/// Makes a layer of what has a `stack`.
macro_rules! recurrent_layer {
    ($layer:ident) => {
        impl $crate::layer::Layer for $layer {
            fn build(
                &self,
                cx: &mut $crate::BuildContext,
                x: onestep_engine::Value,
            ) -> Result<onestep_engine::Value, $crate::LayerError> {
                match self.build_many(cx, &[x])?[..] {
                    [y] => Ok(y),
                    _ => Err(cx.option_error("state", "false where one value is wanted", true)),
                }
            }

            fn build_many(
                &self,
                cx: &mut $crate::BuildContext,
                inputs: &[onestep_engine::Value],
            ) -> Result<Vec<onestep_engine::Value>, $crate::LayerError> {
                self.stack().build(cx, inputs)
            }

            fn flops(&self, shapes: &$crate::layer::Shapes) -> u64 {
                self.stack().flops(shapes)
            }
        }
    };
}

pub(super) use recurrent_layer;
