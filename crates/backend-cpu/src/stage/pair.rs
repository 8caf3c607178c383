//! A matrix product and the fused program that alone reads its result, as one kernel.
//!
//! The plan has no such composite, and cannot have one as those of convolutions: that nothing else reads the
//! product is known only when all kernels have their order and their places (`is_read_later`), and whether the
//! two are worth joining depends on the caches of the machine and on the ways of its matrix products. What
//! is not joined must stay two kernels, often of two phases, a gradient and its update. That the planner gives
//! plans in which pairs are found is tested by whole steps (`tests/steps.rs`).

use onestep_engine::plan::{Fused, Kernel, Place, Plan, Work};
use onestep_engine::{Cost, DType, EngineError, count_work};

use crate::cpu_kernel::{CpuKernel, Regions};
use crate::fused::Follower;
use crate::kernels;
use crate::machine::Machine;

/// Elements from which on a result is worth handing over: below, it stays in a cache anyway. At
/// least two, since a fused program reads a single one outside its loop.
const LARGE: usize = if cfg!(test) { 2 } else { 1 << 15 };

/// Both as one.
pub(super) struct Pair {
    pub(super) native: Box<dyn CpuKernel>,
    pub(super) cost: Cost,
}

/// Lowers the kernels `first` and `first + 1` to one where that is possible and worth it.
pub(super) fn lower(
    plan: &Plan,
    first: usize,
    regions: Regions,
    machine: Machine,
) -> Result<Option<Pair>, EngineError> {
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
    let native = kernels::lower_followed(op, inputs, output, follower, regions, machine)?;
    let cost = cost(&plan.kernels[first..first + 2], output);
    Ok(native.map(|native| Pair { native, cost }))
}

/// What both have to do; the product is neither written nor read.
fn cost(kernels: &[Kernel], product: &Place) -> Cost {
    let bytes = 2 * (product.shape.elements() * product.dtype.size()) as u64;
    let each = kernels.iter().map(Kernel::cost);
    let all = each.fold(Cost::default(), |all, of| Cost {
        flops: all.flops + of.flops,
        bytes: all.bytes + of.bytes,
    });
    Cost { bytes: all.bytes - bytes, ..all }
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
    use onestep_engine::Shape;
    use onestep_engine::ops::{Binary, MatMul, Op};
    use onestep_engine::plan::{FusedOutput, Instruction, NamedPlace};

    use super::super::Stage;
    use super::super::tests::{REGIONS, in_parts, kernel, plan_of, run};
    use super::*;
    use crate::simd::Level;
    use crate::testing::{Memory, numbers};

    /// `c = a b`, then `p -= c / 4` and `q = c p`, with `q` where `c` is: its places and the plan.
    struct Example {
        memory: Memory,
        c: Place,
        p: Place,
        plan: Plan,
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

    #[test]
    fn a_product_and_its_reader_are_one_kernel_with_the_same_bits() {
        // Tall, wide, ragged, and with more inner indices than are multiplied at a time.
        for sizes in [[200, 5, 24], [24, 7, 200], [67, 33, 29], [40, 801, 40], [1, 3, 2]] {
            for keeps_q in [false, true] {
                let example = example(sizes, keeps_q);
                for level in Level::available() {
                    for threads in [1, 3] {
                        let machine = Machine { threads, level };
                        let one = Stage::all(&example.plan, REGIONS(), machine).unwrap();
                        assert_eq!(one.len(), 1, "{sizes:?}");
                        let two = in_parts(&example.plan, machine);
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
        Stage::all(plan, REGIONS(), Machine { threads: 2, level: Level::best() }).unwrap().len()
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
