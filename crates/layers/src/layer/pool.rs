//! What pooling layers share: PyTorch's output sizes.

use onestep_engine::Value;

use super::window::Window;
use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Sizes;

/// How a pooling window moves, before the size of the sample is known.
pub(super) struct Pooling<S> {
    pub(super) kernel: S,
    pub(super) stride: S,
    pub(super) padding: S,
    pub(super) dilation: S,
    pub(super) ceil_mode: bool,
}

impl<S: Sizes> Pooling<S> {
    /// The window over the sample `x`, or what is wrong with it.
    pub(super) fn window(&self, cx: &BuildContext, x: Value) -> Result<Window, LayerError> {
        cx.expect_rank(x, 1 + S::AXES, S::SAMPLE)?;
        for (option, sizes, least) in [
            ("kernel_size", self.kernel, 1),
            ("stride", self.stride, 1),
            ("dilation", self.dilation, 1),
            ("padding", self.padding, 0),
        ] {
            cx.check_sizes(option, sizes, least)?;
        }
        let padding = self.padding.to_vec();
        let mut window = Window {
            size: self.kernel.to_vec(),
            stride: self.stride.to_vec(),
            low: padding.clone(),
            high: padding.clone(),
            dilation: self.dilation.to_vec(),
        };
        let extent = window.extents();
        if padding.iter().zip(&extent).any(|(&padding, &extent)| padding > extent / 2) {
            // A larger one would leave windows without any element.
            let wanted = format!("at most half of the window's extent {extent:?}");
            return Err(cx.option_error("padding", wanted, self.padding));
        }
        if !self.ceil_mode {
            cx.check_fit::<S>(x, &extent, |axis, size| window.count(axis, size))?;
            return Ok(window);
        }
        // A last window needs to begin inside, no more.
        let steps = extent.iter().zip(&window.stride);
        let least: Vec<usize> =
            steps.map(|(extent, stride)| extent.saturating_sub(stride - 1)).collect();
        cx.check_fit::<S>(x, &least, |axis, size| {
            (size + 2 * padding[axis] >= least[axis]).then_some(1)
        })?;
        let dims = cx.dims(x);
        window.high = (0..S::AXES).map(|axis| pad_high(&window, axis, dims[2 + axis])).collect();
        Ok(window)
    }
}

/// The padding behind the last element of an axis that makes room for the last window of PyTorch's
/// `ceil_mode`: one more than fits, if it begins inside the input or the padding before it.
fn pad_high(window: &Window, axis: usize, size: usize) -> usize {
    let (stride, padding, extent) = (window.stride[axis], window.low[axis], window.extent(axis));
    let steps = (size + 2 * padding).saturating_sub(extent).div_ceil(stride);
    let last = steps * stride;
    let last = if last >= size + padding { last - stride } else { last };
    (last + extent).saturating_sub(size + padding).max(padding)
}
