//! Layers one behind the other, and what each takes.

use onestep_engine::Value;

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::layer::{Layer, LayerSpec, Shapes};
use crate::names::names;
use crate::parts::{LayerRow, total};
use crate::placed::Placed;

impl BuildContext {
    /// The layers of a list one after the other; an empty list is the identity. A layer that names
    /// its inputs takes those, of this list or of one around it.
    ///
    /// # Errors
    /// Names that clash or are not known, and those of the layers.
    pub fn sequence(&mut self, layers: &[Placed], x: Value) -> Result<Value, LayerError> {
        let names = self.enter(layers)?;
        let last = self.run(layers, &names, vec![x]);
        let last = last.and_then(|values| self.only(&values, "the last layer"));
        self.wiring.leave();
        last
    }

    /// Enters a list of layers; gives their names.
    pub(crate) fn enter(&mut self, layers: &[Placed]) -> Result<Vec<String>, LayerError> {
        let place = if self.depth() == 0 { "model".to_owned() } else { self.path() };
        let names = names(layers, &place)?;
        self.wiring.enter(&names);
        Ok(names)
    }

    /// The layers of the list that was entered; gives what the last one gives.
    pub(crate) fn run(
        &mut self,
        layers: &[Placed],
        names: &[String],
        first: Vec<Value>,
    ) -> Result<Vec<Value>, LayerError> {
        let mut last = first;
        for (name, placed) in names.iter().zip(layers) {
            let inputs = match &placed.inputs[..] {
                [] => {
                    self.scope(name, |cx| cx.only(&last, "what comes before it").map(|x| vec![x]))
                }
                references => self.scope(name, |cx| cx.named(references)),
            }?;
            if let Some(owner) = &placed.weights {
                self.scope(name, |cx| {
                    let path = cx.path();
                    let shared = cx.wiring.share(&path, owner);
                    shared.map_err(|(wanted, got)| cx.option_error("weights", wanted, got))
                })?;
            }
            last = self.apply_many(name, &placed.layer, &inputs)?;
            let path = self.scope(name, |cx| Ok(cx.path()))?;
            self.wiring.learn(name, last.clone(), Some(path));
        }
        Ok(last)
    }

    fn named(&self, references: &[String]) -> Result<Vec<Value>, LayerError> {
        let values = references.iter().map(|reference| self.wiring.values(reference));
        let values = values.collect::<Result<Vec<_>, _>>();
        let values = values.map_err(|(wanted, got)| self.option_error("inputs", wanted, got))?;
        Ok(values.concat())
    }

    fn only(&self, values: &[Value], what: &str) -> Result<Value, LayerError> {
        match values {
            &[value] => Ok(value),
            several => {
                let wanted =
                    format!("`inputs` by name, since {what} gives {} values", several.len());
                Err(self.input_error(wanted, "none named"))
            }
        }
    }

    /// One layer under the given name.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn apply(&mut self, name: &str, layer: &LayerSpec, x: Value) -> Result<Value, LayerError> {
        let outputs = self.apply_many(name, layer, &[x])?;
        self.scope(name, |cx| cx.only(&outputs, "the layer"))
    }

    /// One layer under the given name, with all that it takes and gives.
    ///
    /// # Errors
    /// Those of the layer.
    pub fn apply_many(
        &mut self,
        name: &str,
        layer: &LayerSpec,
        inputs: &[Value],
    ) -> Result<Vec<Value>, LayerError> {
        let first_node = self.graph.nodes().len();
        let (first_parameter, first_state) = (self.parameters.len(), self.states.len());
        let row = self.rows.len();
        self.scope(name, |cx| {
            let path = cx.path();
            cx.rows.push(LayerRow::new(&path, layer.display_type(), cx.depth()));
            if !layer.takes_indices() {
                inputs.iter().try_for_each(|&x| cx.expect_f32(x))?;
            }
            if cx.decodes() && !layer.decodes() {
                let wanted = "a layer that works on one position after the other, to decode";
                return Err(cx.input_error(wanted, layer.display_type()));
            }
            let outputs = layer.build_many(cx, inputs)?;
            outputs.iter().try_for_each(|&y| cx.check_output(y))?;
            cx.graph.label_fresh(first_node, &path);
            match outputs[..] {
                [y] => cx.graph.mark(&path, y),
                ref several => {
                    for (i, &y) in several.iter().enumerate() {
                        cx.graph.mark(&format!("{path}.{i}"), y);
                    }
                }
            }

            let parameters = cx.parameters[first_parameter..].iter();
            let own = parameters.filter(|p| p.layer == path).map(|p| p.info.shape.elements());
            let states = cx.states[first_state..].iter();
            let kept = states.filter(|s| s.layer == path).map(|s| s.shape.elements());
            let (own, kept) = (total(own), total(kept));
            let sample = |values: &[Value]| values.first().map_or(Vec::new(), |&v| cx.sample(v));
            let shapes =
                Shapes { input: sample(inputs), output: sample(&outputs), taken: inputs.len() };
            let flops = layer.flops(&shapes);
            cx.rows[row].fill(shapes.input, shapes.output, own, kept, flops);
            Ok(outputs)
        })
    }
}
