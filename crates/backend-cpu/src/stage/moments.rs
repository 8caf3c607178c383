//! A convolution whose result is normalised over the batch: mean and squared deviations of its
//! channels are taken as they are computed, instead of in two more passes over the result.

use onestep_engine::ops::{Binary, ReduceKind};
use onestep_engine::plan::{Fused, Instruction, Place, Plan, Work};
use onestep_engine::{DType, EngineError};

use crate::kernels;
use crate::native::{Native, Regions};
use crate::simd::Level;

/// The convolution, the mean of each channel, the mean of its squared deviations.
pub(super) const KERNELS: usize = 3;

/// Lowers the kernels from `first` on to one where they are these.
pub(super) fn lower(
    plan: &Plan,
    first: usize,
    regions: Regions,
    machine: (usize, Level),
) -> Result<Option<Box<dyn Native>>, EngineError> {
    let Some(kernels) = plan.kernels.get(first..first + KERNELS) else { return Ok(None) };
    let [convolution, mean, deviations] = [0, 1, 2].map(|i| &kernels[i].work);
    let (Work::Op { op, inputs, output }, Work::Fused(mean), Work::Fused(deviations)) =
        (convolution, mean, deviations)
    else {
        return Ok(None);
    };
    let found = || {
        let mean = channel_means(mean, output)?;
        Some([mean, squared_deviations(deviations, output, mean)?])
    };
    let Some(moments) = found() else { return Ok(None) };
    kernels::lower_with_moments(op, inputs, output, moments, regions, machine)
}

/// Where the means of a picture's channels go, if that is what a program computes.
fn channel_means<'a>(program: &'a Fused, y: &Place) -> Option<&'a Place> {
    let [Instruction::Load(from)] = &program.code[..] else { return None };
    reduced(program, y).filter(|_| from == y)
}

/// Where the means of squared deviations of `y` from `mean` go.
fn squared_deviations<'a>(program: &'a Fused, y: &Place, mean: &Place) -> Option<&'a Place> {
    use Instruction::{Binary as Two, Load};
    let [Load(from), Load(centre), Two(Binary::Sub, 0, 1), Two(Binary::Mul, 2, 2)] =
        &program.code[..]
    else {
        return None;
    };
    let same =
        (centre.region, centre.offset, centre.dtype) == (mean.region, mean.offset, mean.dtype);
    let each_channel = same && centre.shape == y.shape && centre.strides[..4] == [0, 1, 0, 0];
    reduced(program, y).filter(|_| from == y && each_channel)
}

/// Where the means over everything but the channels of `y` of a program's last register go, if they
/// are all that it gives.
fn reduced<'a>(program: &'a Fused, y: &Place) -> Option<&'a Place> {
    let [output] = &program.outputs[..] else { return None };
    let suits = program.domain == y.shape
        && y.shape.rank() == 4
        && output.register + 1 == program.code.len()
        && output.reduce == Some(ReduceKind::Mean)
        && output.place.shape.dims() == [1, y.shape[1], 1, 1]
        && is_whole(&output.place);
    suits.then_some(&output.place)
}

fn is_whole(place: &Place) -> bool {
    place.dtype == DType::F32 && place.is_contiguous()
}

#[cfg(test)]
mod tests {
    use onestep_engine::Shape;
    use onestep_engine::ops::{Conv, ConvWindow, Op};
    use onestep_engine::plan::{FusedOutput, Kernel};

    use super::super::Stage;
    use super::super::tests::{PADDED, REGIONS, STRIDED, all_alone, kernel, plan_of, run};
    use super::*;
    use crate::testing::{Memory, numbers};

    /// A convolution and the moments of its result, as a plan.
    struct Example {
        memory: Memory,
        y: Place,
        mean: Place,
        deviations: Place,
        plan: Plan,
    }

    fn program(domain: &Place, code: Vec<Instruction>, output: FusedOutput) -> Work {
        Work::Fused(Fused { domain: domain.shape.clone(), code, outputs: vec![output] })
    }

