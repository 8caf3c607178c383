//! Gathers and scatters.

use onestep_engine::ops::{Gather, Op, ScatterAdd};
use onestep_engine::plan::{Region, Work};
use onestep_engine::reference::{Array, Context, evaluate_op};
use onestep_engine::{DType, Type, philox};
use onestep_kernel_source::Dialect;

use super::common::{Machine, Result, close, compiler, numbers, whole};

/// Rows of the table, numbers of a row, and indices: fewer and more than a block is sorted of, powers of two
/// and not.
const SIZES: [[usize; 3]; 8] = [
    [10, 3, 1],
    [5, 1, 20],
    [100, 70, 256],
    [7, 33, 257],
    [50, 4, 700],
    [3, 130, 1024],
    [1000, 5, 1500],
    [2, 2, 3000],
];

/// Indices, some of which name no row; many the same.
fn indices(rows: usize, count: usize) -> Vec<f32> {
    let index = |i: u64| {
        let number = philox::uniform(5, 0, 0, i);
        if number < 0.3 { 1.0 } else { (number * (rows as f32 + 2.0)).floor() - 1.0 }
    };
    (0..count as u64).map(index).collect()
}

fn works() -> Vec<Work> {
    let mut works = Vec::new();
    for (case, [rows, width, count]) in SIZES.into_iter().enumerate() {
        let index = whole(Region::Feed(100 + case), &[count], DType::I32);
        works.push(Work::Op {
            op: Op::Gather(Gather),
            inputs: vec![whole(Region::Feed(case), &[rows, width], DType::F32), index.clone()],
            output: whole(Region::State(case), &[count, width], DType::F32),
        });
        works.push(Work::Op {
            op: Op::ScatterAdd(ScatterAdd { rows }),
            inputs: vec![index, whole(Region::Feed(200 + case), &[count, width], DType::F32)],
            output: whole(Region::Constant(case), &[rows, width], DType::F32),
        });
    }
    works
}

#[test]
fn rows_are_gathered_and_scattered_right_and_the_same_each_time() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let works = works();
    for dialect in Dialect::ALL {
        let mut bits = Vec::new();
        let seeds = if dialect == Dialect::C { &[1, 1234][..] } else { &[1] };
        for &seed in seeds {
            let mut machine = Machine::new(dialect, Context::default());
            machine.seed = seed;
            for (case, [rows, width, count]) in SIZES.into_iter().enumerate() {
                let table = whole(Region::Feed(case), &[rows, width], DType::F32);
                machine.write(&table, &numbers(1, rows * width));
                let index = whole(Region::Feed(100 + case), &[count], DType::I32);
                machine.write(&index, &indices(rows, count));
                let updates = whole(Region::Feed(200 + case), &[count, width], DType::F32);
                machine.write(&updates, &numbers(2, count * width));
                machine.reserve(Region::State(case), count * width * 4);
                machine.reserve(Region::Constant(case), rows * width * 4);
            }
            machine.run(works.iter())?;
            assert!(machine.by_definition.is_empty());
            for work in &works {
                let Work::Op { op, inputs, output } = work else { continue };
                let operands: Vec<Array> = inputs.iter().map(|p| machine.read_array(p)).collect();
                let operands: Vec<&Array> = operands.iter().collect();
                let ty = Type::f32(output.shape.clone());
                let wanted = evaluate_op(op, &Context::default(), &operands, &ty);
                let what = format!("{} {} in {dialect:?}", op.name(), output.shape);
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
