//! Branches side by side.

use onestep_base::json::Strict;
use onestep_engine::Value;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Layer, LayerSpec, Shapes};
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::limits::{clone_layers, drop_layers};
use crate::spec::layers_from_values;

/// The outputs of several branches of one input, joined along an axis. An empty branch is the
/// identity. Parameters: `NAME.branch0.…`, `NAME.branch1.…` and so on.
#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Concat {
    /// The layer's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The layers of each branch.
    #[serde(deserialize_with = "branches")]
    pub branches: Vec<Vec<LayerSpec>>,
    /// The axis, the batch being 0; negative ones count from the end. Default 1.
    #[serde(default = "channels")]
    pub dim: isize,
}

fn channels() -> isize {
    1
}

fn branches<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<LayerSpec>>, D::Error> {
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
        Concat { name: None, branches: branches.into(), dim: channels() }
    }

    /// Joined along another axis, the batch being 0; negative ones count from the end.
    #[must_use]
    pub fn along(mut self, dim: isize) -> Self {
        self.dim = dim;
        self
    }
}

impl Layer for Concat {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let mut outputs = Vec::with_capacity(self.branches.len());
        for (i, layers) in self.branches.iter().enumerate() {
            outputs.push(cx.scope(&format!("branch{i}"), |cx| cx.sequence(layers, x))?);
        }
        let Some(&first) = outputs.first() else {
            return Err(cx.option_error("branches", "at least one list of layers", "none"));
        };
        let axis = cx.sample_axis(first, "dim", self.dim)?;
        let wanted = cx.dims(first);
        for (i, &output) in outputs.iter().enumerate() {
            let mut dims = cx.dims(output);
            let got = format!("{:?} from branch{i}", &dims[1..]);
            if dims.len() == wanted.len() {
                dims[axis] = wanted[axis];
            }
            if dims != wanted {
                let shape = &wanted[1..];
                let wanted = format!("branches that agree in all axes but {axis}: {shape:?}");
                return Err(cx.input_error(format!("{wanted} from branch0"), got));
            }
        }
        Ok(cx.graph.concat(&outputs, axis)?)
    }

    fn flops(&self, _: &Shapes) -> u64 {
        0
    }
}
