//! The losses and metrics of a program.

use std::sync::Arc;

use onestep_engine::{DType, Named, Signature, Value};
use onestep_layers::{
    Averaging, ClassTargets, CrossEntropy, Forward, LayerError, LossSpec, LossTerm, LossValues,
};

use crate::metrics::{Figures, Metric, Scored};

/// What is minimised and what is measured.
#[derive(Clone)]
pub(super) struct Scoring {
    pub(super) terms: Arc<[LossTerm]>,
    pub(super) metrics: Arc<[Arc<dyn Metric>]>,
}

impl Scoring {
    /// The same for a batch of this signature: where it has f32 in place of labels, they were mixed and
    /// are probabilities of classes.
    pub(super) fn of_batch(&self, signature: &Signature) -> Scoring {
        let is_mixed = |term: &LossTerm| {
            signature.field(&term.target).is_some_and(|ty| ty.dtype == DType::F32)
        };
        let term = |term: &LossTerm| {
            let soft = of_probabilities(&term.loss).filter(|_| is_mixed(term));
            LossTerm { loss: soft.unwrap_or_else(|| term.loss.clone()), ..term.clone() }
        };
        Scoring { terms: self.terms.iter().map(term).collect(), metrics: self.metrics.clone() }
    }
}

/// A loss of labels as one of probabilities of classes, where a batch of these counts as one of labels
/// does: cross-entropy without weights of classes and without a label that does not count.
pub(crate) fn of_probabilities(loss: &LossSpec) -> Option<LossSpec> {
    match loss {
        LossSpec::CrossEntropy(loss)
            if loss.target == ClassTargets::Labels
                && loss.weight.is_none()
                && loss.ignore_index.is_none() =>
        {
            let target = ClassTargets::Probabilities;
            Some(LossSpec::CrossEntropy(CrossEntropy { target, ..loss.clone() }))
        }
        _ => None,
    }
}

/// What the losses and metrics have added to a graph.
pub(super) struct Scores {
    /// The first loss.
    pub(super) first: LossValues,
    /// What each loss added.
    pub(super) terms: Vec<LossValues>,
    /// The sum of all with their weights: what is minimised.
    pub(super) loss: Value,
    /// What the batch counts for.
    pub(super) weight: Value,
    pub(super) figures: Figures,
    pub(super) reports: Vec<Named>,
}

/// Appends the losses and the metrics, with a leaf of the weights of samples where they are `weighted`.
pub(super) fn score(
    forward: &mut Forward,
    scoring: &Scoring,
    weighted: bool,
) -> Result<Scores, LayerError> {
    let Forward { graph: g, outputs, .. } = forward;
    let joint = LossTerm::build_all(&scoring.terms, g, outputs, weighted)?;
    let scored: Vec<(&str, Scored)> = scoring
        .terms
        .iter()
        .zip(&joint.terms)
        .filter_map(|(term, &loss)| {
            let output = outputs.iter().find(|output| output.name == term.first_output())?;
            let scored = Scored { output: output.value, loss, task: term.loss.task() };
            Some((term.first_output(), scored))
        })
        .collect();
    let missing = || LayerError::option("model", "losses", "at least one", "none");
    let (term, &first) = scoring.terms.iter().zip(&joint.terms).next().ok_or_else(missing)?;
    // Of several losses none says for itself what the batch counts for.
    let averaging = match joint.terms.len() {
        1 => term.loss.averaging(g, &first)?,
        _ if weighted => Averaging::Weight(joint.weight),
        _ => Averaging::Samples,
    };
    let weight = match averaging {
        Averaging::Samples => {
            let samples = outputs.first().and_then(|output| g.shape(output.value).first().copied());
            let samples = samples.unwrap_or(1);
            g.constant(samples as f32)?
        }
        Averaging::Weight(weight) => weight,
        Averaging::Sum => g.constant(1.0)?,
    };
    let (figures, reports) = Figures::build(&scoring.metrics, g, &scored, averaging)?;
    Ok(Scores { first, terms: joint.terms, loss: joint.loss, weight, figures, reports })
}
