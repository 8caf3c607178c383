//! Attention in blocks, and its gradient.

use onestep_engine::ops::{Attention, AttentionDropout, AttentionGrad, AttentionSizes, Op};
use onestep_engine::plan::{Place, Region, Work};
use onestep_engine::reference::{Array, Context, evaluate_op};
use onestep_engine::{DType, Type};
use onestep_kernel_source::{Dialect, print};

use super::common::{Machine, Result, close, compiler, numbers, whole};

/// Batch, heads, groups, queries, keys, depth, value.
const SIZES: [[usize; 7]; 7] = [
    [1, 1, 1, 1, 1, 1, 1],
    [2, 2, 2, 5, 7, 3, 4],
    [1, 4, 2, 40, 40, 16, 16],
    [2, 2, 1, 33, 70, 8, 5],
    [1, 1, 1, 70, 33, 64, 64],
    [1, 2, 2, 20, 20, 128, 128],
    [1, 1, 1, 9, 20, 200, 256],
];

struct Case {
    op: Attention,
    sizes: AttentionSizes,
    forward: Work,
    backward: Work,
}

/// Where the `n`-th operand of a case lies.
fn at(case: usize, n: usize, dims: &[usize], dtype: DType) -> Place {
    whole(Region::Feed(100 * case + n), dims, dtype)
}

fn case(number: usize, sizes: [usize; 7], options: usize) -> Case {
    let [batch, heads, groups, queries, keys, depth, value] = sizes;
    let sizes = AttentionSizes { batch, heads, groups, queries, keys, depth, value };
    let mut op = Attention::unhidden(1.0 / (depth as f32).sqrt());
    let mut inputs = vec![
        at(number, 0, &[batch, heads, queries, depth], DType::F32),
        at(number, 1, &[batch, groups, keys, depth], DType::F32),
        at(number, 2, &[batch, groups, keys, value], DType::F32),
    ];
    op.causal = options % 2 == 1;
    if options >= 2 {
        op.dropout = Some(AttentionDropout { p: 0.3, stream: 9 });
        op.bias = true;
        inputs.push(at(number, 3, &[1, heads, queries, keys], DType::F32));
        op.mask = true;
        inputs.push(at(number, 4, &[batch, 1, 1, keys], DType::F32));
        op.lengths = true;
        inputs.push(at(number, 5, &[batch], DType::I32));
        // Heads lie where a projection has left them: `[b, s, h, d]`.
        for (at, width) in [(0, depth), (1, depth), (2, value)] {
            let [_, heads, length, _] = *inputs[at].shape.dims() else { unreachable!() };
            let strides = [heads * length * width, width, heads * width, 1];
            inputs[at].strides[..4].copy_from_slice(&strides);
        }
    }
    let result = at(number, 6, &[sizes.values() + sizes.rows()], DType::F32);
    let forward =
        Work::Op { op: Op::Attention(op), inputs: inputs.clone(), output: result.clone() };
    inputs.extend([result, at(number, 7, &[sizes.values()], DType::F32)]);
    let [.., length] = AttentionGrad::bounds(sizes);
    let output = at(number, 8, &[length], DType::F32);
    let backward = Work::Op { op: Op::AttentionGrad(AttentionGrad { of: op }), inputs, output };
    Case { op, sizes, forward, backward }
}

fn write(machine: &mut Machine, case: &Case) {
    for work in [&case.forward, &case.backward] {
        let Work::Op { inputs, output, .. } = work else { continue };
        machine.reserve(output.region, output.span().1);
        for (n, place) in inputs.iter().enumerate() {
            machine.write(place, &numbers(n as u64, place.shape.elements()));
        }
    }
    let Work::Op { inputs, .. } = &case.forward else { return };
    let [bias, mask, lengths] = case.op.extras();
    if let Some(at) = bias {
        let count = inputs[at].shape.elements();
        let mut data = numbers(50, count);
        // Some keys are hidden by an infinite bias, and one query sees none.
        data.iter_mut().skip(3).step_by(7).for_each(|x| *x = f32::NEG_INFINITY);
        data[..case.sizes.keys].fill(f32::NEG_INFINITY);
        machine.write(&inputs[at], &data);
    }
    if let Some(at) = mask {
        let count = inputs[at].shape.elements();
        let kept = |i: usize| f32::from(u8::from(i % 5 != 1));
        machine.write(&inputs[at], &(0..count).map(kept).collect::<Vec<_>>());
    }
    if let Some(at) = lengths {
        let length = |b: usize| (case.sizes.keys - b.min(case.sizes.keys)) as f32;
        machine.write(&inputs[at], &(0..case.sizes.batch).map(length).collect::<Vec<_>>());
    }
}

#[test]
fn attention_and_its_gradient_are_right_and_repeat() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let mut cases = Vec::new();
    for (i, sizes) in SIZES.into_iter().enumerate() {
        // Wide ones take their time in tests: without options, and with all.
        let all = if sizes[5] < 100 { vec![0, 1, 2, 3] } else { vec![0, 3] };
        for options in all {
            cases.push(case(4 * i + options, sizes, options));
        }
    }
    let works: Vec<&Work> = cases.iter().flat_map(|c| [&c.forward, &c.backward]).collect();
    for dialect in Dialect::ALL {
        let mut bits = Vec::new();
        let seeds = if dialect == Dialect::C { &[1, 777][..] } else { &[1] };
        for &seed in seeds {
            let mut machine = Machine::new(dialect, Context { seed: 11, step: 4 });
            machine.seed = seed;
            cases.iter().for_each(|case| write(&mut machine, case));
            machine.run(works.iter().copied())?;
            assert!(machine.by_definition.is_empty());
            for work in &works {
                let Work::Op { op, inputs, output } = work else { continue };
                let operands: Vec<Array> = inputs.iter().map(|p| machine.read_array(p)).collect();
                let operands: Vec<&Array> = operands.iter().collect();
                let ty = Type::f32(output.shape.clone());
                let wanted = evaluate_op(op, &machine.context, &operands, &ty);
                let what = format!("{op:?} of {} in {dialect:?}", inputs[0].shape);
                let got = machine.read(output);
                close(&what, &got, &wanted.data, 1e-5);
                bits.push(got.into_iter().map(f32::to_bits).collect::<Vec<_>>());
            }
        }
        let (first, second) = bits.split_at(bits.len() / seeds.len());
        let repeats = seeds.len() == 1 || first == second;
        assert!(repeats, "another order of threads gives other bits in {dialect:?}");
    }
    Ok(())
}

#[test]
fn blocks_fit_into_shared_memory_and_what_does_not_is_refused() -> Result<()> {
    for dialect in Dialect::ALL {
        for depth in [1, 16, 64, 80, 128, 256] {
            let case = case(0, [1, 1, 1, 100, 100, depth, depth], 3);
            for work in [&case.forward, &case.backward] {
                for kernel in print(work, dialect)?.kernels {
                    kernel.check()?;
                    assert!(kernel.shared_bytes <= 32 << 10 || dialect == Dialect::Cuda);
                }
            }
        }
        let wide = case(0, [1, 1, 1, 4, 4, 300, 300], 0);
        let error = print(&wide.forward, dialect).unwrap_err().to_string();
        assert!(error.contains("300") && error.contains("256"), "{error}");
    }
    Ok(())
}
