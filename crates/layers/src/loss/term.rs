//! One of several losses of a model.

use onestep_engine::{DType, Graph, Named, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LossContext, LossSpec, LossValues, WEIGHT};
use crate::error::LayerError;
use crate::input::OUTPUT;

/// The name of the leaf that a loss compares the output with.
pub const TARGET: &str = "target";

/// A loss on one of the model's outputs, or on several, and its share of the sum that is minimised.
///
/// ```
/// use onestep_layers::{LossSpec, LossTerm};
/// let term: LossTerm = serde_json::from_str(
///     r#"{"output": "aux", "target": "label", "loss": "cross_entropy", "weight": 0.3}"#,
/// )?;
/// assert_eq!((term.output.as_str(), term.weight), ("aux", 0.3));
/// assert_eq!(LossTerm::from(LossSpec::default()).target, "target");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LossTerm {
    /// The name of the output; default "output".
    #[serde(default = "output")]
    pub output: String,
    /// The names of the outputs of a loss of several, in its order, in place of `output`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// The name of what it is compared with; default "target". A loss without a target has no use
    /// for it.
    #[serde(default = "target")]
    pub target: String,
    /// The loss.
    pub loss: LossSpec,
    /// The factor in the sum of all losses; default 1.
    #[serde(default = "one")]
    pub weight: f32,
}

fn output() -> String {
    OUTPUT.to_owned()
}

fn target() -> String {
    TARGET.to_owned()
}

fn one() -> f32 {
    1.0
}

impl From<LossSpec> for LossTerm {
    /// The loss of the output called `output` against the target called `target`.
    fn from(loss: LossSpec) -> Self {
        LossTerm { output: output(), outputs: Vec::new(), target: target(), loss, weight: one() }
    }
}

/// All losses of a model in its graph.
#[derive(Clone, Debug, PartialEq)]
pub struct JointLoss {
    /// The sum of the losses, each times its factor: the scalar to minimise.
    pub loss: Value,
    /// What the joint loss of a batch counts for among others: what the mean of the only loss was
    /// divided by, or of several the number of samples or the sum of their weights.
    pub weight: Value,
    /// What each loss added, in the order of the terms.
    pub terms: Vec<LossValues>,
}

impl LossTerm {
    /// The names of the outputs that the loss is of, in its order.
    pub fn output_names(&self) -> &[String] {
        match self.outputs.is_empty() {
            true => std::slice::from_ref(&self.output),
            false => &self.outputs,
        }
    }

    /// The output that the loss is of, or the first of several: what predictions are.
    pub fn first_output(&self) -> &str {
        self.outputs.first().unwrap_or(&self.output)
    }

    /// Appends all losses to the graph that `outputs` are of. With `weighted` there is a leaf called
    /// `weight`, `[batch]`, with which each mean becomes `sum(w l) / sum(w)`.
    ///
    /// ```
    /// use onestep_engine::{Mode, ops::LeafKind};
    /// use onestep_layers::{LossTerm, ModelBuilder};
    /// let model = ModelBuilder::new([4])
    ///     .dense(8, true, "hidden").dense(3, true, "class").dense(1, true, "size").taking(["hidden"])
    ///     .output("class", "class").output("size", "size")
    ///     .build()?;
    /// let terms: Vec<LossTerm> = serde_json::from_str(
    ///     r#"[{"output": "class", "target": "kind", "loss": "cross_entropy"},
    ///         {"output": "size", "target": "metres", "loss": "mse", "weight": 0.3}]"#,
    /// )?;
    /// let mut forward = model.forward(Mode::Train, 8)?;
    /// let joint = LossTerm::build_all(&terms, &mut forward.graph, &forward.outputs, false)?;
    /// assert_eq!(joint.terms.len(), 2);
    /// let fed: Vec<&str> = forward.graph.leaves(LeafKind::Input).map(|(name, _)| name).collect();
    /// assert_eq!(fed, ["input", "kind", "metres"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// No term, an output that the model does not have, a factor that is not finite, or what a loss
    /// refuses.
    pub fn build_all(
        terms: &[LossTerm],
        g: &mut Graph,
        outputs: &[Named],
        weighted: bool,
    ) -> Result<JointLoss, LayerError> {
        let samples = outputs.first().map_or(0, |output| g.shape(output.value).dims()[0]);
        let weights = match weighted {
            true => Some(g.input(WEIGHT, &[samples], DType::F32)?),
            false => None,
        };
        let mut built = Vec::with_capacity(terms.len());
        let mut joint = None;
        for term in terms {
            let values = term.build(g, outputs, weights)?;
            let share = match term.weight {
                1.0 => values.loss,
                factor => g.scale(values.loss, factor)?,
            };
            joint = Some(match joint {
                None => share,
                Some(sum) => g.add(sum, share)?,
            });
            built.push(values);
        }
        let none = || LayerError::option("losses", "terms", "one or more", "none");
        let loss = joint.ok_or_else(none)?;
        let weight = match (&built[..], weights) {
            ([only], _) => only.weight,
            (_, Some(weights)) => g.sum_all(weights)?,
            (_, None) => g.constant(samples as f32)?,
        };
        Ok(JointLoss { loss, weight, terms: built })
    }

    fn build(
        &self,
        g: &mut Graph,
        outputs: &[Named],
        weights: Option<Value>,
    ) -> Result<LossValues, LayerError> {
        let name = self.loss.type_name();
        if !self.weight.is_finite() {
            return Err(LayerError::option(name, "weight", "a finite number", self.weight));
        }
        if !self.outputs.is_empty() && self.output != OUTPUT {
            let wanted = "one of `output` and `outputs`";
            return Err(LayerError::option(name, "outputs", wanted, "both"));
        }
        let found = |own: &String| {
            let output = outputs.iter().find(|output| output.name == *own);
            output.map(|output| output.value).ok_or_else(|| {
                let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
                let wanted = format!("an output of the model ({})", names.join(", "));
                LayerError::option(name, "output", wanted, format!("`{own}`"))
            })
        };
        let all = self.output_names().iter().map(found).collect::<Result<Vec<Value>, _>>()?;
        let cx = LossContext::new(g, all[0]).with_outputs(&all[1..]);
        self.loss.build_in(&mut cx.against(&self.target).weighted(weights))
    }
}
