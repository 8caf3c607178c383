//! What adaptive pools share: windows as many as the output has elements.

use onestep_engine::Value;

use super::window::Window;
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;

/// The most elements that the windows of one axis may have together.
const MAX_ELEMENTS: usize = 1 << 24;

/// How the windows lie over the input.
pub(super) enum Adaptive {
    /// One element each.
    Same,
    /// All elements in one.
    Whole,
    /// Side by side, all of one size.
    Even(Window),
    /// Of several sizes: so many an axis.
    Uneven(Vec<usize>),
}

/// Where the windows of one axis begin and end.
pub(super) fn windows(size: usize, outputs: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..outputs).map(move |i| (i * size / outputs, ((i + 1) * size).div_ceil(outputs)))
}

/// The most elements of a window of one axis.
pub(super) fn longest(size: usize, outputs: usize) -> usize {
    // Both ends may cut a whole element in two.
    (size.div_ceil(outputs) + 1).min(size)
}

/// How the windows to an output of some size lie, or what is wrong with it.
pub(super) fn check<S: Sizes>(
    cx: &BuildContext,
    x: Value,
    output_size: S,
) -> Result<Adaptive, LayerError> {
    cx.expect_rank(x, 1 + S::AXES, S::SAMPLE)?;
    cx.check_sizes("output_size", output_size, 1)?;
    let (size, outputs) = (cx.sample(x)[1..].to_vec(), output_size.to_vec());
    if size == outputs {
        return Ok(Adaptive::Same);
    }
    if outputs.iter().all(|&outputs| outputs == 1) {
        return Ok(Adaptive::Whole);
    }
    if size.iter().zip(&outputs).all(|(size, &outputs)| size.is_multiple_of(outputs)) {
        let tiles = size.iter().zip(&outputs).map(|(size, outputs)| size / outputs).collect();
        return Ok(Adaptive::Even(Window::tiles(tiles)));
    }
    for (&one, &outputs) in size.iter().zip(&outputs) {
        if outputs.saturating_mul(longest(one, outputs)) > MAX_ELEMENTS {
            let wanted = format!(
                "smaller, or divide the input's {size:?}: windows of several sizes have at most \
                 {MAX_ELEMENTS} elements an axis together"
            );
            return Err(cx.option_error("output_size", wanted, output_size));
        }
    }
    Ok(Adaptive::Uneven(outputs))
}
