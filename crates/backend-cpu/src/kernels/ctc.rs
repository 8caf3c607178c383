//! Connectionist temporal classification and its gradient: a task for each sample, which goes over the steps once
//! forward, and once back. The states of a string are done side by side, as logarithms, with two that never are in
//! front of and behind them, so that those before or behind each are plain loads.

use onestep_engine::ops::{Ctc, CtcGrad, CtcSizes, NEVER};
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, ScratchNeed, broken, expect};
use crate::pool::Turn;
use crate::simd::{MAX_LANES, Simd, Task, math};
use crate::stores::{Windows, copy, elements, put, zeros};

/// Never possible states in front of and behind those of a string.
const MARGIN: usize = MAX_LANES;

/// What the classification and its gradient share.
#[derive(Clone, Copy, Debug)]
struct Strings {
    sizes: CtcSizes,
    blank: i32,
    logs: Address,
    labels: Address,
    lengths: Option<Address>,
}

#[derive(Debug)]
struct Forward {
    strings: Strings,
    out: Address,
}

#[derive(Debug)]
struct Backward {
    strings: Strings,
    packed: Address,
    dy: Address,
    out: Address,
}

impl Strings {
    fn new(op: &Ctc, inputs: &[Place], regions: Regions) -> Result<Strings, EngineError> {
        let [logs, labels, lengths @ ..] = inputs else {
            return Err(broken("ctc needs two operands"));
        };
        expect("ctc", logs, DType::F32)?;
        expect("ctc", labels, DType::I32)?;
        let lengths = match lengths.first().filter(|_| op.lengths) {
            Some(lengths) => {
                expect("ctc", lengths, DType::I32)?;
                Some(regions.address(lengths)?)
            }
            None => None,
        };
        Ok(Strings {
            sizes: CtcSizes::of(logs.shape.dims(), labels.shape.dims()),
            blank: op.blank as i32,
            logs: regions.address(logs)?,
            labels: regions.address(labels)?,
            lengths,
        })
    }

    /// Elements of a row of states with its margins.
    fn row(&self) -> usize {
        self.sizes.states().next_multiple_of(MAX_LANES) + 2 * MARGIN
    }
}

/// Lowers the classification.
pub(super) fn lower(
    op: &Ctc,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    expect("ctc", output, DType::F32)?;
    let strings = Strings::new(op, inputs, regions)?;
    Ok(Box::new(Forward { strings, out: regions.address(output)? }))
}

/// Lowers the gradient.
pub(super) fn lower_gradient(
    op: &CtcGrad,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let Some((own, [packed, dy])) = inputs.split_last_chunk::<2>() else {
        return Err(broken("ctc_grad needs the result and its gradient"));
    };
    for place in [packed, dy, output] {
        expect("ctc_grad", place, DType::F32)?;
    }
    let strings = Strings::new(&op.of, own, regions)?;
    let [packed, dy, out] = [packed, dy, output].map(|place| regions.address(place));
    Ok(Box::new(Backward { strings, packed: packed?, dy: dy?, out: out? }))
}

/// A sample's string, and rows of states.
struct Sample {
    /// The class of each state.
    classes: *const i32,
    states: usize,
    steps: usize,
    /// Whether each label is a class.
    known: bool,
    /// 0 where a state may follow the one two before it, [`NEVER`] elsewhere.
    skip: *mut f32,
    /// Three more rows.
    rows: [*mut f32; 3],
}

impl Strings {
    fn scratch(&self) -> ScratchNeed {
        // The classes, and four rows.
        ScratchNeed { shared: 0, worker: 5 * self.row() * size_of::<f32>() }
    }

