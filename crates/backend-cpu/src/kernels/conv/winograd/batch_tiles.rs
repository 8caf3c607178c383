//! The transformed tiles of a whole batch, computed once and read by all tasks.

use std::marker::PhantomData;

use onestep_engine::EngineError;
use onestep_engine::plan::Place;

use super::sizes::TileLayout;
use super::transform::{self, Transform};
use crate::cpu_kernel::{ALIGNMENT, Address, Context, Regions, tasks_for};
use crate::kernels::conv::geometry::{Unit, Units};
use crate::kernels::conv::grid::{Channels, Grid, units};
use crate::pool::Turn;
use crate::simd::{Simd, Task};

/// The tiles of what is filtered.
pub(super) struct BatchTiles<W, const M: usize, const N: usize> {
    grid: Grid<N>,
    pub(super) units: Units,
    /// Of all tiles.
    pub(super) layout: TileLayout,
    channels: usize,
    /// Elements of a channel of a picture.
    size: usize,
    source: Address,
    transform: PhantomData<fn() -> W>,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> BatchTiles<W, M, N> {
    /// Of a batch of pictures with so many channels, whose results are of the size `out`.
    pub(super) fn new(
        source: &Place,
        pad: [usize; 2],
        out: [usize; 2],
        regions: Regions,
        (threads, lanes): (usize, usize),
    ) -> Result<Self, EngineError> {
        let [batch, channels, height, width] = [0, 1, 2, 3].map(|axis| source.shape[axis]);
        let grid = out.map(|size| size.div_ceil(M));
        let tiles = batch * grid[0] * grid[1];
        let tasks = tasks_for(tiles * N * N * channels / lanes, threads);
        Ok(BatchTiles {
            grid: Grid::new([height, width], pad, grid, M),
            units: units(batch, grid, N * N * channels, tasks),
            layout: TileLayout { columns: grid[1], tiles, lanes },
            channels,
            size: height * width,
            source: regions.address(source)?,
            transform: PhantomData,
        })
    }

    /// Elements of all transformed tiles, and of the pixels of a worker.
    pub(super) fn elements(&self) -> (usize, usize) {
        let pixels = self.grid.elements(&self.units, self.layout.pixel(self.channels));
        (N * N * self.layout.frequency(self.channels), pixels)
    }

    /// Bytes of all transformed tiles.
    pub(super) fn shared(&self) -> usize {
        (self.elements().0 * size_of::<f32>()).next_multiple_of(ALIGNMENT)
    }

    /// The number of a unit's first tile.
    pub(super) fn first_tile(&self, unit: &Unit) -> usize {
        (unit.first_image * self.units.height + unit.first_row) * self.layout.columns
    }

    /// The tiles' channels of a frequency, and how far apart tiles are.
    pub(super) fn frequency(&self, context: &Context<'_>, index: usize) -> (*const f32, usize) {
        let tiles = context.shared_scratch().cast::<f32>().cast_const();
        let at = index * self.layout.frequency(self.channels);
        (tiles.wrapping_add(at), self.layout.tile(self.channels))
    }

    /// Transforms the tiles of the task's unit to the shared scratch memory.
    ///
    /// # Safety
    /// The context has the source, and scratch memory for [`BatchTiles::elements`].
    pub(super) unsafe fn transform(&self, context: &Context<'_>, turn: Turn) {
        // SAFETY: the caller vouches for the context; each unit's tiles belong to one task.
        unsafe { context.level.run(TransformUnit { tiles: self, context, turn }) };
    }
}

/// Transforms one unit.
struct TransformUnit<'a, W, const M: usize, const N: usize> {
    tiles: &'a BatchTiles<W, M, N>,
    context: &'a Context<'a>,
    turn: Turn,
}

impl<W: Transform<M, N>, const M: usize, const N: usize> Task for TransformUnit<'_, W, M, N> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (t, count) = (self.tiles, self.tiles.channels);
        let unit = t.units.unit(self.turn.task);
        let (pixel, tile) = (t.layout.pixel(count), t.layout.tile(count));
        // SAFETY: the source has the unit's pictures; the scratch memory fits pixels and tiles.
        unsafe {
            let pixels = self.context.worker_scratch(self.turn.worker).cast::<f32>();
            let data = self.context.floats(t.source);
            let from = Channels { data, count, image: count * t.size };
            t.grid.load::<S>(from, &unit, pixels, pixel);
            let to = self.context.shared_scratch().cast::<f32>().add(t.first_tile(&unit) * tile);
            let to = (to, tile, t.layout.frequency(count));
            t.grid.transform::<S, N>(&unit, (pixels, pixel), to, |d| {
                transform::input::<S, W, M, N>(d)
            });
        }
    }
}
