//! The layers that hold lists of layers, seen alike.

use crate::layer::{Block, Concat, LayerSpec, Repeat, Residual};
use crate::placed::Placed;

impl LayerSpec {
    /// Whether the layer holds lists of layers.
    pub(crate) fn is_container(&self) -> bool {
        matches!(
            self,
            LayerSpec::Block(_)
                | LayerSpec::Residual(_)
                | LayerSpec::Concat(_)
                | LayerSpec::Repeat(_)
                | LayerSpec::Recurrent(_)
        )
    }

    /// The lists of layers in it.
    pub(crate) fn lists(&self) -> Vec<&[Placed]> {
        match self {
            LayerSpec::Residual(residual) => vec![&residual.body, &residual.shortcut],
            LayerSpec::Concat(concat) => concat.branches.iter().map(Vec::as_slice).collect(),
            LayerSpec::Block(block) => vec![&block.body],
            LayerSpec::Repeat(repeat) => vec![&repeat.body],
            LayerSpec::Recurrent(recurrent) => vec![&recurrent.cell],
            _ => Vec::new(),
        }
    }

    /// The lists of layers in it, and what they are called in paths; nothing where that is the
    /// layer's own name.
    pub(crate) fn lists_mut(&mut self) -> Vec<(String, &mut Vec<Placed>)> {
        match self {
            LayerSpec::Residual(residual) => vec![
                ("body".to_owned(), &mut residual.body),
                ("shortcut".to_owned(), &mut residual.shortcut),
            ],
            LayerSpec::Concat(concat) => {
                let branches = concat.branches.iter_mut().enumerate();
                branches.map(|(i, branch)| (format!("branch{i}"), branch)).collect()
            }
            LayerSpec::Block(block) => vec![(String::new(), &mut block.body)],
            LayerSpec::Repeat(repeat) => vec![("0".to_owned(), &mut repeat.body)],
            LayerSpec::Recurrent(recurrent) => vec![("cell".to_owned(), &mut recurrent.cell)],
            _ => Vec::new(),
        }
    }
}

impl Placed {
    /// The same container with empty lists; any other layer as it is.
    pub(crate) fn emptied(&self) -> Placed {
        let layer = match &self.layer {
            LayerSpec::Residual(residual) => {
                let name = residual.name.clone();
                Residual { name, body: Vec::new(), shortcut: Vec::new() }.into()
            }
            LayerSpec::Concat(concat) => {
                let branches = vec![Vec::new(); concat.branches.len()];
                Concat { name: concat.name.clone(), branches, dim: concat.dim }.into()
            }
            LayerSpec::Block(block) => Block { name: block.name.clone(), body: Vec::new() }.into(),
            LayerSpec::Repeat(repeat) => {
                let name = repeat.name.clone();
                Repeat { name, times: repeat.times, body: Vec::new() }.into()
            }
            LayerSpec::Recurrent(recurrent) => recurrent.emptied().into(),
            other => other.clone(),
        };
        Placed { layer, inputs: self.inputs.clone(), weights: self.weights.clone() }
    }
}
