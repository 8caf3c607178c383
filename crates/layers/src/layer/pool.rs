//! What pooling layers share: PyTorch's output sizes.

use onestep_engine::Value;
use onestep_engine::ops::PoolWindow;

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::geometry::Pair;

/// How a pooling window moves, before the size of the picture is known.
pub(super) struct Pooling {
    pub(super) kernel: Pair,
    pub(super) stride: Pair,
    pub(super) padding: Pair,
    pub(super) dilation: Pair,
    pub(super) ceil_mode: bool,
}

impl Pooling {
    /// The window over the picture `x`, or what is wrong with it.
    pub(super) fn window(&self, cx: &BuildContext, x: Value) -> Result<PoolWindow, LayerError> {
        cx.expect_rank(x, 3, "[channels, height, width]")?;
        for (option, pair, least) in [
            ("kernel_size", self.kernel, 1),
            ("stride", self.stride, 1),
            ("dilation", self.dilation, 1),
            ("padding", self.padding, 0),
        ] {
            cx.check_pair(option, pair, least)?;
        }
        let (kernel, padding) = (self.kernel.to_array(), self.padding.to_array());
        let dilation = self.dilation.to_array();
        let extent = [0, 1].map(|axis| dilation[axis] * (kernel[axis] - 1) + 1);
        if (0..2).any(|axis| padding[axis] > extent[axis] / 2) {
            // A larger one would leave windows without any element.
            let wanted = format!("at most half of the window's extent {extent:?}");
            return Err(cx.option_error("padding", wanted, self.padding));
        }
        let mut window = PoolWindow {
            size: kernel,
            stride: self.stride.to_array(),
            pad_low: padding,
            pad_high: padding,
            dilation,
        };
        if !self.ceil_mode {
            cx.check_fit(x, extent, |axis, size| window.output_size(axis, size))?;
            return Ok(window);
        }
        // A last window needs to begin inside, no more.
        let least = [0, 1].map(|axis| extent[axis].saturating_sub(window.stride[axis] - 1));
        cx.check_fit(x, least, |axis, size| {
            (size + 2 * padding[axis] >= least[axis]).then_some(1)
        })?;
        let dims = cx.dims(x);
        window.pad_high = [0, 1].map(|axis| pad_high(&window, axis, extent[axis], dims[2 + axis]));
        Ok(window)
    }
}

/// The padding behind the last row or column that makes room for the last window of PyTorch's
/// `ceil_mode`: one more than fits, if it begins inside the input or the padding before it.
fn pad_high(window: &PoolWindow, axis: usize, extent: usize, size: usize) -> usize {
    let (stride, padding) = (window.stride[axis], window.pad_low[axis]);
    let steps = (size + 2 * padding).saturating_sub(extent).div_ceil(stride);
    let last = steps * stride;
    let last = if last >= size + padding { last - stride } else { last };
    (last + extent).saturating_sub(size + padding).max(padding)
}
