//! Branches side by side.

use onestep_base::json::Strict;
use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Layer, LayerSpec, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::limits::{clone_layers, drop_layers};
use crate::placed::{Placed, layers_from_values};

/// The outputs of several branches of one input, joined along an axis; without branches, what the
/// layer takes by name. An empty branch is the identity. Parameters: `NAME.branch0.…`,
/// `NAME.branch1.…` and so on.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layers of each branch; default none, which joins what the layer takes.
    #[serde(default, deserialize_with = "branches", skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Vec<Placed>>,
    /// The axis, the batch being 0; negative ones count from the end. Default 1.
    #[serde(default = "channels")]
    pub dim: isize,
}

fn channels() -> isize {
    1
}

fn branches<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<Placed>>, D::Error> {
    let lists = Vec::<Vec<Strict>>::deserialize(deserializer)?;
    let read = |(place, values): (usize, Vec<Strict>)| {
        layers_from_values(values).map_err(|e| format!("branch {place}: {e}"))
    };
    lists
        .into_iter()
        .enumerate()
        .map(read)
        .collect::<Result<_, _>>()
        .map_err(serde::de::Error::custom)
}

impl Clone for Concat {
    fn clone(&self) -> Self {
        let branches = self.branches.iter().map(|branch| clone_layers(branch)).collect();
        Concat { name: self.name.clone(), branches, dim: self.dim }
    }
}

impl Drop for Concat {
    fn drop(&mut self) {
        self.branches.drain(..).for_each(drop_layers);
    }
}

impl Concat {
    /// Joined along the channels.
    pub fn new(branches: impl Into<Vec<Vec<LayerSpec>>>) -> Self {
        let placed = |branch: Vec<LayerSpec>| branch.into_iter().map(Placed::from).collect();
        let branches = branches.into().into_iter().map(placed).collect();
        Concat { name: None, branches, dim: channels() }
    }

    /// Without branches, along the channels: it joins what it takes.
    pub fn inputs() -> Self {
        Concat::new(Vec::new())
    }

    /// Joined along another axis, the batch being 0; negative ones count from the end.
    #[must_use]
    pub fn along(mut self, dim: isize) -> Self {
        self.dim = dim;
        self
    }
}

impl Concat {
    fn join(
        &self,
        cx: &mut BuildContext,
        parts: &[Value],
        [part, several]: [&str; 2],
    ) -> Result<Value, LayerError> {
        let Some(&first) = parts.first() else {
            return Err(cx.option_error("branches", "at least one list of layers", "none"));
        };
        let axis = cx.sample_axis(first, "dim", self.dim)?;
        let wanted = cx.dims(first);
        for (i, &value) in parts.iter().enumerate() {
            let mut dims = cx.dims(value);
            let got = format!("{:?} from {part}{i}", &dims[1..]);
            if dims.len() == wanted.len() {
                dims[axis] = wanted[axis];
            }
            if dims != wanted {
                let shape = &wanted[1..];
                let wanted = format!("{several} that agree in all axes but {axis}: {shape:?}");
                return Err(cx.input_error(format!("{wanted} from {part}0"), got));
            }
        }
        Ok(cx.graph.concat(parts, axis)?)
    }
}

impl Layer for Concat {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let mut outputs = Vec::with_capacity(self.branches.len());
        for (i, layers) in self.branches.iter().enumerate() {
            outputs.push(cx.scope(&format!("branch{i}"), |cx| cx.sequence(layers, x))?);
        }
        self.join(cx, &outputs, ["branch", "branches"])
    }

    fn build_many(
        &self,
        cx: &mut BuildContext,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        match inputs {
            &[x] => Ok(vec![self.build(cx, x)?]),
            _ if self.branches.is_empty() => {
                Ok(vec![self.join(cx, inputs, ["input", "inputs"])?])
            }
            _ => Err(cx.input_error("one input for branches", format!("{} inputs", inputs.len()))),
        }
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
