//! Sums, means and extremes at the end of fused programs.

use onestep_engine::ops::{Binary, Op, Reduce, ReduceKind, Unary};
use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place, Region, Work};
use onestep_engine::reference::{Array, Context, evaluate_op};
use onestep_engine::{DType, Shape, Type, philox};
use onestep_kernel_source::{Dialect, KernelSource, host, print};

use super::common::{Library, Machine, Result, close, compiler, numbers, whole};

const KINDS: [ReduceKind; 4] =
    [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max, ReduceKind::Min];

/// Domains with the axes that are reduced: rows, leading axes, those of a batch norm, everything, nothing much,
/// and sizes that no group divides.
const CASES: [(&[usize], &[usize]); 15] = [
    (&[7, 10], &[1]),
    (&[70, 784], &[1]),
    (&[128, 10], &[0]),
    (&[1000, 33], &[0]),
    (&[5, 3000], &[0]),
    (&[8, 6, 7, 5], &[0, 2, 3]),
    (&[8, 6, 7, 5], &[1, 3]),
    (&[4, 100, 3], &[1]),
    (&[20000], &[0]),
    (&[120, 130], &[0, 1]),
    (&[1], &[0]),
    (&[6, 1, 5], &[1]),
    (&[2, 3, 4, 5, 2, 3], &[0, 2, 4]),
    (&[3, 0, 4], &[1]),
    (&[9000, 2], &[0]),
];

fn reduced(dims: &[usize], axes: &[usize]) -> Vec<usize> {
    let dims = dims.iter().enumerate();
    dims.map(|(axis, &dim)| if axes.contains(&axis) { 1 } else { dim }).collect()
}

fn by_definition(kind: ReduceKind, axes: &[usize], x: &Array) -> Vec<f64> {
    let shape = Shape::new(&reduced(x.shape.dims(), axes)).unwrap();
    let op = Op::Reduce(Reduce { kind, axes: axes.to_vec() });
    evaluate_op(&op, &Context::default(), &[x], &Type::f32(shape)).data
}

fn at(region: usize, dims: &[usize]) -> Place {
    whole(Region::Feed(region), dims, DType::F32)
}

fn array_of(place: &Place, data: &[f32]) -> Array {
    Array::new(place.shape.clone(), data.iter().map(|&x| f64::from(x)).collect()).unwrap()
}

/// The square of a tensor with its sum, mean and extremes.
fn case_work(case: usize) -> Work {
    let (dims, axes) = CASES[case];
    let x = at(case, dims);
    let output = |(i, kind): (usize, ReduceKind)| FusedOutput {
        register: 1,
        place: case_result(case, i, axes),
        reduce: Some(kind),
    };
    let mut outputs: Vec<_> = KINDS.into_iter().enumerate().map(output).collect();
    let square = whole(Region::Constant(case), dims, DType::F32);
    outputs.push(FusedOutput { register: 1, place: square, reduce: None });
    let code = vec![Instruction::Load(x.clone()), Instruction::Binary(Binary::Mul, 0, 0)];
    Work::Fused(Fused { domain: x.shape.clone(), code, outputs })
}

fn case_result(case: usize, kind: usize, axes: &[usize]) -> Place {
    let place = whole(Region::State(case), &reduced(CASES[case].0, axes), DType::F32);
    Place { offset: kind << 16, ..place }
}

/// Holds a case against the definition, and gives the bits of its results.
fn check_case(machine: &Machine, case: usize, dialect: Dialect) -> Vec<Vec<u32>> {
    let (dims, axes) = CASES[case];
    let x = at(case, dims);
    let squares: Vec<f32> = machine.read(&x).into_iter().map(|x| x * x).collect();
    let square = array_of(&x, &squares);
    let stored = machine.read(&whole(Region::Constant(case), dims, DType::F32));
    close("the squares", &stored, &square.data, 1e-7);
    let check = |(i, kind): (usize, ReduceKind)| {
        let got = machine.read(&case_result(case, i, axes));
        let what = format!("{kind:?} of {dims:?} over {axes:?} in {dialect:?}");
        close(&what, &got, &by_definition(kind, axes, &square), 1e-6);
        got.into_iter().map(f32::to_bits).collect()
    };
    KINDS.into_iter().enumerate().map(check).collect()
}

#[test]
fn reductions_of_every_kind_over_any_axes_are_right_and_repeat() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let works: Vec<Work> = (0..CASES.len()).map(case_work).collect();
    for dialect in Dialect::ALL {
        let mut bits: Vec<Vec<u32>> = Vec::new();
        let seeds = if dialect == Dialect::C { &[1, 99][..] } else { &[1] };
        for &seed in seeds {
            let mut machine = Machine::new(dialect, Context::default());
            machine.seed = seed;
            for (case, (dims, _)) in CASES.iter().enumerate() {
                let x = at(case, dims);
                machine.write(&x, &numbers(case as u64, x.shape.elements()));
                machine.reserve(Region::Constant(case), x.shape.elements() * 4);
                machine.reserve(Region::State(case), 4 << 16);
            }
            machine.run(works.iter())?;
            (0..CASES.len()).for_each(|case| bits.extend(check_case(&machine, case, dialect)));
        }
        let (first, second) = bits.split_at(bits.len() / seeds.len());
        let repeats = seeds.len() == 1 || first == second;
        assert!(repeats, "another order of threads gives other bits in {dialect:?}");
    }
    Ok(())
}

