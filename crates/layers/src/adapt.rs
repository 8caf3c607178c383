//! Adapters for the dense layers of a model that was written without.

use crate::error::LayerError;
use crate::layer::{LayerSpec, Lora};
use crate::names::names;
use crate::placed::Placed;
use crate::spec::ModelSpec;

impl ModelSpec {
    /// Adds an adapter to each dense layer whose path is chosen, such as `block1.fc`, unless it has one.
    /// Layers that share weights get it together, by the path of the one that has them. Returns the
    /// paths of the weights that are adapted, in the order of the layers.
    ///
    /// ```
    /// use onestep_layers::{Lora, ModelBuilder};
    /// let mut spec = ModelBuilder::new([4]).dense(8, true, "body").dense(2, true, "head").spec();
    /// assert_eq!(spec.add_lora(Lora::new(2, 4.0), |path| path == "body")?, ["body"]);
    /// let model = spec.compile()?;
    /// assert!(model.parameters().iter().any(|p| p.info.name == "body.lora_a"));
    /// # Ok::<(), onestep_layers::LayerError>(())
    /// ```
    ///
    /// # Errors
    /// Names of layers that no model may have.
    pub fn add_lora(
        &mut self,
        lora: Lora,
        chosen: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, LayerError> {
        let mut adapted = Vec::new();
        adapt(&mut self.layers, "", (lora, &chosen), &mut adapted)?;
        Ok(adapted)
    }
}

fn adapt(
    layers: &mut [Placed],
    path: &str,
    (lora, chosen): (Lora, &dyn Fn(&str) -> bool),
    adapted: &mut Vec<String>,
) -> Result<(), LayerError> {
    let sequence = if path.is_empty() { "model" } else { path };
    let names = names(layers, sequence)?;
    for (placed, own) in layers.iter_mut().zip(&names) {
        // Where the weights are: those that are shared bear the name of who has them.
        let own = placed.weights.as_ref().unwrap_or(own);
        let path = if path.is_empty() { own.clone() } else { format!("{path}.{own}") };
        if let LayerSpec::Dense(dense) = &mut placed.layer
            && dense.lora.is_none()
            && chosen(&path)
        {
            dense.lora = Some(lora);
            if !adapted.contains(&path) {
                adapted.push(path.clone());
            }
        }
        for (name, list) in placed.layer.lists_mut() {
            let within = if name.is_empty() { path.clone() } else { format!("{path}.{name}") };
            adapt(list, &within, (lora, chosen), adapted)?;
        }
    }
    Ok(())
}
