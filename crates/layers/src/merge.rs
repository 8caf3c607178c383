//! Low-rank adapters folded into the weights that they are added to.

use std::collections::{BTreeMap, HashMap};

use crate::error::LayerError;
use crate::layer::LayerSpec;
use crate::model::Model;
use crate::placed::Placed;
use crate::spec::ModelSpec;
use crate::state_dict::{self, StateTensor, WeightLayout};

/// The model without its [`Lora`](crate::Lora) adapters, and its weights: `W + (alpha / rank) A B` in
/// place of each W that has one. It gives what the model gave, to rounding. `tensors` and the result
/// are in the layout used here.
///
/// ```
/// use onestep_layers::{Lora, ModelBuilder, StateTensor, merge_lora};
/// let model = ModelBuilder::new([2]).dense_lora(1, false, Lora::new(1, 3.0), "fc").build()?;
/// let (merged, tensors) = merge_lora(
///     &model,
///     [
///         StateTensor::new("fc.weight", &[2, 1], vec![1.0, 2.0]),
///         StateTensor::new("fc.lora_a", &[2, 1], vec![5.0, 7.0]),
///         StateTensor::new("fc.lora_b", &[1, 1], vec![2.0]),
///     ],
/// )?;
/// assert_eq!(tensors, [StateTensor::new("fc.weight", &[2, 1], vec![31.0, 44.0])]);
/// assert_eq!(merged, ModelBuilder::new([2]).dense(1, false, "fc").spec());
/// # Ok::<(), onestep_layers::LayerError>(())
/// ```
///
/// # Errors
/// Tensors that are not the model's, as in [`state_dict::from_layout`]; a weight that is used without
/// its adapter too, or with another `alpha`, which one weight cannot stand for; an adapter that the
/// code of a custom layer has.
pub fn merge_lora(
    model: &Model,
    tensors: impl IntoIterator<Item = StateTensor>,
) -> Result<(ModelSpec, Vec<StateTensor>), LayerError> {
    let scales = scales(model)?;
    let found = state_dict::from_layout(model, tensors, WeightLayout::Onestep)?;
    let mut spec = model.spec().clone();
    without_adapters(&mut spec.layers);
    if let Some(used) = spec.compile()?.uses().iter().find(|used| used.adapter.is_some()) {
        let got = format!("that of `{}`, in the code of a custom layer", used.parameter);
        return Err(LayerError::option("model", "lora", "an adapter of the specification", got));
    }
    let mut rest: HashMap<String, StateTensor> =
        found.iter().map(|tensor| (tensor.name.clone(), tensor.clone())).collect();
    for (name, &scale) in &scales {
        let layer = name.strip_suffix("weight").unwrap_or(name);
        let taken = ["lora_a", "lora_b"].map(|last| {
            let name = format!("{layer}{last}");
            rest.remove(&name).ok_or(LayerError::MissingTensor { name })
        });
        let [a, b] = taken;
        if let Some(weight) = rest.get_mut(*name) {
            fold(weight, &a?, &b?, scale);
        }
    }
    let kept = found.into_iter().filter_map(|tensor| rest.remove(&tensor.name)).collect();
    Ok((spec, kept))
}

/// How many times the adapter of each weight that has one counts, by the weight's name.
fn scales(model: &Model) -> Result<BTreeMap<&str, f32>, LayerError> {
    let uses = model.uses();
    let adapted = uses.iter().filter_map(|used| Some((used.parameter.as_str(), used.adapter?)));
    let scales: BTreeMap<&str, f32> = adapted.collect();
    for used in uses {
        let Some(&scale) = scales.get(used.parameter.as_str()) else { continue };
        if used.adapter != Some(scale) {
            let wanted = format!("the same wherever `{}` is used, to be merged", used.parameter);
            let times = |scale: f32| format!("an adapter that counts {scale} times");
            let other = used.adapter.map_or_else(|| "no adapter".to_owned(), times);
            let got = format!("{} and {other}", times(scale));
            return Err(LayerError::option("model", "lora", wanted, got));
        }
    }
    Ok(scales)
}

fn without_adapters(layers: &mut [Placed]) {
    for placed in layers {
        if let LayerSpec::Dense(dense) = &mut placed.layer {
            dense.lora = None;
        }
        for (_, list) in placed.layer.lists_mut() {
            without_adapters(list);
        }
    }
}

/// `W += scale A B`, rounded once.
fn fold(weight: &mut StateTensor, a: &StateTensor, b: &StateTensor, scale: f32) {
    let (rank, out) = (b.shape[0], b.shape[1]);
    let rows = weight.data.chunks_exact_mut(out).zip(a.data.chunks_exact(rank));
    let mut sums = vec![0f64; out];
    for (row, factors) in rows {
        sums.fill(0.0);
        for (&factor, line) in factors.iter().zip(b.data.chunks_exact(out)) {
            for (sum, &x) in sums.iter_mut().zip(line) {
                *sum += f64::from(factor) * f64::from(x);
            }
        }
        for (w, sum) in row.iter_mut().zip(&sums) {
            *w = (f64::from(*w) + f64::from(scale) * sum) as f32;
        }
    }
}
