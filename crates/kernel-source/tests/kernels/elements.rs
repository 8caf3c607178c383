//! Fused programs without reductions.

use onestep_engine::ops::{Binary, Compare, Unary};
use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place, Region, Work};
use onestep_engine::reference::Context;
use onestep_engine::{DType, Shape, philox};
use onestep_kernel_source::{Dialect, print};

use super::common::{Machine, Result, close, compiler, numbers, whole};

/// Numbers at which functions are known to go wrong.
const SPECIAL: [f32; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    -0.75,
    2.0,
    -3.5,
    1e-8,
    -1e-8,
    1e-20,
    0.92,
    0.94,
    10.0,
    -10.0,
    80.0,
    -80.0,
    100.0,
    -100.0,
    1e30,
    -1e30,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
];

fn store(register: usize, place: Place) -> FusedOutput {
    FusedOutput { register, place, reduce: None }
}

fn at(region: usize, dims: &[usize]) -> Place {
    whole(Region::Feed(region), dims, DType::F32)
}

/// Runs a program in each dialect.
fn run(fused: Fused, feeds: &[(&Place, &[f32])], check: impl Fn(&Machine, Dialect)) -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let work = Work::Fused(fused);
    for dialect in Dialect::ALL {
        let mut machine = Machine::new(dialect, Context { seed: 1 << 40 | 7, step: 1 << 33 | 3 });
        if let Work::Fused(fused) = &work {
            for output in &fused.outputs {
                machine.reserve(output.place.region, output.place.span().1);
            }
        }
        feeds.iter().for_each(|(place, data)| machine.write(place, data));
        machine.run([&work].into_iter())?;
        assert!(machine.by_definition.is_empty());
        check(&machine, dialect);
    }
    Ok(())
}

/// Four units in the last place, or the same special number.
fn near(what: &str, got: f32, wanted: f64) {
    let wanted = wanted as f32;
    let close = if wanted.is_nan() {
        got.is_nan()
    } else if wanted.is_infinite() || wanted == 0.0 {
        got == wanted
    } else {
        (got - wanted).abs() <= 4.0 * f32::EPSILON * wanted.abs()
    };
    assert!(close, "{what}: got {got:e}, wanted {wanted:e}");
}

#[test]
fn functions_of_one_number_are_right_at_special_numbers() -> Result<()> {
    let count = SPECIAL.len();
    let x = at(0, &[count]);
    let mut code = vec![Instruction::Load(x.clone())];
    code.extend(Unary::ALL.map(|op| Instruction::Unary(op, 0)));
    let outputs = (0..Unary::ALL.len()).map(|i| store(i + 1, at(i + 1, &[count])));
    let fused = Fused { domain: x.shape.clone(), code, outputs: outputs.collect() };
    run(fused, &[(&x, &SPECIAL)], |machine, dialect| {
        for (i, op) in Unary::ALL.into_iter().enumerate() {
            for (x, got) in SPECIAL.iter().zip(machine.read(&at(i + 1, &[count]))) {
                let wanted = op.apply(f64::from(*x));
                // At -1e30 and the like a sine is as good as its argument's reduction, which differs.
                near(&format!("{op:?}({x:e}) in {dialect:?}"), got, wanted);
                if op == Unary::Neg {
                    assert_eq!(got.is_sign_negative(), !x.is_sign_negative(), "sign of -{x}");
                }
            }
        }
    })
}

#[test]
fn functions_of_two_and_three_numbers_are_right_at_special_numbers() -> Result<()> {
    let n = SPECIAL.len();
    let (a, b) = (at(0, &[n, 1]), at(1, &[1, n]));
    let mut code = vec![Instruction::Load(a.clone()), Instruction::Load(b.clone())];
    code.extend(Binary::ALL.map(|op| Instruction::Binary(op, 0, 1)));
    code.extend(Compare::ALL.map(|op| Instruction::Compare(op, 0, 1)));
    code.push(Instruction::Select(0, 1, 0));
    let outputs: Vec<_> = (2..code.len()).map(|i| store(i, at(i, &[n, n]))).collect();
    let results = outputs.len();
    let domain = Shape::new(&[n, n])?;
    let fused = Fused { domain, code, outputs };
    run(fused, &[(&a, &SPECIAL), (&b, &SPECIAL)], |machine, dialect| {
        for i in 0..results {
            let got = machine.read(&at(i + 2, &[n, n]));
            for (at, got) in got.into_iter().enumerate() {
                let (a, b) = (f64::from(SPECIAL[at / n]), f64::from(SPECIAL[at % n]));
                let (what, wanted) = match i {
                    0..7 => (format!("{:?}", Binary::ALL[i]), Binary::ALL[i].apply(a, b)),
                    7..13 => {
                        let op = Compare::ALL[i - 7];
                        (format!("{op:?}"), f64::from(u8::from(op.apply(a, b))))
                    }
                    _ => ("select".into(), if a != 0.0 { b } else { a }),
                };
                near(&format!("{what}({a:e}, {b:e}) in {dialect:?}"), got, wanted);
            }
        }
    })
}

