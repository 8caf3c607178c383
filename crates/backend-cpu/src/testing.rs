//! What the tests of kernels share: memory for operands, and a run on each level.

use onestep_engine::EngineError;
use onestep_engine::ops::Op;
use onestep_engine::plan::{Place, Region};
use onestep_engine::{DType, Shape, Type};

use crate::cache::SMALLER;
use crate::cpu_kernel::{Context, CpuKernel, Regions, ScratchNeed};
use crate::machine::Machine;
use crate::pool::{Pool, Turn};
use crate::run::run;
use crate::simd::{Level, RandomKey};
use crate::stores::Windows;

/// Lowers kernels in `f` for caches that are smaller by a power of two.
pub(crate) fn with_smaller_caches<T>(power: u32, f: impl FnOnce() -> T) -> T {
    let before = SMALLER.replace(power);
    let result = f();
    SMALLER.set(before);
    result
}

pub(crate) const KEY: RandomKey = RandomKey { seed: 11, step: 3 };

/// Reproducible numbers in `[-1, 1)`.
pub(crate) fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let uniform = |i| onestep_engine::philox::uniform(seed, 0, 0, i as u64);
    (0..count).map(|i| uniform(i) * 2.0 - 1.0).collect()
}

/// Operands in one arena of 4-byte elements, one behind the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    pub(crate) words: Vec<u32>,
}

impl Memory {
    pub(crate) fn push_f32(&mut self, dims: &[usize], data: &[f32]) -> Place {
        self.push(dims, DType::F32, data.iter().map(|x| x.to_bits()))
    }

    pub(crate) fn push_i32(&mut self, dims: &[usize], data: &[i32]) -> Place {
        self.push(dims, DType::I32, data.iter().map(|&x| x as u32))
    }

    /// Room for a result, filled with NaN.
    pub(crate) fn room(&mut self, dims: &[usize], dtype: DType) -> Place {
        let count = dims.iter().product();
        self.push(dims, dtype, std::iter::repeat_n(f32::NAN.to_bits(), count))
    }

    fn push(&mut self, dims: &[usize], dtype: DType, words: impl Iterator<Item = u32>) -> Place {
        let offset = self.words.len() * 4;
        self.words.extend(words);
        // A gap, so that a write behind the end is seen.
        self.words.push(0xabcd_ef01);
        let shape = Shape::new(dims).unwrap();
        Place::contiguous(Region::Arena, offset, &Type { shape, dtype })
    }

    pub(crate) fn f32s(&self, place: &Place) -> Vec<f32> {
        self.slice(place).iter().map(|&w| f32::from_bits(w)).collect()
    }

    pub(crate) fn i32s(&self, place: &Place) -> Vec<i32> {
        self.slice(place).iter().map(|&w| w as i32).collect()
    }

    fn slice(&self, place: &Place) -> &[u32] {
        let end = place.offset / 4 + place.shape.elements();
        assert_eq!(self.words[end], 0xabcd_ef01, "something was written behind the result");
        &self.words[place.offset / 4..end]
    }

    /// Runs a kernel on a copy of the memory.
    pub(crate) fn run(&self, kernel: &dyn CpuKernel, level: Level, threads: usize) -> Memory {
        self.run_after(kernel, level, threads, |_| ())
    }

    /// The same for a kernel with one result, whose tasks must have windows in it that do not overlap.
    pub(crate) fn run_apart(
        &self,
        kernel: &dyn CpuKernel,
        level: Level,
        threads: usize,
        out: &Place,
    ) -> Memory {
        self.run_after(kernel, level, threads, |context| {
            check_windows(kernel, context, threads, self.words.len(), out);
        })
    }

