//! Fused kernels against plain f64 loops, on each level and several threads.

use onestep_engine::ops::{Binary, Compare, ReduceKind, Unary};
use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place};
use onestep_engine::{DType, Shape};
use proptest::prelude::*;

use super::FusedKernel;
use crate::cpu_kernel::{CpuKernel, Regions};
use crate::testing::{KEY, Memory, each_way, numbers};

/// A place seen through other axes: each axis of the domain walks one axis of the place or none.
fn view(place: &Place, domain: &[usize], axes: &[Option<usize>]) -> Place {
    let mut view = place.clone();
    view.shape = Shape::new(domain).unwrap();
    for (axis, from) in axes.iter().enumerate() {
        view.strides[axis] = from.map_or(0, |f| place.strides[f]);
    }
    view
}

/// The elements of the domain in f64, register by register.
fn evaluate(fused: &Fused, memory: &Memory) -> Vec<Vec<f64>> {
    let dims = fused.domain.dims();
    let mut registers: Vec<Vec<f64>> = Vec::new();
    for instruction in &fused.code {
        let values = (0..fused.domain.elements()).map(|i| {
            let r = |register: usize| registers[register][i];
            match *instruction {
                Instruction::Load(ref place) => {
                    let word = memory.words[place.offset / 4 + offset(place, dims, i)];
                    match place.dtype {
                        DType::I32 => f64::from(word as i32),
                        _ => f64::from(f32::from_bits(word)),
                    }
                }
                Instruction::Splat(x) => f64::from(x),
                Instruction::Random { stream } => {
                    let x = onestep_engine::philox::uniform(KEY.seed, KEY.step, stream, i as u64);
                    f64::from(x)
                }
                Instruction::Unary(op, a) => op.apply(r(a)),
                Instruction::Binary(op, a, b) => op.apply(r(a), r(b)),
                Instruction::Compare(op, a, b) => f64::from(u8::from(op.apply(r(a), r(b)))),
                Instruction::Select(c, a, b) => {
                    if r(c) != 0.0 {
                        r(a)
                    } else {
                        r(b)
                    }
                }
                Instruction::Round(DType::F16, a) => half::f16::from_f64(r(a)).to_f64(),
                Instruction::Round(DType::BF16, a) => half::bf16::from_f64(r(a)).to_f64(),
                Instruction::Round(_, a) => r(a).trunc(),
            }
        });
        registers.push(values.collect());
    }
    registers
}

/// The offset in elements of row-major position `i` of `dims` in a place; size-1 axes repeat.
fn offset(place: &Place, dims: &[usize], mut i: usize) -> usize {
    let mut offset = 0;
    for axis in (0..dims.len()).rev() {
        let at = i % dims[axis];
        i /= dims[axis];
        offset += if place.shape[axis] == 1 { 0 } else { at * place.strides[axis] };
    }
    offset
}

/// Compares all outputs with the reference.
fn check(fused: &Fused, memory: &Memory) {
    let registers = evaluate(fused, memory);
    let dims = fused.domain.dims();
    let make = |threads, _| {
        let kernel = FusedKernel::new(fused, Regions::new(0, 0, 0), threads)?;
        Ok(Box::new(kernel) as Box<dyn CpuKernel>)
    };
    each_way(memory, make, |after, way| {
        for output in &fused.outputs {
            let place = &output.place;
            let mut want: std::collections::BTreeMap<usize, f64> = Default::default();
            for (i, &x) in registers[output.register].iter().enumerate() {
                let slot = want.entry(offset(place, dims, i));
                slot.and_modify(|old| {
                    *old = match output.reduce {
                        Some(ReduceKind::Sum | ReduceKind::Mean) => *old + x,
                        Some(ReduceKind::Max) => old.max(x),
                        Some(ReduceKind::Min) => old.min(x),
                        None => panic!("a store writes each element once"),
                    }
                })
                .or_insert(x);
            }
            let divisor = match output.reduce {
                Some(ReduceKind::Mean) => fused.domain.elements() as f64 / want.len() as f64,
                _ => 1.0,
            };
            for (at, want) in want {
                let want = want / divisor;
                let word = after.words[place.offset / 4 + at];
                let got = match place.dtype {
                    DType::I32 => f64::from(word as i32),
                    _ => f64::from(f32::from_bits(word)),
                };
                let close = (got - want).abs() <= 1e-4 * (1.0 + want.abs());
                assert!(close, "{way}: {got} for {want} at {at} of {place:?}\n{fused:?}");
            }
        }
    });
}

fn fused(domain: &[usize], code: Vec<Instruction>, outputs: Vec<FusedOutput>) -> Fused {
    Fused { domain: Shape::new(domain).unwrap(), code, outputs }
}

fn output(register: usize, place: &Place, reduce: Option<ReduceKind>) -> FusedOutput {
    FusedOutput { register, place: place.clone(), reduce }
}

