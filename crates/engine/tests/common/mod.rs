//! A plain interpreter of plans: each kernel in loops over f64, memory as the plan lays it out.

pub(crate) mod models;

use std::collections::HashMap;

use onestep_engine::ops::ConstantData;
use onestep_engine::plan::{Fused, Instruction, Place, Region, Work};
use onestep_engine::reference::{Array, Context, evaluate_op};
use onestep_engine::{DType, Plan, Shape, Type, philox};

/// Memory by region, one f64 for each 4-byte element.
pub(crate) struct Machine<'a> {
    plan: &'a Plan,
    pub(crate) regions: HashMap<Region, Vec<f64>>,
    context: Context,
}

impl<'a> Machine<'a> {
    pub(crate) fn new(plan: &'a Plan, context: Context) -> Self {
        let mut regions = HashMap::new();
        // What was never written must never be read.
        regions.insert(Region::Arena, vec![f64::NAN; plan.footprint.arena / 4]);
        for (i, constant) in plan.constants.iter().enumerate() {
            let data = match constant {
                ConstantData::F32(data) => data.iter().map(|&x| f64::from(x)).collect(),
                ConstantData::I32(data) => data.iter().map(|&x| f64::from(x)).collect(),
            };
            regions.insert(Region::Constant(i), data);
        }
        Machine { plan, regions, context }
    }

    pub(crate) fn run(&mut self) {
        for kernel in &self.plan.kernels {
            self.work(&kernel.work);
        }
    }

    fn work(&mut self, work: &Work) {
        match work {
            Work::Op { op, inputs, output } => {
                let operands: Vec<Array> = inputs.iter().map(|p| self.read(p)).collect();
                let operands: Vec<&Array> = operands.iter().collect();
                let ty = Type { shape: output.shape.clone(), dtype: output.dtype };
                let result = evaluate_op(op, &self.context, &operands, &ty);
                self.write(output, &result.data);
            }
            Work::Fused(fused) => self.fused(fused),
            Work::Composite(composite) => composite.parts().iter().for_each(|part| self.work(part)),
        }
    }

    fn fused(&mut self, fused: &Fused) {
        let count = fused.domain.elements();
        let mut registers: Vec<Vec<f64>> = Vec::new();
        for instruction in &fused.code {
            let value = match instruction {
                Instruction::Load(place) => self.read(place).data,
                Instruction::Splat(x) => vec![f64::from(*x); count],
                Instruction::Random { stream } => {
                    let (seed, step) = (self.context.seed, self.context.step);
                    let number = |i| f64::from(philox::uniform(seed, step, *stream, i));
                    (0..count as u64).map(number).collect()
                }
                Instruction::Unary(op, x) => registers[*x].iter().map(|&x| op.apply(x)).collect(),
                Instruction::Binary(op, a, b) => {
                    let pairs = registers[*a].iter().zip(&registers[*b]);
                    pairs.map(|(&a, &b)| op.apply(a, b)).collect()
                }
                Instruction::Compare(op, a, b) => {
                    let pairs = registers[*a].iter().zip(&registers[*b]);
                    pairs.map(|(&a, &b)| f64::from(u8::from(op.apply(a, b)))).collect()
                }
                Instruction::Select(c, a, b) => (0..count)
                    .map(|i| registers[if registers[*c][i] != 0.0 { *a } else { *b }][i])
                    .collect(),
                Instruction::Round(dtype, x) => {
                    let round = |x: f64| if *dtype == DType::I32 { x.trunc() } else { x };
                    registers[*x].iter().map(|&x| round(x)).collect()
                }
            };
            registers.push(value);
        }
        for output in &fused.outputs {
            let data = registers[output.register].clone();
            let data = match output.reduce {
                None => data,
                Some(kind) => {
                    let dims = fused.domain.dims().iter().zip(output.place.shape.dims());
                    let axes = dims.enumerate().filter(|(_, (d, p))| d != p).map(|(i, _)| i);
                    let reduce = onestep_engine::ops::Reduce { kind, axes: axes.collect() };
                    let op = onestep_engine::ops::Op::Reduce(reduce);
                    let x = Array::new(fused.domain.clone(), data).unwrap();
                    let ty = Type::f32(output.place.shape.clone());
                    evaluate_op(&op, &self.context, &[&x], &ty).data
                }
            };
            self.write(&output.place, &data);
        }
    }

    pub(crate) fn read(&self, place: &Place) -> Array {
        let memory = &self.regions[&place.region];
        let data = positions(place).map(|at| memory[at]).collect();
        Array::new(place.shape.clone(), data).unwrap()
    }

    fn write(&mut self, place: &Place, data: &[f64]) {
        let memory = self.regions.get_mut(&place.region).unwrap();
        for (at, &value) in positions(place).zip(data) {
            memory[at] = value;
        }
    }
}

/// The 4-byte positions of a place's elements in row-major order.
fn positions(place: &Place) -> impl Iterator<Item = usize> + use<> {
    let dims = place.shape.dims().to_vec();
    let strides = place.strides().to_vec();
    let start = place.offset / 4;
    (0..place.shape.elements()).map(move |mut linear| {
        let mut at = start;
        for axis in (0..dims.len()).rev() {
            at += linear % dims[axis] * strides[axis];
            linear /= dims[axis];
        }
        at
    })
}

/// Pseudo-random numbers in `[-1, 1)` from a seed, the same everywhere.
pub(crate) fn numbers(seed: u64, count: usize) -> Vec<f64> {
    (0..count as u64).map(|i| f64::from(philox::uniform(seed, 0, 0, i)) * 2.0 - 1.0).collect()
}

pub(crate) fn array(seed: u64, shape: &Shape) -> Array {
    Array::new(shape.clone(), numbers(seed, shape.elements())).unwrap()
}
