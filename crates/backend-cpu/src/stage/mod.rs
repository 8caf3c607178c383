//! Which kernels of a plan run as one.
//!
//! A matrix product whose result only the next kernel reads, element by element, hands it over in
//! blocks that stay in a cache: so a dense layer's gradient is never in memory, where it would be
//! written, read, and kept. A convolution takes the moments of its result (`moments`). And both
//! gradients of a convolution are computed side by side (`gradients`).

mod gradients;
mod moments;

use std::ops::Range;

use onestep_engine::plan::{Fused, Kernel, Place, Plan, Work};
use onestep_engine::{Cost, DType, EngineError, count_work};

use crate::fused::{Follower, FusedKernel};
use crate::kernels;
use crate::native::{Native, Regions};
use crate::simd::Level;

/// Elements from which on a result is worth handing over: below, it stays in a cache anyway. At
/// least two, since a fused program reads a single one outside its loop.
const LARGE: usize = if cfg!(test) { 2 } else { 1 << 15 };

/// One kernel of the plan, or several, as one native kernel.
pub(crate) struct Stage {
    pub(crate) native: Box<dyn Native>,
    /// The plan's kernels.
    pub(crate) kernels: Range<usize>,
    /// What kind of kernel it is.
    pub(crate) kind: &'static str,
    /// Whether the first kernel hands its result over in a cache.
    hands_over: bool,
}

impl Stage {
    /// Lowers all kernels of a plan.
    pub(crate) fn all(
        plan: &Plan,
        regions: Regions,
        machine: (usize, Level),
    ) -> Result<Vec<Stage>, EngineError> {
        let mut stages: Vec<Stage> = Vec::with_capacity(plan.kernels.len());
        let mut next = 0;
        while next < plan.kernels.len() {
            let stage = match Stage::joined(plan, next, regions, machine)? {
                Some(stage) => stage,
                None => Stage::alone(plan, next, regions, machine)?,
            };
            next = stage.kernels.end;
            stages.push(stage);
        }
        Ok(stages)
    }

    /// A kernel of the plan by itself.
    fn alone(
        plan: &Plan,
        index: usize,
        regions: Regions,
        machine: (usize, Level),
    ) -> Result<Stage, EngineError> {
        let kernel = &plan.kernels[index];
        let native = lower(kernel, regions, machine)?;
        let kernels = index..index + 1;
        Ok(Stage { native, kernels, kind: kernel.kind(), hands_over: false })
    }

    /// The kernels from `first` on that run as one, if some do.
    fn joined(
        plan: &Plan,
        first: usize,
        regions: Regions,
        machine: (usize, Level),
    ) -> Result<Option<Stage>, EngineError> {
        let stage = |native, count, kind, hands_over| Stage {
            native,
            kernels: first..first + count,
            kind,
            hands_over,
        };
        if let Some(native) = pair(plan, first, regions, machine)? {
            return Ok(Some(stage(native, 2, "matmul + elementwise", true)));
        }
        if let Some(native) = moments::lower(plan, first, regions, machine)? {
            return Ok(Some(stage(native, moments::KERNELS, "conv + reduction", true)));
        }
        let both = gradients::lower(plan, first, regions, machine)?;
        Ok(both.map(|native| stage(native, 2, "conv_input_grad + conv_weight_grad", false)))
    }

    /// What its kernels are called together; neighbours of the same name are called once.
    pub(crate) fn label(&self, plan: &Plan) -> String {
        let labels = plan.kernels[self.kernels.clone()].iter().map(|k| k.label.as_str());
        let mut labels: Vec<&str> = labels.collect();
        labels.dedup();
        labels.join(" + ")
    }