    /// Reads the string of a sample.
    ///
    /// # Safety
    /// The context is that of the op's plan, and there is such a sample.
    unsafe fn sample(&self, context: &Context<'_>, worker: usize, sample: usize) -> Sample {
        let CtcSizes { steps, classes, longest, .. } = self.sizes;
        let scratch = context.worker_scratch(worker).cast::<f32>();
        let row = |index: usize| scratch.wrapping_add((index + 1) * self.row());
        // SAFETY: the caller vouches for the sample; the scratch memory has five rows.
        unsafe {
            let labels = context.at(self.labels).cast::<i32>().add(sample * longest);
            let labels = std::slice::from_raw_parts(labels, longest);
            let steps = match self.lengths {
                Some(at) => {
                    let length = *context.at(at).cast::<i32>().add(sample);
                    usize::try_from(length).unwrap_or(1).clamp(1, steps)
                }
                None => steps,
            };
            for index in 0..4 {
                elements(row(index), self.row()).fill(NEVER);
            }
            let counts = |label: i32| label >= 0 && label != self.blank;
            let length = labels.iter().filter(|&&label| counts(label)).count();
            let states = 2 * length + 1;
            let own = elements(scratch.cast::<i32>(), self.row());
            own.fill(self.blank);
            let skip = row(0).wrapping_add(MARGIN);
            for (i, &label) in labels[..length].iter().enumerate() {
                own[2 * i + 1] = if counts(label) { label } else { self.blank };
                if i > 0 && own[2 * i + 1] != self.blank && own[2 * i + 1] != own[2 * i - 1] {
                    put(skip.add(2 * i + 1), 0.0);
                }
            }
            let known = labels.iter().all(|&label| label < classes as i32);
            let rows = [1, 2, 3].map(|index| row(index).wrapping_add(MARGIN));
            Sample { classes: own.as_ptr(), states, steps, known, skip, rows }
        }
    }

    /// What a step of a sample says of each state.
    ///
    /// # Safety
    /// As of [`Self::sample`]; the sample is known.
    #[inline(always)]
    unsafe fn said(&self, context: &Context<'_>, at: [usize; 2], sample: &Sample, to: *mut f32) {
        let first = (at[0] * self.sizes.steps + at[1]) * self.sizes.classes;
        // SAFETY: the caller vouches for the sample.
        unsafe {
            let logs = context.floats(self.logs).add(first);
            let to = elements(to, sample.states);
            for (state, said) in to.iter_mut().enumerate() {
                *said = (*logs.add(*sample.classes.add(state) as usize)).max(NEVER);
            }
        }
    }
}

/// `log(e^a + e^b + e^c)`
///
/// # Safety
/// The machine has `S`.
#[inline(always)]
unsafe fn log_sum<S: Simd>(a: S::V, b: S::V, c: S::V) -> S::V {
    // SAFETY: the caller vouches for the instructions.
    unsafe {
        let largest = S::max(S::max(a, b), c);
        let mut sum = math::exp::<S>(S::sub(a, largest));
        sum = S::add(sum, math::exp::<S>(S::sub(b, largest)));
        sum = S::add(sum, math::exp::<S>(S::sub(c, largest)));
        S::add(largest, math::log::<S>(sum))
    }
}

/// Writes the states from `state` on of a vector, of which there are `states`, and leaves what is behind.
///
/// # Safety
/// The machine has `S`, and there is room for the states.
#[inline(always)]
unsafe fn keep<S: Simd>(row: *mut f32, state: usize, states: usize, x: S::V) {
    // SAFETY: the caller vouches for the states.
    unsafe {
        match states - state {
            left if left < S::LANES => S::store_lanes(row.add(state), x, 0, left),
            _ => S::store(row.add(state), x),
        }
    }
}

struct Run<'a, K> {
    kernel: &'a K,
    context: &'a Context<'a>,
    turn: Turn,
}

impl CpuKernel for Forward {
    fn scratch(&self) -> ScratchNeed {
        self.strings.scratch()
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        (job == 0).then_some(self.strings.sizes.batch)
    }

    fn windows(&self, _: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let sizes = self.strings.sizes;
        windows.add(context.window(self.out, turn.task, 1));
        let paths = sizes.steps * sizes.states();
        windows.add(context.window(self.out, sizes.path_at(turn.task, 0), paths));
    }

    unsafe fn task(&self, _: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: each sample belongs to one task; the caller vouches for the context.
        unsafe { context.level.run(Run { kernel: self, context, turn }) };
    }
}