    fn run_after(
        &self,
        kernel: &dyn CpuKernel,
        level: Level,
        threads: usize,
        before: impl FnOnce(&Context<'_>),
    ) -> Memory {
        let mut after = self.clone();
        let need = kernel.scratch().max(ScratchNeed::default());
        // NaN everywhere, so that a read of what was not written is seen.
        let bytes = need.bytes(threads) + 64;
        let mut scratch = vec![u64::MAX; bytes.div_ceil(8) + 8];
        let base = scratch.as_mut_ptr().cast::<u8>();
        let scratch = base.wrapping_add(base.align_offset(64));
        let bases = [after.words.as_mut_ptr().cast::<u8>(), std::ptr::null_mut()];
        let context = Context { bases: &bases, key: KEY, level, scratch, need };
        before(&context);
        let mut pool = Pool::new(threads).unwrap();
        // SAFETY: the arena and the scratch memory are as large as the kernel was told.
        unsafe { run(kernel, &context, &mut pool) }.unwrap();
        after
    }
}

/// Each task's windows in the operands' memory lie in the result, and no other task of its job has them.
fn check_windows(
    kernel: &dyn CpuKernel,
    context: &Context<'_>,
    threads: usize,
    words: usize,
    out: &Place,
) {
    let arena = context.bases[0] as usize;
    let result = arena + out.offset..arena + out.offset + 4 * out.shape.elements();
    let mut job = 0;
    while let Some(tasks) = kernel.tasks(job) {
        let mut owners = vec![usize::MAX; out.shape.elements()];
        for task in 0..tasks {
            let (mut windows, worker) = (Windows::default(), task % threads);
            kernel.windows(job, context, Turn { task, worker }, &mut windows);
            let mut check = |at: usize, length: usize| {
                if length == 0 || !(arena..arena + 4 * words).contains(&at) {
                    return;
                }
                assert!(result.contains(&at) && at + length <= result.end, "{}", kernel.way());
                let from = (at - result.start) / 4;
                for owner in &mut owners[from..from + length / 4] {
                    assert!(*owner == usize::MAX || *owner == task, "{}", kernel.way());
                    *owner = task;
                }
            };
            windows.iter().for_each(|window| window.each_run(&mut check));
        }
        job += 1;
    }
}

/// Makes a kernel for each level and thread count and hands its result to `check`.
pub(crate) fn each_way(
    memory: &Memory,
    make: impl Fn(usize, Level) -> Result<Box<dyn CpuKernel>, EngineError>,
    mut check: impl FnMut(&Memory, &str),
) {
    for level in Level::available() {
        for threads in [1, 2, 3] {
            let kernel = make(threads, level).unwrap();
            let first = memory.run(&*kernel, level, threads);
            let again = memory.run(&*kernel, level, threads);
            let way = format!("{level}, {threads} threads");
            assert_eq!(first.words, again.words, "{way}: two runs differ");
            check(&first, &way);
        }
    }
}

/// The same for an op; the result is compared with the engine's f64 evaluation.
pub(crate) fn check_op(
    memory: &mut Memory,
    op: &Op,
    inputs: &[Place],
    out: &[usize],
    dtype: DType,
) {
    let want = evaluate(memory, op, inputs);
    let output = memory.room(out, dtype);
    let make = |threads, level| {
        let regions = Regions::new(0, 0, 0);
        crate::kernels::lower(op, inputs, &output, regions, Machine { threads, level })
    };
    each_way(memory, make, |after, way| {
        let got: Vec<f64> = match dtype {
            DType::I32 => after.i32s(&output).into_iter().map(f64::from).collect(),
            _ => after.f32s(&output).into_iter().map(f64::from).collect(),
        };
        assert_eq!(got.len(), want.len());
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            let close = (got - want).abs() <= 2e-5 * (1.0 + want.abs());
            let same = close || got.is_nan() && want.is_nan() || got == want;
            assert!(same, "{op}: {way}: element {i} is {got}, wanted {want}");
        }
    });
}

/// Where the elements of a place lie, of those that its view is of.
fn in_order(place: &Place) -> impl Iterator<Item = usize> {
    let dims = place.shape.dims();
    (0..place.shape.elements()).map(move |mut index| {
        let axes = dims.iter().zip(place.strides()).rev();
        axes.fold(0, |at, (&dim, &stride)| {
            let step = index % dim * stride;
            index /= dim;
            at + step
        })
    })
}

/// What an op means, by the engine's reference.
pub(crate) fn evaluate(memory: &Memory, op: &Op, inputs: &[Place]) -> Vec<f64> {
    use std::collections::HashMap;

    use onestep_engine::reference::{Array, Context, evaluate};
    let mut graph = onestep_engine::Graph::new();
    let (mut leaves, mut values) = (HashMap::new(), Vec::new());
    for (i, place) in inputs.iter().enumerate() {
        let name = format!("input{i}");
        let data: Vec<f64> = match place.dtype {
            DType::I32 => memory.i32s(place).into_iter().map(f64::from).collect(),
            _ => memory.f32s(place).into_iter().map(f64::from).collect(),
        };
        let data = in_order(place).map(|at| data[at]).collect();
        values.push(graph.input(&name, place.shape.dims(), place.dtype).unwrap());
        leaves.insert(name, Array::new(place.shape.clone(), data).unwrap());
    }
    let y = graph.push(op.clone(), &values).unwrap();
    evaluate(&graph, &leaves, &Context { seed: KEY.seed, step: KEY.step }, &[y])
        .unwrap()
        .remove(0)
        .data
}