    /// What its kernels have to do; what is handed over does not pass through memory, or not again.
    pub(crate) fn cost(&self, plan: &Plan) -> Cost {
        let kernels = &plan.kernels[self.kernels.clone()];
        let mut cost = Cost::default();
        for kernel in kernels {
            let of = kernel.cost();
            cost = Cost { flops: cost.flops + of.flops, bytes: cost.bytes + of.bytes };
        }
        if self.hands_over {
            // A product is not written and read, a convolution's result not read twice.
            let of = |place: &&Place| (place.shape.elements() * place.dtype.size()) as u64;
            cost.bytes -= 2 * kernels[0].writes().iter().map(of).sum::<u64>();
        }
        cost
    }
}

/// Lowers a kernel of the plan.
fn lower(
    kernel: &Kernel,
    regions: Regions,
    (threads, level): (usize, Level),
) -> Result<Box<dyn Native>, EngineError> {
    match &kernel.work {
        Work::Fused(fused) => Ok(Box::new(FusedKernel::new(fused, regions, threads)?)),
        Work::Op { op, inputs, output } => {
            kernels::lower(op, inputs, output, regions, threads, level)
        }
    }
}

/// Lowers the kernels `first` and `first + 1` to one where that is possible and worth it.
fn pair(
    plan: &Plan,
    first: usize,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Option<Box<dyn Native>>, EngineError> {
    let [first_kernel, second_kernel] = [plan.kernels.get(first), plan.kernels.get(first + 1)];
    let Some(Work::Op { op, inputs, output }) = first_kernel.map(|k| &k.work) else {
        return Ok(None);
    };
    let Some(Work::Fused(fused)) = second_kernel.map(|k| &k.work) else { return Ok(None) };
    let suits = output.dtype == DType::F32
        && output.shape.elements() >= LARGE
        && takes(&plan.kernels[first + 1], fused, output)
        && fused.outputs.iter().all(|o| !inputs.iter().any(|i| i.overlaps(&o.place)))
        && !is_read_later(plan, first + 1, output);
    if !suits {
        return Ok(None);
    }
    let follower = Follower::new(fused, output, regions)?;
    kernels::lower_followed(op, inputs, output, follower, regions, machine)
}

/// Whether a fused program reads a place element by element, once and in order, and writes
/// there, if at all, in its place.
fn takes(kernel: &Kernel, fused: &Fused, moved: &Place) -> bool {
    let whole = |place: &&Place| {
        place.offset == moved.offset
            && place.dtype == moved.dtype
            && place.is_contiguous()
            && place.shape.elements() == moved.shape.elements()
    };
    let touching = |places: Vec<&'_ Place>| -> (bool, bool) {
        let mut touching = places.into_iter().filter(|place| place.overlaps(moved)).peekable();
        (touching.peek().is_some(), touching.all(|place| whole(&place)))
    };
    let (reads, in_order) = touching(kernel.reads());
    let (_, in_place) = touching(kernel.writes());
    fused.outputs.iter().all(|o| o.reduce.is_none()) && reads && in_order && in_place
}

/// Whether a kernel from `second` + 1 on, or whoever asks for the plan's outputs, reads of `place`
/// what neither `second` nor a kernel behind it has written.
fn is_read_later(plan: &Plan, second: usize, place: &Place) -> bool {
    let mut written: Vec<(usize, usize)> = Vec::new();
    for (index, kernel) in plan.kernels.iter().enumerate().skip(second) {
        count_work(1);
        // All of it is something else by now, mostly a few kernels on.
        if is_within(place.span(), &written) {
            return false;
        }
        let reads = kernel.reads().into_iter().filter(|read| read.overlaps(place));
        if index > second && reads.into_iter().any(|read| !is_within(read.span(), &written)) {
            return true;
        }
        written.extend(kernel.writes().into_iter().filter(|w| w.overlaps(place)).map(Place::span));
    }
    let kept = plan.reports.iter().chain(&plan.outputs).map(|named| &named.place);
    kept.into_iter().any(|kept| kept.overlaps(place) && !is_within(kept.span(), &written))
}

/// Whether one of some stretches holds all of another.
fn is_within(span: (usize, usize), stretches: &[(usize, usize)]) -> bool {
    stretches.iter().any(|s| s.0 <= span.0 && span.1 <= s.1)
}