/// Halfway between neighbours of each type, beyond their ranges, and what is no number.
fn hard_to_round() -> Vec<f32> {
    let mut data = vec![2049.0, 2051.0, 65519.0, 65520.0, 1e6, -1e6, 257.0, 259.0];
    data.extend([1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, 6e-8, 2.9e-8, 3.1e-8, 6.1e-5]);
    data.extend([5.96e-8 * 1.5, 3e9, -3e9, 255.9, 256.0, -0.5, 3.4e38]);
    data.extend(SPECIAL);
    data.extend(numbers(5, 500).iter().map(|x| x * 1e-4));
    data
}

/// A vector of the `i`-th element type.
fn typed(i: usize, count: usize) -> Place {
    whole(Region::State(i), &[count], DType::ALL[i])
}

#[test]
fn every_element_type_is_stored_and_rounded_as_by_the_host() -> Result<()> {
    let data = hard_to_round();
    let n = data.len();
    let x = at(0, &[n]);
    let mut code = vec![Instruction::Load(x.clone())];
    code.extend(DType::ALL.map(|dtype| Instruction::Round(dtype, 0)));
    let mut outputs: Vec<_> = (0..5).map(|i| store(0, typed(i, n))).collect();
    outputs.extend((0..5).map(|i| store(i + 1, at(i + 1, &[n]))));
    let fused = Fused { domain: x.shape.clone(), code, outputs };
    run(fused, &[(&x, &data)], |machine, dialect| {
        let mut wanted = Machine::new(dialect, Context::default());
        let bits = |x: Vec<f32>| -> Vec<u32> {
            x.into_iter().map(|x| if x.is_nan() { 1 } else { x.to_bits() }).collect()
        };
        for (i, dtype) in DType::ALL.into_iter().enumerate() {
            wanted.write(&typed(i, n), &data);
            let read = bits(wanted.read(&typed(i, n)));
            assert_eq!(bits(machine.read(&typed(i, n))), read, "{dtype} in {dialect:?}");
            let rounded = bits(machine.read(&at(i + 1, &[n])));
            assert_eq!(rounded, read, "rounded to {dtype} in {dialect:?}");
        }
    })
}

#[test]
fn every_element_type_is_loaded() -> Result<()> {
    let n = 300;
    let mut code: Vec<_> = (0..5).map(|i| Instruction::Load(typed(i, n))).collect();
    code.push(Instruction::Binary(Binary::Add, 0, 4));
    let outputs = (0..6).map(|i| store(i, at(i, &[n]))).collect();
    let small: Vec<f32> = (0..n).map(|i| (i % 200) as f32).collect();
    let places: Vec<Place> = (0..5).map(|i| typed(i, n)).collect();
    let feeds: Vec<_> = places.iter().map(|p| (p, &small[..])).collect();
    run(Fused { domain: Shape::new(&[n])?, code, outputs }, &feeds, |machine, dialect| {
        for (i, dtype) in DType::ALL.into_iter().enumerate() {
            // All of them are whole numbers below 256, which even bf16 has.
            assert_eq!(machine.read(&at(i, &[n])), small, "{dtype} in {dialect:?}");
        }
    })
}

