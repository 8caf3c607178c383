//! The moments of a convolution's result, taken while it is computed: tests of `kernels/conv/moments.rs` as a
//! plan asks for it.

use onestep_engine::DType;
use onestep_engine::ops::ConvWindow;
use onestep_engine::plan::{Composite, ConvMoments, Place, Plan, Work};

use super::Stage;
use super::tests::{PADDED, REGIONS, STRIDED, in_parts, kernel, plan_of, run};
use crate::machine::Machine;
use crate::simd::Level;
use crate::testing::{Memory, numbers};

/// A convolution and the moments of its result, as a plan.
struct Example {
    memory: Memory,
    y: Place,
    mean: Place,
    deviations: Place,
    plan: Plan,
}

/// `x` and `w` are uniform in `[-1, 1)` around `offset`.
fn example(window: ConvWindow, x: [usize; 4], w: [usize; 4], offset: f32) -> Example {
    let mut memory = Memory::default();
    let data = |dims: [usize; 4], seed| -> Vec<f32> {
        numbers(dims.iter().product(), seed).iter().map(|x| offset + x).collect()
    };
    let size = |axis: usize| window.output_size(axis, x[2 + axis], w[2 + axis]).unwrap();
    let dims = [x[0], w[0], size(0), size(1)];
    let inputs = [memory.push_f32(&x, &data(x, 1)), memory.push_f32(&w, &data(w, 2))];
    let y = memory.room(&dims, DType::F32);
    let mean = memory.room(&[1, w[0], 1, 1], DType::F32);
    let deviations = memory.room(&[1, w[0], 1, 1], DType::F32);
    let (output, of_mean, of_deviations) = (y.clone(), mean.clone(), deviations.clone());
    let work = ConvMoments { window, inputs, output, mean: of_mean, deviations: of_deviations };
    let plan = plan_of(vec![kernel(Work::Composite(Composite::ConvMoments(work.into())))]);
    Example { memory, y, mean, deviations, plan }
}

/// Runs the example as one kernel on each level, and hands on what it leaves in memory.
fn each_level(e: &Example, check: impl Fn(&Memory, &Memory, &str)) {
    for level in Level::available() {
        for threads in [1, 3] {
            let machine = Machine { threads, level };
            let one = Stage::all(&e.plan, REGIONS(), machine).unwrap();
            let way = format!("{} on {level}, {threads} threads", e.y.shape);
            assert_eq!((one.len(), one[0].kind), (1, "conv + reduction"), "{way}");
            assert_eq!(one[0].label(&e.plan), "kernel", "{way}");
            let alone = in_parts(&e.plan, machine);
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
fn what_has_another_way_runs_in_parts() {
    let machine = Machine { threads: 2, level: Level::best() };
    let kinds = |e: &Example| -> Vec<&str> {
        Stage::all(&e.plan, REGIONS(), machine).unwrap().iter().map(|s| s.kind).collect()
    };
    let parts = ["conv", "reduction", "reduction"];
    assert_eq!(kinds(&example(PADDED, [3, 16, 8, 8], [20, 16, 3, 3], 0.0)), ["conv + reduction"]);
    let grouped = ConvWindow { groups: 2, ..STRIDED };
    assert_eq!(kinds(&example(grouped, [3, 48, 9, 7], [40, 24, 3, 3], 0.0)), parts, "groups");
    let few = example(PADDED, [3, 3, 8, 8], [20, 3, 3, 3], 0.0);
    assert_eq!(kinds(&few), parts, "few channels");
    let stages = Stage::all(&few.plan, REGIONS(), machine).unwrap();
    check_parts(&few, &run(&few.memory, &stages, machine.level, machine.threads));
}

fn check_parts(e: &Example, after: &Memory) {
    let found = after.f32s(&e.mean).into_iter().zip(after.f32s(&e.deviations));
    for ((mean, deviations), want) in found.zip(moments(e, after)) {
        assert!((f64::from(mean) - want.0).abs() < 1e-5, "{mean} and {}", want.0);
        assert!((f64::from(deviations) - want.1).abs() < 1e-5, "{deviations} and {}", want.1);
    }
}
