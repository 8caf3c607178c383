//! How large a specification may be: the same whether it is built, written or read, so that what was
//! saved can be loaded, and nothing walks so deep that the stack overflows.

use crate::error::LayerError;
use crate::layer::LayerSpec;
use crate::placed::Placed;

/// The most containers (`residual`, `concat`, `repeat`, `block`, `recurrent`) in each other. Their JSON stays within what
/// readers of JSON take: 128 lists and objects in each other.
pub(crate) const MOST_NESTED: usize = 32;

/// The most layers once repeated blocks are written out.
pub(crate) const MOST_LAYERS: usize = 65_536;

/// The most characters of a name.
pub(crate) const LONGEST_NAME: usize = 255;

/// Refuses layers that are nested too deep or repeated too often.
pub(crate) fn check_layers(layers: &[Placed]) -> Result<(), LayerError> {
    check_depth(layers)?;
    let count = written_out(layers);
    if count <= MOST_LAYERS {
        return Ok(());
    }
    let wanted = format!("at most {MOST_LAYERS} with repeated ones counted each time");
    Err(LayerError::option("model", "layers", wanted, count))
}

/// Refuses layers that are nested too deep.
pub(crate) fn check_depth(layers: &[Placed]) -> Result<(), LayerError> {
    let mut level: Vec<&Placed> = layers.iter().collect();
    for _ in 0..MOST_NESTED {
        level = level.into_iter().flat_map(|layer| layer.lists()).flatten().collect();
    }
    if !level.iter().any(|layer| layer.is_container()) {
        return Ok(());
    }
    let wanted = format!(
        "at most {MOST_NESTED} residual, concat, repeat and block layers, and cells, in each other"
    );
    Err(LayerError::option("model", "layers", wanted, "more"))
}

/// How many layers there are, those of repeated blocks counted each time. The depth is checked.
fn written_out(layers: &[Placed]) -> usize {
    let count = |layer: &Placed| {
        let times = match &layer.layer {
            LayerSpec::Repeat(repeat) => repeat.times,
            _ => 1,
        };
        let within: usize = layer.lists().into_iter().map(written_out).sum();
        within.saturating_mul(times).saturating_add(1)
    };
    layers.iter().map(count).fold(0, usize::saturating_add)
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

/// Drops layers, and those in them, without recursion.
pub(crate) fn drop_layers(mut pending: Vec<Placed>) {
    while let Some(mut layer) = pending.pop() {
        layer.lists_mut().into_iter().for_each(|(_, list)| pending.append(list));
    }
}

/// Copies layers, and those in them, without recursion.
pub(crate) fn clone_layers(layers: &[Placed]) -> Vec<Placed> {
    enum Task<'a> {
        Copy(&'a Placed),
        Join(&'a Placed),
    }
    let mut tasks: Vec<Task<'_>> = layers.iter().rev().map(Task::Copy).collect();
    let mut done: Vec<Placed> = Vec::new();
    while let Some(task) = tasks.pop() {
        match task {
            Task::Copy(layer) if layer.is_container() => {
                tasks.push(Task::Join(layer));
                let within: Vec<&Placed> = layer.lists().into_iter().flatten().collect();
                tasks.extend(within.into_iter().rev().map(Task::Copy));
            }
            Task::Copy(layer) => done.push(layer.clone()),
            Task::Join(layer) => join(layer, &mut done),
        }
    }
    done
}

/// Puts a copy of a container behind the layers that were copied, in place of those in it.
fn join(original: &Placed, done: &mut Vec<Placed>) {
    let mut copy = original.emptied();
    let counts = original.lists().into_iter().map(<[Placed]>::len);
    let lists = copy.lists_mut();
    for ((_, list), count) in lists.into_iter().zip(counts).rev() {
        *list = done.split_off(done.len().saturating_sub(count));
    }
    done.push(copy);
}