#[cfg(test)]
mod tests {
    use onestep_engine::ops::{Binary, ConvWindow, MatMul, Op};
    use onestep_engine::plan::{Footprint, FusedOutput, Instruction, NamedPlace};
    use onestep_engine::{Phase, Shape};

    use super::*;
    use crate::testing::{Memory, numbers};

    /// `c = a b`, then `p -= c / 4` and `q = c p`, with `q` where `c` is: its places and the plan.
    struct Example {
        memory: Memory,
        c: Place,
        p: Place,
        plan: Plan,
    }

    pub(super) fn kernel(work: Work) -> Kernel {
        Kernel { work, label: "kernel".to_owned(), phase: Phase::Backward }
    }

    pub(super) fn plan_of(kernels: Vec<Kernel>) -> Plan {
        Plan {
            kernels,
            feeds: Vec::new(),
            scalars: Vec::new(),
            states: Vec::new(),
            constants: Vec::new(),
            reports: Vec::new(),
            outputs: Vec::new(),
            footprint: Footprint::default(),
        }
    }

    /// The places under another shape.
    fn flat(place: &Place) -> Place {
        let shape = Shape::from([place.shape.elements()]);
        let ty = onestep_engine::Type { shape, dtype: place.dtype };
        Place::contiguous(place.region, place.offset, &ty)
    }

    fn example([m, k, n]: [usize; 3], keeps_q: bool) -> Example {
        let mut memory = Memory::default();
        let a = memory.push_f32(&[k, m], &numbers(k * m, 1));
        let b = memory.push_f32(&[k, n], &numbers(k * n, 2));
        let p = memory.push_f32(&[m * n], &numbers(m * n, 3));
        let c = memory.room(&[m, n], DType::F32);
        let op = Op::MatMul(MatMul { transpose_a: true, transpose_b: false });
        let product = Work::Op { op, inputs: vec![a, b], output: c.clone() };
        let code = vec![
            Instruction::Load(flat(&c)),
            Instruction::Splat(0.25),
            Instruction::Binary(Binary::Mul, 0, 1),
            Instruction::Load(p.clone()),
            Instruction::Binary(Binary::Sub, 3, 2),
            Instruction::Binary(Binary::Mul, 0, 3),
        ];
        let store =
            |register, place: &Place| FusedOutput { register, place: place.clone(), reduce: None };
        let mut outputs = vec![store(4, &p)];
        if keeps_q {
            outputs.push(store(5, &flat(&c)));
        }
        let fused = Work::Fused(Fused { domain: Shape::from([m * n]), code, outputs });
        let plan = plan_of(vec![kernel(product), kernel(fused)]);
        Example { memory, c, p, plan }
    }

    pub(super) const PADDED: ConvWindow = ConvWindow {
        stride: [1; 2],
        pad_low: [1; 2],
        pad_high: [1; 2],
        dilation: [1; 2],
        groups: 1,
    };
    pub(super) const STRIDED: ConvWindow = ConvWindow { stride: [2; 2], ..PADDED };

    pub(super) const REGIONS: fn() -> Regions = || Regions::new(0, 0, 0);

    pub(super) fn run(memory: &Memory, stages: &[Stage], level: Level, threads: usize) -> Memory {
        stages.iter().fold(memory.clone(), |m, stage| m.run(stage.native.as_ref(), level, threads))
    }

    /// Each kernel by itself.
    pub(super) fn all_alone(plan: &Plan, machine: (usize, Level)) -> Vec<Stage> {
        let alone = |index| Stage::alone(plan, index, REGIONS(), machine).unwrap();
        (0..plan.kernels.len()).map(alone).collect()
    }

