//! How large a specification may be: the same whether it is built, written or read, so that what was
//! saved can be loaded, and nothing walks so deep that the stack overflows.

use crate::error::LayerError;
use crate::layer::{Concat, LayerSpec, Residual};

/// The most containers (`residual`, `concat`) in each other. Their JSON stays within what readers of
/// JSON take: 128 lists and objects in each other.
pub(crate) const MOST_NESTED: usize = 32;

/// The most characters of a name.
pub(crate) const LONGEST_NAME: usize = 255;

/// Refuses layers that are nested too deep.
pub(crate) fn check_depth(layers: &[LayerSpec]) -> Result<(), LayerError> {
    let mut level: Vec<&LayerSpec> = layers.iter().collect();
    for _ in 0..MOST_NESTED {
        level = level.into_iter().flat_map(children).collect();
    }
    let contains =
        |layer: &&LayerSpec| matches!(layer, LayerSpec::Residual(_) | LayerSpec::Concat(_));
    if !level.iter().any(contains) {
        return Ok(());
    }
    let wanted = format!("at most {MOST_NESTED} residual and concat layers in each other");
    Err(LayerError::option("model", "layers", wanted, "more"))
}

/// Refuses a name that is too long.
pub(crate) fn check_length(owner: &str, name: &str) -> Result<(), LayerError> {
    let length = name.chars().count();
    if length <= LONGEST_NAME {
        return Ok(());
    }
    let wanted = format!("at most {LONGEST_NAME} characters");
    let got = format!("{length}: `{}…`", name.chars().take(20).collect::<String>());
    Err(LayerError::option(owner, "name", wanted, got))
}

/// The layers in a layer.
fn children(layer: &LayerSpec) -> Vec<&LayerSpec> {
    match layer {
        LayerSpec::Residual(residual) => residual.body.iter().chain(&residual.shortcut).collect(),
        LayerSpec::Concat(concat) => concat.branches.iter().flatten().collect(),
        _ => Vec::new(),
    }
}

/// Drops layers, and those in them, without recursion.
pub(crate) fn drop_layers(mut pending: Vec<LayerSpec>) {
    while let Some(mut layer) = pending.pop() {
        match &mut layer {
            LayerSpec::Residual(residual) => {
                pending.append(&mut residual.body);
                pending.append(&mut residual.shortcut);
            }
            LayerSpec::Concat(concat) => {
                concat.branches.drain(..).for_each(|mut branch| pending.append(&mut branch));
            }
            _ => {}
        }
    }
}

/// Copies layers, and those in them, without recursion.
pub(crate) fn clone_layers(layers: &[LayerSpec]) -> Vec<LayerSpec> {
    enum Task<'a> {
        Copy(&'a LayerSpec),
        Join(&'a LayerSpec),
    }
    let mut tasks: Vec<Task<'_>> = layers.iter().rev().map(Task::Copy).collect();
    let mut done: Vec<LayerSpec> = Vec::new();
    while let Some(task) = tasks.pop() {
        match task {
            Task::Copy(layer @ (LayerSpec::Residual(_) | LayerSpec::Concat(_))) => {
                tasks.push(Task::Join(layer));
                tasks.extend(children(layer).into_iter().rev().map(Task::Copy));
            }
            Task::Copy(layer) => done.push(layer.clone()),
            Task::Join(layer) => join(layer, &mut done),
        }
    }
    done
}

/// Puts a copy of a container behind the layers that were copied, in place of those in it.
fn join(layer: &LayerSpec, done: &mut Vec<LayerSpec>) {
    let mut last = |count: usize| done.split_off(done.len().saturating_sub(count));
    let copy = match layer {
        LayerSpec::Residual(residual) => {
            let shortcut = last(residual.shortcut.len());
            let body = last(residual.body.len());
            Residual { name: residual.name.clone(), body, shortcut }.into()
        }
        LayerSpec::Concat(concat) => {
            let mut branches: Vec<_> =
                concat.branches.iter().rev().map(|branch| last(branch.len())).collect();
            branches.reverse();
            Concat { name: concat.name.clone(), branches, dim: concat.dim }.into()
        }
        other => other.clone(),
    };
    done.push(copy);
}