impl Task for Run<'_, Forward> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Run { kernel, context, turn } = self;
        let (strings, sizes) = (&kernel.strings, kernel.strings.sizes);
        let out = context.floats(kernel.out);
        // SAFETY: the sample belongs to this task, and rows have margins of a vector on either side.
        unsafe {
            let own = strings.sample(context, turn.worker, turn.task);
            let paths = out.add(sizes.path_at(turn.task, 0));
            zeros(paths, sizes.steps * sizes.states());
            if !own.known {
                put(out.add(turn.task), f32::NAN);
                return;
            }
            let [said, mut last, mut next] = own.rows;
            for step in 0..own.steps {
                strings.said(context, [turn.task, step], &own, said);
                for state in (0..own.states).step_by(S::LANES) {
                    let at = |by: usize| S::load(last.add(state).sub(by));
                    let before = match step {
                        0 => S::splat(NEVER),
                        _ => {
                            let two = S::add(at(2), S::load(own.skip.add(state)));
                            log_sum::<S>(at(0), at(1), two)
                        }
                    };
                    keep::<S>(next, state, own.states, S::add(before, S::load(said.add(state))));
                }
                if step == 0 {
                    for state in 0..own.states.min(2) {
                        put(next.add(state), *said.add(state));
                    }
                }
                copy(next, paths.add(step * sizes.states()), own.states);
                std::mem::swap(&mut last, &mut next);
            }
            let ends = [own.states - 1, own.states.saturating_sub(2)];
            let ends = ends.map(|state| *last.add(state));
            let largest = ends[0].max(ends[1]);
            let rest = if own.states > 1 { (ends[0].min(ends[1]) - largest).exp() } else { 0.0 };
            let possible = largest > NEVER / 10.0;
            let loss = if possible { -(largest + rest.ln_1p()) } else { f32::INFINITY };
            put(out.add(turn.task), loss);
        }
    }
}

impl CpuKernel for Backward {
    fn scratch(&self) -> ScratchNeed {
        self.strings.scratch()
    }

    fn tasks(&self, job: usize) -> Option<usize> {
        (job == 0).then_some(self.strings.sizes.batch)
    }

    fn windows(&self, _: usize, context: &Context<'_>, turn: Turn, windows: &mut Windows) {
        let CtcSizes { steps, classes, .. } = self.strings.sizes;
        windows.add(context.window(self.out, turn.task * steps * classes, steps * classes));
    }

    unsafe fn task(&self, _: usize, context: &Context<'_>, turn: Turn) {
        // SAFETY: each sample belongs to one task; the caller vouches for the context.
        unsafe { context.level.run(Run { kernel: self, context, turn }) };
    }
}

impl Task for Run<'_, Backward> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Run { kernel, context, turn } = self;
        let (strings, sizes) = (&kernel.strings, kernel.strings.sizes);
        let packed = context.floats(kernel.packed);
        // SAFETY: the sample belongs to this task, and rows have margins of a vector on either side.
        unsafe {
            let own = strings.sample(context, turn.worker, turn.task);
            let (loss, dy) = (*packed.add(turn.task), *context.floats(kernel.dy).add(turn.task));
            let numbers = sizes.steps * sizes.classes;
            let out = context.floats(kernel.out).add(turn.task * numbers);
            let out = elements(out, numbers);
            out.fill(if own.known { 0.0 } else { f32::NAN });
            if !own.known || loss == f32::INFINITY {
                return;
            }
            // What a step says and what comes behind it, and what is to come behind each state.
            let [to_come, after, shares] = own.rows;
            for state in [own.states - 1, own.states.saturating_sub(2)] {
                put(after.add(state), 0.0);
            }
            for step in (0..own.steps).rev() {
                let path = packed.add(sizes.path_at(turn.task, step));
                copy(path, shares, own.states);
                for state in (0..own.states).step_by(S::LANES) {
                    let log = S::add(S::load(shares.add(state)), S::load(after.add(state)));
                    let share = math::exp::<S>(S::add(log, S::splat(loss)));
                    keep::<S>(shares, state, own.states, share);
                }
                let row = &mut out[step * sizes.classes..(step + 1) * sizes.classes];
                for state in 0..own.states {
                    row[*own.classes.add(state) as usize] -= *shares.add(state) * dy;
                }
                if step == 0 {
                    break;
                }
                strings.said(context, [turn.task, step], &own, to_come);
                for state in (0..own.states).step_by(S::LANES) {
                    let sum = S::add(S::load(to_come.add(state)), S::load(after.add(state)));
                    keep::<S>(to_come, state, own.states, sum);
                }
                for state in (0..own.states).step_by(S::LANES) {
                    let at = |by: usize| S::load(to_come.add(state + by));
                    let two = S::add(at(2), S::load(own.skip.add(state + 2)));
                    keep::<S>(after, state, own.states, log_sum::<S>(at(0), at(1), two));
                }
            }
        }
    }
}