#[test]
fn every_function() {
    let mut memory = Memory::default();
    let n = 1301;
    let x = memory.push_f32(&[n], &numbers(n, 1).iter().map(|x| x.abs() + 0.1).collect::<Vec<_>>());
    let y = memory.push_f32(&[n], &numbers(n, 2));
    let mut code = vec![Instruction::Load(x), Instruction::Load(y), Instruction::Splat(0.25)];
    code.extend(Unary::ALL.map(|op| Instruction::Unary(op, 0)));
    for (a, b) in [(0, 1), (0, 2), (2, 1)] {
        code.extend(Binary::ALL.map(|op| Instruction::Binary(op, if a == 1 { 0 } else { a }, b)));
        code.extend(Compare::ALL.map(|op| Instruction::Compare(op, a, b)));
    }
    code.push(Instruction::Compare(Compare::Lt, 1, 2));
    code.push(Instruction::Select(code.len() - 1, 0, 1));
    code.push(Instruction::Select(code.len() - 2, 2, 1));
    code.push(Instruction::Random { stream: 4 });
    code.extend([DType::F16, DType::BF16, DType::I32].map(|dtype| Instruction::Round(dtype, 1)));
    let registers = code.len();
    let places: Vec<Place> = (3..registers).map(|_| memory.room(&[n], DType::F32)).collect();
    let outputs = places.iter().enumerate().map(|(i, p)| output(i + 3, p, None)).collect();
    check(&fused(&[n], code, outputs), &memory);
}

/// Sums of two products, a root times a number, a quotient's multiple: with an operand that is
/// elements or a number, in each place, and a result on an operand.
#[test]
fn joined_instructions() {
    for numbers_at in 0..16 {
        let mut memory = Memory::default();
        let n = 1301;
        let mut code = Vec::new();
        let mut places = Vec::new();
        for i in 0..4 {
            let data: Vec<f32> = numbers(n, i + 1).iter().map(|x| x.abs() + 0.1).collect();
            let place = memory.push_f32(&[n], &data);
            let is_number = numbers_at >> i & 1 == 1;
            code.push(match is_number {
                true => Instruction::Splat(0.5 + i as f32),
                false => Instruction::Load(place.clone()),
            });
            places.push(place);
        }
        let mut outputs = Vec::new();
        let mut join = |code: &mut Vec<Instruction>, steps: &[Instruction], place: &Place| {
            code.extend_from_slice(steps);
            outputs.push(output(code.len() - 1, place, None));
        };
        let product = |a, b| Instruction::Binary(Binary::Mul, a, b);
        for swapped in [false, true] {
            let ordered = |a, b| if swapped { (b, a) } else { (a, b) };
            let at = code.len();
            let (x, y) = ordered(at, at + 1);
            let sum = [product(0, 1), product(2, 3), Instruction::Binary(Binary::Add, x, y)];
            join(&mut code, &sum, &memory.room(&[n], DType::F32));
            let at = code.len();
            let (x, y) = ordered(at, 1);
            let root = Instruction::Unary(Unary::Sqrt, 0);
            let sum = Instruction::Binary(Binary::Add, at + 1, 2);
            join(&mut code, &[root, product(x, y), sum], &memory.room(&[n], DType::F32));
            let at = code.len();
            let (x, y) = ordered(at, 2);
            let quotient = Instruction::Binary(Binary::Div, 0, 1);
            let difference = Instruction::Binary(Binary::Sub, 3, at + 1);
            let place = if swapped { memory.room(&[n], DType::F32) } else { places[3].clone() };
            join(&mut code, &[quotient, product(x, y), difference], &place);
        }
        check(&fused(&[n], code, outputs), &memory);
    }
}

#[test]
fn integers_come_and_go() {
    let mut memory = Memory::default();
    let labels: Vec<i32> = (0..70).map(|i| i * 37 % 11 - 5).collect();
    let x = memory.push_i32(&[70], &labels);
    let out = memory.room(&[70], DType::I32);
    let code = vec![Instruction::Load(x), Instruction::Binary(Binary::Add, 0, 0)];
    check(&fused(&[70], code, vec![output(1, &out, None)]), &memory);
}

#[test]
fn a_reduction_of_nothing_is_the_identity() {
    let mut memory = Memory::default();
    let x = memory.push_f32(&[3, 0], &[]);
    let sum = memory.room(&[3, 1], DType::F32);
    let max = memory.room(&[1, 1], DType::F32);
    let outputs =
        vec![output(0, &sum, Some(ReduceKind::Sum)), output(0, &max, Some(ReduceKind::Max))];
    let f = fused(&[3, 0], vec![Instruction::Load(x)], outputs);
    let make = |threads, _| {
        Ok(Box::new(FusedKernel::new(&f, Regions::new(0, 0, 0), threads)?) as Box<dyn CpuKernel>)
    };
    each_way(&memory, make, |after, _| {
        assert_eq!(after.f32s(&sum), [0.0; 3]);
        assert_eq!(after.f32s(&max), [f32::NEG_INFINITY]);
    });
}