    /// `x` and `w` are uniform in `[-1, 1)` around `offset`.
    fn example(window: ConvWindow, x: [usize; 4], w: [usize; 4], offset: f32) -> Example {
        let mut memory = Memory::default();
        let data = |dims: [usize; 4], seed| -> Vec<f32> {
            numbers(dims.iter().product(), seed).iter().map(|x| offset + x).collect()
        };
        let size = |axis: usize| window.output_size(axis, x[2 + axis], w[2 + axis]).unwrap();
        let dims = [x[0], w[0], size(0), size(1)];
        let inputs = vec![memory.push_f32(&x, &data(x, 1)), memory.push_f32(&w, &data(w, 2))];
        let y = memory.room(&dims, DType::F32);
        let mean = memory.room(&[1, w[0], 1, 1], DType::F32);
        let deviations = memory.room(&[1, w[0], 1, 1], DType::F32);
        let mut spread = Place { shape: Shape::from(dims), ..mean.clone() };
        spread.strides[..4].copy_from_slice(&[0, 1, 0, 0]);
        let output = |register, place: &Place, reduce| FusedOutput {
            register,
            place: place.clone(),
            reduce,
        };
        let each = Some(ReduceKind::Mean);
        let convolution = Work::Op { op: Op::Conv(Conv { window }), inputs, output: y.clone() };
        let works = [
            convolution,
            program(&y, vec![Instruction::Load(y.clone())], output(0, &mean, each)),
            program(
                &y,
                vec![
                    Instruction::Load(y.clone()),
                    Instruction::Load(spread),
                    Instruction::Binary(Binary::Sub, 0, 1),
                    Instruction::Binary(Binary::Mul, 2, 2),
                ],
                output(3, &deviations, each),
            ),
        ];
        let plan = plan_of(works.map(kernel).to_vec());
        Example { memory, y, mean, deviations, plan }
    }

    /// Runs the example as one kernel on each level, and hands on what it leaves in memory.
    fn each_level(e: &Example, check: impl Fn(&Memory, &Memory, &str)) {
        for level in Level::available() {
            for threads in [1, 3] {
                let machine = (threads, level);
                let one = Stage::all(&e.plan, REGIONS(), machine).unwrap();
                let way = format!("{} on {level}, {threads} threads", e.y.shape);
                assert_eq!((one.len(), one[0].kind), (1, "conv + reduction"), "{way}");
                assert_eq!(one[0].label(&e.plan), "kernel", "{way}");
                let alone = all_alone(&e.plan, machine);
                let got = run(&e.memory, &one, level, threads);
                let again = run(&e.memory, &one, level, threads);
                assert_eq!(got.words, again.words, "{way}: two runs differ");
                check(&got, &run(&e.memory, &alone, level, threads), &way);
            }
        }
    }

    /// Mean and mean squared deviation of each channel of `y` in f64.
    fn moments(e: &Example, after: &Memory) -> Vec<(f64, f64)> {
        let [n, c, h, w] = [0, 1, 2, 3].map(|axis| e.y.shape[axis]);
        let y = after.f32s(&e.y);
        let channel = |channel: usize| {
            let elements =
                (0..n * h * w).map(move |i| (i / (h * w) * c + channel) * h * w + i % (h * w));
            elements.map(|at| f64::from(y[at])).collect::<Vec<_>>()
        };
        let each = (0..c).map(channel).map(|y| {
            let mean = y.iter().sum::<f64>() / y.len() as f64;
            (mean, y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / y.len() as f64)
        });
        each.collect()
    }

    /// Checks the moments within `tolerance` of their size, that of the mean of the largest.
    fn check_moments(e: &Example, tolerance: f64) {
        each_level(e, |got, alone, way| {
            assert_eq!(got.f32s(&e.y), alone.f32s(&e.y), "{way}");
            let found = got.f32s(&e.mean).into_iter().zip(got.f32s(&e.deviations));
            let wanted = moments(e, got);
            let size = wanted.iter().fold(0.0, |size, (mean, _)| mean.abs().max(size));
            for (c, ((mean, deviations), want)) in found.zip(&wanted).enumerate() {
                let off = (f64::from(mean) - want.0).abs() / size;
                assert!(off < tolerance, "{way}: the mean of {c} is {mean}, not {}", want.0);
                let off = (f64::from(deviations) - want.1).abs() / want.1;
                assert!(off < tolerance, "{way}: deviations of {c} {deviations}, not {}", want.1);
            }
        });
    }