#[test]
fn views_with_gaps_and_results_on_operands_are_right() -> Result<()> {
    // x is a slice of a permuted tensor, y repeats along an axis, and the result overwrites a third.
    let dims = [3, 4, 5];
    let mut x = at(0, &dims);
    x.strides[..3].copy_from_slice(&[2, 42, 7]);
    x.offset = 12;
    let mut y = at(1, &dims);
    y.strides[..3].copy_from_slice(&[0, 5, 1]);
    let z = at(2, &dims);
    let mut spread = at(3, &dims);
    spread.strides[..3].copy_from_slice(&[40, 2, 8]);
    let code = vec![
        Instruction::Load(x.clone()),
        Instruction::Load(y.clone()),
        Instruction::Load(z.clone()),
        Instruction::Binary(Binary::Mul, 0, 1),
        Instruction::Binary(Binary::Sub, 3, 2),
    ];
    let outputs = vec![store(4, z.clone()), store(3, spread.clone())];
    let fused = Fused { domain: z.shape.clone(), code, outputs };
    let (xs, ys, zs) = (numbers(1, 60), numbers(2, 20), numbers(3, 60));
    let ys: Vec<f32> = (0..60).map(|i| ys[i % 20]).collect();
    run(fused, &[(&x, &xs), (&y, &ys), (&z, &zs)], |machine, _| {
        let product: Vec<f64> = (0..60).map(|i| f64::from(xs[i] * ys[i])).collect();
        let wanted: Vec<f64> = (0..60).map(|i| product[i] - f64::from(zs[i])).collect();
        close("in place", &machine.read(&z), &wanted, 1e-7);
        close("with gaps", &machine.read(&spread), &product, 1e-7);
    })
}

#[test]
fn random_numbers_are_those_of_the_engine_to_the_bit() -> Result<()> {
    let n = 1003;
    let code = vec![Instruction::Random { stream: 3 }, Instruction::Random { stream: u32::MAX }];
    let outputs = vec![store(0, at(0, &[17, 59])), store(1, at(1, &[17, 59]))];
    run(Fused { domain: Shape::new(&[17, 59])?, code, outputs }, &[], |machine, dialect| {
        for (region, stream) in [(0, 3), (1, u32::MAX)] {
            let Context { seed, step } = machine.context;
            let wanted: Vec<f32> = (0..n).map(|i| philox::uniform(seed, step, stream, i)).collect();
            assert_eq!(machine.read(&at(region, &[17, 59])), wanted, "{dialect:?}");
        }
    })
}

#[test]
fn very_many_places_share_arguments() -> Result<()> {
    // Forty tensors in one arena are more than a kernel of Metal may be given one by one.
    let place = |i: usize| Place { offset: i * 64, ..whole(Region::Arena, &[9], DType::F32) };
    let mut code: Vec<_> = (0..40).map(|i| Instruction::Load(place(i))).collect();
    code.push(Instruction::Binary(Binary::Add, 0, 1));
    for i in 2..40 {
        code.push(Instruction::Binary(Binary::Add, code.len() - 1, i));
    }
    let fused =
        Fused { domain: Shape::new(&[9])?, outputs: vec![store(code.len() - 1, place(40))], code };
    let launches = print(&Work::Fused(fused.clone()), Dialect::Metal)?;
    assert!(launches.kernels[0].arguments.len() <= 31);
    let data: Vec<Vec<f32>> = (0..40).map(|i| numbers(i, 9)).collect();
    let places: Vec<Place> = (0..40).map(place).collect();
    let feeds: Vec<_> = places.iter().zip(&data).map(|(p, d)| (p, &d[..])).collect();
    run(fused, &feeds, |machine, _| {
        let sum = |at: usize| data.iter().map(|d| f64::from(d[at])).sum();
        close("sum", &machine.read(&place(40)), &(0..9).map(sum).collect::<Vec<f64>>(), 1e-6);
    })
}

#[test]
fn equal_work_elsewhere_is_the_same_kernel() -> Result<()> {
    let kernel = |offset: usize| -> Result<_> {
        let place =
            |more| Place { offset: offset + more, ..whole(Region::Arena, &[9], DType::F32) };
        let code = vec![Instruction::Load(place(0)), Instruction::Unary(Unary::Exp, 0)];
        let fused = Fused { domain: Shape::new(&[9])?, code, outputs: vec![store(1, place(256))] };
        Ok(print(&Work::Fused(fused), Dialect::Metal)?.kernels.remove(0))
    };
    let (one, other) = (kernel(0)?, kernel(4096)?);
    assert_eq!(one.source(), other.source());
    assert_eq!(one.name, other.name);
    assert_ne!(one.arguments, other.arguments);
    Ok(())
}
