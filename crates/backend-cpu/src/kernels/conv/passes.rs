//! Which passes make up a convolution and the gradient in its input.

use onestep_engine::ops::ConvWindow;

use super::geometry::{Pass, Units};
use super::planes::PlaneLayout;

/// Planes and the passes over them.
pub(super) struct Passes {
    pub(super) layout: PlaneLayout,
    pub(super) passes: Vec<Pass>,
    /// The most rows and columns of outputs of a pass.
    pub(super) grid: [usize; 2],
    /// Rows of a whole picture in a plane, without those that it borrows from the next.
    picture: usize,
    /// The rows that outputs of a strip reach beyond as many rows as it has.
    spread: usize,
}

impl Passes {
    /// Cuts a batch into units, and lays out planes and vectors for them.
    pub(super) fn cut(
        &mut self,
        batch: usize,
        channels: usize,
        threads: usize,
        lanes: usize,
    ) -> Units {
        let line = self.layout.columns * channels * self.layout.used.len();
        let units = Units::new(batch, self.grid, (self.spread, line), 1, threads);
        self.layout.images = units.images;
        self.layout.rows = match units.strips() {
            1 => self.picture,
            // The row behind a strip is no border.
            _ => units.rows + self.spread,
        };
        for pass in &mut self.passes {
            pass.taps = pass.offsets.iter().map(|&offset| self.layout.tap(offset)).collect();
            let reach = pass.taps.iter().copied().max().unwrap_or(0);
            self.layout.reach = self.layout.reach.max(reach);
            pass.make_vectors(&self.layout, units.rows, lanes);
        }
        units
    }
}

fn pass(grid: [usize; 2], origin: [usize; 2], step: [usize; 2]) -> Pass {
    Pass {
        taps: Vec::new(),
        offsets: Vec::new(),
        elements: Vec::new(),
        grid,
        origin,
        step,
        vectors: Vec::new(),
        segments: Vec::new(),
    }
}

/// The one pass of a convolution.
pub(super) fn forward(
    window: &ConvWindow,
    kernel: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
) -> Passes {
    let shift = |axis: usize| (kernel[axis] - 1) * window.dilation[axis] / window.stride[axis];
    let shared = |axis: usize| match window.stride {
        [1, 1] => window.pad_low[axis].min(window.pad_high[axis]).min(shift(axis)),
        _ => 0,
    };
    let mut layout = PlaneLayout {
        source: input,
        phases: window.stride,
        used: Vec::new(),
        pad: window.pad_low.map(|p| p as isize),
        rows: 0,
        columns: output[1] + shift(1) - shared(1),
        images: 1,
        reach: 0,
    };
    let mut pass = pass(output, [0, 0], [1, 1]);
    for element in 0..kernel[0] * kernel[1] {
        let (qy, qx) = (element / kernel[1], element % kernel[1]);
        pass.offsets.push([qy * window.dilation[0], qx * window.dilation[1]]);
        pass.elements.push(element);
    }
    layout.used = pass.offsets.iter().map(|&offset| layout.phase(offset)).collect();
    layout.used.sort_unstable();
    layout.used.dedup();
    let picture = output[0] + shift(0) - shared(0);
    Passes { layout, passes: vec![pass], grid: output, picture, spread: shift(0) }
}

/// Along one axis, the inputs that lie at one distance from the stride's grid: input
/// `step * (i + first) + phase - pad` takes output `i + first - t` times kernel element `q` for
/// each `(q, t)`.
struct Residue {
    origin: usize,
    count: usize,
    first: isize,
    elements: Vec<(usize, isize)>,
}

fn residues(window: &ConvWindow, axis: usize, kernel: usize, input: usize) -> Vec<Residue> {
    let (stride, dilation) = (window.stride[axis], window.dilation[axis]);
    let pad = window.pad_low[axis];
    (0..stride.min(input))
        .map(|origin| {
            let phase = (origin + pad) % stride;
            let elements = (0..kernel)
                .filter(|q| q * dilation % stride == phase)
                .map(|q| (q, ((q * dilation - phase) / stride) as isize))
                .collect();
            Residue {
                origin,
                count: (input - origin).div_ceil(stride),
                first: ((origin + pad) / stride) as isize,
                elements,
            }
        })
        .collect()
}

/// The zeros before and behind the gradient's rows (or columns) that the residues reach.
fn reach(residues: &[Residue], output: usize) -> (isize, isize) {
    let mut pads = (isize::MIN, isize::MIN);
    for residue in residues {
        for &(_, t) in &residue.elements {
            let last = residue.count as isize - 1 + residue.first - t;
            pads.0 = pads.0.max(t - residue.first);
            pads.1 = pads.1.max(last - (output as isize - 1));
        }
    }
    if pads.0 == isize::MIN { (0, 0) } else { pads }
}

/// The passes of the gradient in the input: one for each residue of the stride.
pub(super) fn input_gradient(
    window: &ConvWindow,
    kernel: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
) -> Passes {
    let axes = [0, 1].map(|axis| residues(window, axis, kernel[axis], input[axis]));
    let pads = [0, 1].map(|axis| reach(&axes[axis], output[axis]));
    let most = |axis: usize| axes[axis].iter().map(|r| r.count).max().unwrap_or(0);
    let shared = |axis: usize| match window.stride {
        [1, 1] => pads[axis].0.min(pads[axis].1).max(0) as usize,
        _ => 0,
    };
    // Without what a picture or row borrows.
    let size = |axis: usize| {
        let (low, high) = pads[axis];
        ((output[axis] as isize + low + high).max(0) as usize).max(most(axis))
    };
    let layout = PlaneLayout {
        source: output,
        phases: [1, 1],
        used: vec![0],
        pad: [pads[0].0, pads[1].0],
        rows: 0,
        columns: size(1) - shared(1),
        images: 1,
        reach: 0,
    };
    let mut passes = Vec::new();
    for y in &axes[0] {
        for x in &axes[1] {
            let mut pass = pass([y.count, x.count], [y.origin, x.origin], window.stride);
            for &(qy, ty) in &y.elements {
                for &(qx, tx) in &x.elements {
                    let row = (y.first - ty + pads[0].0) as usize;
                    let column = (x.first - tx + pads[1].0) as usize;
                    pass.offsets.push([row, column]);
                    pass.elements.push(qy * kernel[1] + qx);
                }
            }
            passes.push(pass);
        }
    }
    let grid = [most(0), most(1)];
    // Of all passes, as a strip has as many rows of each: that which reaches furthest may have fewer in
    // the picture than the others.
    let offsets = passes.iter().flat_map(|pass| &pass.offsets);
    let spread = offsets.map(|offset| offset[0]).max().unwrap_or(0);
    Passes { layout, passes, grid, picture: size(0) - shared(0), spread }
}