#[test]
fn nan_wins_every_extreme() {
    for at in [0, 7, 40, 77] {
        let mut memory = Memory::default();
        let mut data = numbers(78, 3);
        data[at] = f32::NAN;
        let x = memory.push_f32(&[78], &data);
        let out = [ReduceKind::Max, ReduceKind::Min]
            .map(|kind| output(0, &memory.room(&[1], DType::F32), Some(kind)));
        let f = fused(&[78], vec![Instruction::Load(x)], out.to_vec());
        let make = |threads, _| {
            Ok(Box::new(FusedKernel::new(&f, Regions::new(0, 0, 0), threads)?)
                as Box<dyn CpuKernel>)
        };
        each_way(&memory, make, |after, way| {
            for o in &f.outputs {
                assert!(after.f32s(&o.place)[0].is_nan(), "{way} {at}");
            }
        });
    }
}

/// Both where elements are added side by side and one behind the other, in tiles and in parts of
/// vectors: what is left of equal numbers without their mean is nothing.
#[test]
fn the_mean_of_equal_numbers_is_that_number() {
    for (dims, kept) in [([1, 3], 0), ([1, 49], 0), ([7, 1], 1), ([4099, 5], 1), ([3, 5003], 0)] {
        for x in [0.1, 1e6 / 3.0, -1.999_999_9, 3.4e37] {
            let mut memory = Memory::default();
            let all = memory.push_f32(&dims, &vec![x; dims[0] * dims[1]]);
            let mut sizes = [1, 1];
            sizes[kept] = dims[kept];
            let mean = memory.room(&sizes, DType::F32);
            let outputs = vec![output(0, &mean, Some(ReduceKind::Mean))];
            let f = fused(&dims, vec![Instruction::Load(all)], outputs);
            let make = |threads, _| {
                Ok(Box::new(FusedKernel::new(&f, Regions::new(0, 0, 0), threads)?)
                    as Box<dyn CpuKernel>)
            };
            each_way(&memory, make, |after, way| {
                assert!(after.f32s(&mean).iter().all(|&m| m == x), "{way}: {dims:?} {x}");
            });
        }
    }
}

/// A domain, and for each of three loads which axes it walks, and in which order they lie.
fn spaces() -> impl Strategy<Value = (Vec<usize>, Vec<(u8, bool)>, u8, u8)> {
    let dims = proptest::collection::vec(
        prop_oneof![4 => 1usize..6, 2 => 6usize..20, 1 => 20usize..90],
        0..=4,
    );
    (dims, proptest::collection::vec((any::<u8>(), any::<bool>()), 3), any::<u8>(), any::<u8>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn views_and_reductions((dims, loads, mask_a, mask_b) in spaces()) {
        let mut memory = Memory::default();
        let mut code = Vec::new();
        for (i, (mask, reversed)) in loads.iter().enumerate() {
            // The axes that the load walks, stored in row-major or column-major order.
            let mut walked: Vec<usize> =
                (0..dims.len()).filter(|a| mask >> a & 1 == 1 || i == 0).collect();
            if *reversed {
                walked.reverse();
            }
            let sizes: Vec<usize> = walked.iter().map(|&a| dims[a]).collect();
            let count = sizes.iter().product();
            let place = memory.push_f32(&sizes, &numbers(count, i as u64));
            let axes: Vec<Option<usize>> =
                (0..dims.len()).map(|a| walked.iter().position(|&w| w == a)).collect();
            code.push(Instruction::Load(view(&place, &dims, &axes)));
        }
        code.push(Instruction::Binary(Binary::Mul, 0, 1));
        code.push(Instruction::Binary(Binary::Add, 3, 2));
        code.push(Instruction::Unary(Unary::Sigmoid, 4));
        let mut outputs = Vec::new();
        for (i, mask) in [mask_a, mask_b, 0xff].into_iter().enumerate() {
            let sizes: Vec<usize> =
                dims.iter().enumerate().map(|(a, &d)| if mask >> a & 1 == 1 { 1 } else { d }).collect();
            let kinds = [ReduceKind::Sum, ReduceKind::Max, ReduceKind::Min, ReduceKind::Mean];
            let kind = kinds[(i + mask as usize) % 4];
            outputs.push(output(5 - i % 2, &memory.room(&sizes, DType::F32), Some(kind)));
        }
        // A store with gaps: the domain reversed.
        let mut sizes = dims.clone();
        sizes.reverse();
        let place = memory.room(&sizes, DType::F32);
        let axes: Vec<Option<usize>> = (0..dims.len()).rev().map(Some).collect();
        outputs.push(output(5, &view(&place, &dims, &axes), None));
        outputs.push(output(4, &memory.room(&dims, DType::F32), None));
        check(&fused(&dims, code, outputs), &memory);
    }
}