#[test]
fn one_program_reduces_over_several_axes_and_overwrites_what_it_reads() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let dims = [60, 40];
    let x = whole(Region::Arena, &dims, DType::F32);
    let sum = |region: usize, axes: &[usize], register| FusedOutput {
        register,
        place: whole(Region::State(region), &reduced(&dims, axes), DType::F32),
        reduce: Some(ReduceKind::Sum),
    };
    let code = vec![
        Instruction::Load(x.clone()),
        Instruction::Random { stream: 4 },
        Instruction::Binary(Binary::Mul, 0, 1),
        Instruction::Unary(Unary::Exp, 2),
    ];
    let outputs = vec![
        FusedOutput { register: 3, place: x.clone(), reduce: None },
        sum(0, &[0], 3),
        sum(1, &[1], 2),
        sum(2, &[0, 1], 1),
    ];
    let work = Work::Fused(Fused { domain: x.shape.clone(), code, outputs });
    let context = Context { seed: 3, step: 8 };
    let data = numbers(4, 2400);
    let noise = (0..2400).map(|i| f64::from(philox::uniform(3, 8, 4, i)));
    let noise = Array::new(x.shape.clone(), noise.collect())?;
    let product = noise.data.iter().zip(&data).map(|(n, &x)| n * f64::from(x));
    let product = Array::new(x.shape.clone(), product.collect())?;
    let exp = product.data.iter().map(|x| x.exp()).collect();
    let exp = Array::new(x.shape.clone(), exp)?;
    for dialect in Dialect::ALL {
        let mut machine = Machine::new(dialect, context);
        machine.write(&x, &data);
        for region in 0..3 {
            machine.reserve(Region::State(region), 256);
        }
        machine.run([&work].into_iter())?;
        close("exp", &machine.read(&x), &exp.data, 1e-6);
        for (region, axes, of) in [(0, &[0][..], &exp), (1, &[1], &product), (2, &[0, 1], &noise)] {
            let place = whole(Region::State(region), &reduced(&dims, axes), DType::F32);
            let wanted = by_definition(ReduceKind::Sum, axes, of);
            close(&format!("sum over {axes:?}"), &machine.read(&place), &wanted, 1e-6);
        }
    }
    Ok(())
}

#[test]
fn extremes_keep_what_is_no_number() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let x = whole(Region::Feed(0), &[3, 50], DType::F32);
    let mut data = numbers(1, 150);
    data[70] = f32::NAN;
    data[120] = f32::INFINITY;
    let output = |i: usize| FusedOutput {
        register: 0,
        place: whole(Region::State(i), &[3, 1], DType::F32),
        reduce: Some(KINDS[i]),
    };
    let outputs: Vec<_> = (0..4).map(output).collect();
    let code = vec![Instruction::Load(x.clone())];
    let work = Work::Fused(Fused { domain: x.shape.clone(), code, outputs });
    let mut machine = Machine::new(Dialect::Metal, Context::default());
    machine.write(&x, &data);
    (0..4).for_each(|i| machine.reserve(Region::State(i), 16));
    machine.run([&work].into_iter())?;
    for (i, kind) in KINDS.into_iter().enumerate() {
        let got = machine.read(&output(i).place);
        let wanted = by_definition(kind, &[1], &machine.read_array(&x));
        close(&format!("{kind:?}"), &got, &wanted, 1e-6);
        assert!(got[1].is_nan(), "{kind:?}");
    }
    Ok(())
}

/// What the other tests rest on: a kernel whose threads do not wait for each other gives other numbers.
#[test]
fn a_missing_barrier_shows() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let (x, y) = (at(0, &[3, 512]), at(1, &[3, 1]));
    let code = vec![Instruction::Load(x.clone())];
    let outputs =
        vec![FusedOutput { register: 0, place: y.clone(), reduce: Some(ReduceKind::Sum) }];
    let launches =
        print(&Work::Fused(Fused { domain: x.shape.clone(), code, outputs }), Dialect::C)?;
    let kernels: Vec<&KernelSource> = launches.kernels.iter().collect();
    let text = host::program(Dialect::C, kernels.iter().copied());
    let without = text.replace("#define BARRIER() host_barrier()", "#define BARRIER()");
    assert_ne!(text, without);
    let mut sums = Vec::new();
    for text in [text, without] {
        let library = Library::of(&text, &kernels)?;
        let mut machine = Machine::new(Dialect::C, Context::default());
        machine.write(&x, &numbers(1, 1536));
        machine.write(&y, &[0.0; 3]);
        machine.launch(&library, &launches);
        sums.push(machine.read(&y));
    }
    let wanted = by_definition(ReduceKind::Sum, &[1], &array_of(&x, &numbers(1, 1536)));
    close("with barriers", &sums[0], &wanted, 1e-6);
    assert_ne!(sums[0], sums[1]);
    Ok(())
}

#[test]
fn a_sum_over_many_rows_is_cut_into_chunks() -> Result<()> {
    let x = whole(Region::Feed(0), &[1 << 20, 16], DType::F32);
    let place = whole(Region::State(0), &[1, 16], DType::F32);
    let code = vec![Instruction::Load(x.clone())];
    let outputs = vec![FusedOutput { register: 0, place, reduce: Some(ReduceKind::Sum) }];
    let work = Work::Fused(Fused { domain: x.shape.clone(), code, outputs });
    let launches = print(&work, Dialect::Metal)?;
    let [first, second] = &launches.kernels[..] else { panic!("two launches") };
    assert!(first.groups >= 512 && second.groups < 32, "{} {}", first.groups, second.groups);
    assert_eq!(launches.scratch, first.groups * 16 * 4);
    Ok(())
}
