//! The losses and metrics of a program.

use std::sync::Arc;

use onestep_engine::{DType, Named, Signature, Value};
use onestep_layers::{
    Averaging, ClassTargets, CrossEntropy, Forward, LayerError, LossContext, LossSpec, LossTerm,
    LossValues,
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
    /// The sum of all with their weights: what is minimised.
    pub(super) loss: Value,
    /// What the batch counts for.
    pub(super) weight: Value,
    pub(super) figures: Figures,
    pub(super) reports: Vec<Named>,
}

/// Appends the losses and the metrics, with the weights of samples where there are any.
pub(super) fn score(
    forward: &mut Forward,
    scoring: &Scoring,
    weights: Option<Value>,
) -> Result<Scores, LayerError> {
    let mut parts = Vec::new();
    for term in scoring.terms.iter() {
        let output = forward.output_named(&term.output).ok_or_else(|| {
            let known: Vec<&str> = forward.outputs.iter().map(|o| o.name.as_str()).collect();
            let wanted = format!("one of the model's outputs ({})", known.join(", "));
            LayerError::option("loss", "output", wanted, format!("`{}`", term.output))
        })?;
        let mut cx =
            LossContext::new(&mut forward.graph, output).against(&term.target).weighted(weights);
        let values = term.loss.build_in(&mut cx)?;
        parts.push((term, Scored { output, loss: values, task: term.loss.task() }));
    }
    let missing = || LayerError::option("model", "losses", "at least one", "none");
    let (term, first) = *parts.first().ok_or_else(missing)?;
    let g = &mut forward.graph;
    let mut loss = None;
    for (term, scored) in &parts {
        let part = match term.weight {
            1.0 => scored.loss.loss,
            factor => g.scale(scored.loss.loss, factor)?,
        };
        loss = Some(match loss {
            None => part,
            Some(sum) => g.add(sum, part)?,
        });
    }
    let averaging = term.loss.averaging(g, &first.loss)?;
    let weight = match averaging {
        Averaging::Samples => {
            let samples = g.shape(first.loss.target).dims().first().copied().unwrap_or(1);
            g.constant(samples as f32)?
        }
        Averaging::Weight(weight) => weight,
        Averaging::Sum => g.constant(1.0)?,
    };
    let outputs: Vec<(&str, Scored)> =
        parts.iter().map(|(term, scored)| (term.output.as_str(), *scored)).collect();
    let (figures, reports) = Figures::build(&scoring.metrics, g, &outputs, averaging)?;
    Ok(Scores {
        first: first.loss,
        loss: loss.unwrap_or(first.loss.loss),
        weight,
        figures,
        reports,
    })
}