    #[test]
    fn moments_are_those_of_the_result() {
        // Large and small tiles, pictures in strips, blocks of channels, strides, 1 x 1; parts of vectors.
        check_moments(&example(PADDED, [3, 16, 8, 8], [20, 16, 3, 3], 0.0), 1e-6);
        check_moments(&example(PADDED, [5, 18, 5, 6], [17, 18, 3, 3], 0.0), 1e-6);
        check_moments(&example(PADDED, [2, 64, 40, 37], [64, 64, 3, 3], 0.0), 1e-6);
        check_moments(&example(PADDED, [2, 64, 4, 4], [70, 64, 3, 3], 0.0), 1e-6);
        check_moments(&example(STRIDED, [3, 24, 9, 7], [40, 24, 3, 3], 0.0), 1e-6);
        let plain = ConvWindow { pad_low: [0; 2], pad_high: [0; 2], ..STRIDED };
        check_moments(&example(plain, [3, 24, 8, 8], [33, 24, 1, 1], 0.0), 1e-6);
    }

    /// The mean is some hundred times the deviation.
    #[test]
    fn a_mean_far_from_zero_costs_no_digits() {
        let plain = ConvWindow { pad_low: [0; 2], pad_high: [0; 2], ..PADDED };
        check_moments(&example(plain, [3, 16, 12, 12], [20, 16, 3, 3], 20.0), 1e-6);
        check_moments(&example(plain, [2, 64, 6, 6], [70, 64, 3, 3], 20.0), 1e-6);
    }

    #[test]
    fn not_a_number_is_seen() {
        let mut e = example(PADDED, [3, 16, 8, 8], [20, 16, 3, 3], 0.0);
        e.memory.words[5] = f32::NAN.to_bits();
        each_level(&e, |got, _, way| {
            let all = [got.f32s(&e.mean), got.f32s(&e.deviations)].concat();
            assert!(all.iter().all(|x| x.is_nan()), "{way}");
        });
    }

    #[test]
    fn other_kernels_run_alone() {
        let stages =
            |e: &Example| Stage::all(&e.plan, REGIONS(), (2, Level::best())).unwrap().len();
        let plain = || example(PADDED, [3, 16, 8, 8], [20, 16, 3, 3], 0.0);
        assert_eq!(stages(&plain()), 1);
        let grouped = ConvWindow { groups: 2, ..STRIDED };
        assert_eq!(stages(&example(grouped, [3, 48, 9, 7], [40, 24, 3, 3], 0.0)), 3, "groups");
        assert_eq!(stages(&example(PADDED, [3, 3, 8, 8], [20, 3, 3, 3], 0.0)), 3, "few channels");

        let change = |edit: fn(&mut Fused)| {
            let all = [1, 2].map(|index| {
                let mut e = plain();
                let Work::Fused(fused) = &mut e.plan.kernels[index].work else { panic!("fused") };
                edit(fused);
                stages(&e)
            });
            assert_eq!(all, [3; 2]);
        };
        change(|fused| fused.outputs[0].reduce = Some(ReduceKind::Max));
        change(|fused| fused.outputs[0].reduce = Some(ReduceKind::Sum));
        change(|fused| fused.code[0] = Instruction::Splat(1.0));
        change(|fused| fused.outputs.push(fused.outputs[0].clone()));
        let mut elsewhere = plain();
        let other = elsewhere.memory.room(&[1, 20, 1, 1], DType::F32);
        move_mean(&mut elsewhere.plan.kernels, &other);
        assert_eq!(stages(&elsewhere), 3, "deviations from something else");
    }

    /// Has the deviations taken from another place than the mean's.
    fn move_mean(kernels: &mut [Kernel], to: &Place) {
        let Work::Fused(deviations) = &mut kernels[2].work else { panic!("fused") };
        let Instruction::Load(mean) = &mut deviations.code[1] else { panic!("the mean") };
        mean.offset = to.offset;
    }
}