    #[test]
    fn a_product_and_its_reader_are_one_kernel_with_the_same_bits() {
        // Tall, wide, ragged, and with more inner indices than are multiplied at a time.
        for sizes in [[200, 5, 24], [24, 7, 200], [67, 33, 29], [40, 801, 40], [1, 3, 2]] {
            for keeps_q in [false, true] {
                let example = example(sizes, keeps_q);
                for level in Level::available() {
                    for threads in [1, 3] {
                        let machine = (threads, level);
                        let one = Stage::all(&example.plan, REGIONS(), machine).unwrap();
                        assert_eq!(one.len(), 1, "{sizes:?}");
                        let two = all_alone(&example.plan, machine);
                        let (got, want) = (
                            run(&example.memory, &one, level, threads),
                            run(&example.memory, &two, level, threads),
                        );
                        let way = format!("{sizes:?} on {level} with {threads} threads");
                        assert_eq!(got.f32s(&example.p), want.f32s(&example.p), "{way}");
                        let c = got.f32s(&example.c);
                        match keeps_q {
                            true => assert_eq!(c, want.f32s(&example.c), "{way}"),
                            false => assert!(c.iter().all(|x| x.is_nan()), "{way}: it was stored"),
                        }
                    }
                }
            }
        }
    }

    fn stages(plan: &Plan) -> usize {
        Stage::all(plan, REGIONS(), (2, Level::best())).unwrap().len()
    }

    #[test]
    fn what_is_read_again_is_stored() {
        let plain = example([40, 9, 40], false);
        assert_eq!(stages(&plain.plan), 1);

        let mut asked = plain.plan.clone();
        asked.outputs.push(NamedPlace { name: "c".to_owned(), place: plain.c.clone() });
        assert_eq!(stages(&asked), 2, "an output");

        let mut twice = plain.plan.clone();
        twice.kernels.push(twice.kernels[1].clone());
        assert_eq!(stages(&twice), 3, "a second reader");

        let mut overwritten = plain.plan.clone();
        let again = overwritten.kernels.clone();
        overwritten.kernels.extend(again);
        assert_eq!(stages(&overwritten), 2, "a second product in the same place");
        let large = example([40, 2000, 200], false);
        assert_eq!(stages(&large.plan), 2, "a right-hand side that would be packed beyond a cache");
    }

    #[test]
    fn a_reader_that_is_no_plain_map_waits_for_the_whole_product() {
        let change = |edit: fn(&mut Fused, &mut Vec<Place>)| {
            let mut plan = example([40, 9, 40], false).plan;
            let [first, second] = &mut plan.kernels[..] else { panic!("two kernels") };
            if let (Work::Op { inputs, .. }, Work::Fused(fused)) =
                (&mut first.work, &mut second.work)
            {
                edit(fused, inputs);
            }
            stages(&plan)
        };
        assert_eq!(change(|_, _| ()), 1);
        let transposed = |fused: &mut Fused, _: &mut Vec<Place>| {
            fused.domain = Shape::from([40, 40]);
            for instruction in &mut fused.code {
                if let Instruction::Load(place) = instruction {
                    place.shape = Shape::from([40, 40]);
                    place.strides[..2].copy_from_slice(&[1, 40]);
                }
            }
            let place = &mut fused.outputs[0].place;
            place.shape = Shape::from([40, 40]);
            place.strides[..2].copy_from_slice(&[40, 1]);
        };
        assert_eq!(change(transposed), 2, "it reads the product in another order");
        let reduced = |fused: &mut Fused, _: &mut Vec<Place>| {
            fused.outputs[0].reduce = Some(onestep_engine::ops::ReduceKind::Sum);
            fused.outputs[0].place.shape = Shape::from([1]);
        };
        assert_eq!(change(reduced), 2, "it sums");
        let over_operand = |fused: &mut Fused, inputs: &mut Vec<Place>| {
            fused.outputs[0].place.offset = inputs[0].offset;
        };
        assert_eq!(change(over_operand), 2, "it writes over an operand of the product");
        let elsewhere =
            |fused: &mut Fused, _: &mut Vec<Place>| fused.code[0] = Instruction::Splat(1.0);
        assert_eq!(change(elsewhere), 2, "it does not read the product");
    }
}
