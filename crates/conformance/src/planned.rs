//! A plan as a [`Subject`]: an interpreter, one element at a time, of the kernels that executors
//! run, in memory laid out as the plan says. Arithmetic is f64 and only what is stored is rounded.
//! Against [`Reference`](crate::Reference) it shows errors of the planner: in simplification,
//! fusion, views, order and the sharing of the arena, which begins as NaN.

use std::collections::{BTreeMap, HashMap};

use onestep_engine::ops::{ConstantData, Op, ReduceKind};
use onestep_engine::plan::{
    self, Fused, FusedOutput, Instruction, NamedPlace, Place, Plan, Region, Work,
};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{DType, Graph, Mode, StateLayout, philox};
use onestep_memory::{bf16, f16};

use crate::error::ConformanceError;
use crate::lowered::{layout, outcome_name};
use crate::subject::{Feeds, Outcome, Run, Subject, Tensors};

/// The planned step, interpreted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Planned;

impl Subject for Planned {
    fn name(&self) -> String {
        "interpreted plan".to_owned()
    }

    fn run(&self, run: &Run) -> Result<Outcome, ConformanceError> {
        let layout = layout(&run.program)?;
        let plan = plan::compile(&run.program, &layout, None)?;
        let mut memory = Memory::new(&plan, &layout, run)?;
        let mut outcome = Outcome::default();
        for (i, feeds) in run.steps.iter().enumerate() {
            let context = Context { seed: run.seed, step: run.first_step + i as u64 };
            memory.begin(&plan, feeds, &context)?;
            for kernel in &plan.kernels {
                memory.work(&kernel.work, &context)?;
            }
            let mut results = memory.named(&plan.reports);
            results.extend(memory.named(&plan.outputs));
            let state = memory.state(&plan, &layout);
            if run.program.mode == Mode::Train {
                let parameters = state.iter().filter(|(name, _)| name.starts_with("param."));
                results.extend(parameters.map(|(name, array)| (name.clone(), array.clone())));
            }
            outcome.last = state;
            outcome.steps.push(results);
        }
        Ok(outcome)
    }
}

/// The stretches of memory, as bytes.
struct Memory(HashMap<Region, Vec<u8>>);

impl Memory {
    fn work(&mut self, work: &Work, context: &Context) -> Result<(), ConformanceError> {
        match work {
            Work::Fused(fused) => self.fused(fused, context),
            Work::Op { op, inputs, output } => self.op(op, inputs, output, context)?,
            Work::Composite(composite) => {
                composite.parts().iter().try_for_each(|part| self.work(part, context))?;
            }
        }
        Ok(())
    }

    fn new(plan: &Plan, layout: &StateLayout, run: &Run) -> Result<Self, ConformanceError> {
        let mut regions = HashMap::new();
        for (i, constant) in plan.constants.iter().enumerate() {
            let bytes = match constant {
                ConstantData::F32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
                ConstantData::I32(data) => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
            };
            regions.insert(Region::Constant(i), bytes);
        }
        for (i, name) in plan.states.iter().enumerate() {
            let found = layout.buffers().iter().position(|b| &b.name == name);
            let Some(buffer) = found else {
                return Err(ConformanceError::subject("planning", format!("no buffer `{name}`")));
            };
            let elements = layout.buffers()[buffer].elements;
            let mut data = vec![layout.buffers()[buffer].initial; elements];
            let source = layout.buffers()[buffer].copy_of.unwrap_or(buffer);
            for entry in layout.entries().iter().filter(|e| e.buffer == source) {
                if let Some(array) = run.initial.get(&entry.name) {
                    let slots = data[entry.offset..].iter_mut();
                    slots.zip(&array.data).for_each(|(slot, &x)| *slot = x as f32);
                }
            }
            let bytes = data.iter().flat_map(|x| x.to_le_bytes()).collect();
            regions.insert(Region::State(i), bytes);
        }
        Ok(Memory(regions))
    }

    /// What is new at each step: the feeds, the scalars, and an arena of NaN.
    fn begin(
        &mut self,
        plan: &Plan,
        feeds: &Feeds,
        context: &Context,
    ) -> Result<(), ConformanceError> {
        self.0.insert(Region::Arena, vec![0xff; plan.footprint.arena]);
        for (i, feed) in plan.feeds.iter().enumerate() {
            let array = feeds.input(&feed.name)?;
            let mut bytes = Vec::new();
            array.data.iter().for_each(|&x| bytes.extend_from_slice(&encode(feed.ty.dtype, x)));
            self.0.insert(Region::Feed(i), bytes);
        }
        let number = |name: &String| match feeds.scalars.get(name) {
            Some(&value) => value,
            None => context.step as f32,
        };
        let bytes = plan.scalars.iter().flat_map(|name| number(name).to_le_bytes()).collect();
        self.0.insert(Region::Scalars, bytes);
        Ok(())
    }

    fn get(&self, place: &Place, index: &[usize]) -> f64 {
        let size = place.dtype.size();
        let start = place.offset + element(place, index) * size;
        self.0
            .get(&place.region)
            .map_or(f64::NAN, |bytes| decode(place.dtype, &bytes[start..start + size]))
    }

    fn set(&mut self, place: &Place, index: &[usize], value: f64) {
        let bytes = encode(place.dtype, value);
        let start = place.offset + element(place, index) * bytes.len();
        if let Some(region) = self.0.get_mut(&place.region) {
            region[start..start + bytes.len()].copy_from_slice(&bytes);
        }
    }

    fn array(&self, place: &Place) -> Array {
        let mut data = Vec::with_capacity(place.shape.elements());
        for_each_index(place.shape.dims(), |index| data.push(self.get(place, index)));
        Array { shape: place.shape.clone(), data }
    }

    fn named(&self, places: &[NamedPlace]) -> BTreeMap<String, Array> {
        places.iter().map(|n| (n.name.clone(), self.array(&n.place))).collect()
    }

    /// The state table, named as in [`Outcome::last`].
    fn state(&self, plan: &Plan, layout: &StateLayout) -> BTreeMap<String, Array> {
        let mut result = BTreeMap::new();
        for entry in layout.entries() {
            let name = &layout.buffers()[entry.buffer].name;
            let Some(region) = plan.states.iter().position(|n| n == name) else { continue };
            let ty = onestep_engine::Type::f32(entry.shape.clone());
            let offset = entry.offset * DType::F32.size();
            let place = Place::contiguous(Region::State(region), offset, &ty);
            result.insert(outcome_name(entry.kind, &entry.name), self.array(&place));
        }
        result
    }

    /// One op by the engine's f64 evaluator.
    fn op(
        &mut self,
        op: &Op,
        inputs: &[Place],
        output: &Place,
        context: &Context,
    ) -> Result<(), ConformanceError> {
        let (mut g, mut leaves, mut operands) = (Graph::new(), Tensors::new(), Vec::new());
        for (i, place) in inputs.iter().enumerate() {
            let name = format!("x{i}");
            operands.push(g.input(&name, place.shape.dims(), place.dtype)?);
            leaves.insert(name, self.array(place));
        }
        let value = g.push(op.clone(), &operands)?;
        for result in evaluate(&g, &leaves, context, &[value])? {
            let mut numbers = result.data.iter();
            for_each_index(output.shape.dims(), |index| {
                self.set(output, index, numbers.next().copied().unwrap_or(f64::NAN));
            });
        }
        Ok(())
    }

    fn fused(&mut self, fused: &Fused, context: &Context) {
        let mut sums: Vec<HashMap<Vec<usize>, f64>> = vec![HashMap::new(); fused.outputs.len()];
        let mut linear = 0;
        for_each_index(fused.domain.dims(), |index| {
            let registers = self.registers(&fused.code, index, linear, context);
            linear += 1;
            for (output, sums) in fused.outputs.iter().zip(&mut sums) {
                let x = registers[output.register];
                match output.reduce {
                    None => self.set(&output.place, index, x),
                    Some(kind) => accumulate(kind, sums, reduced(output, index), x),
                }
            }
        });
        for (output, sums) in fused.outputs.iter().zip(sums) {
            let divisor = match output.reduce {
                Some(ReduceKind::Mean) => {
                    fused.domain.elements() as f64 / output.place.shape.elements() as f64
                }
                _ => 1.0,
            };
            sums.into_iter().for_each(|(index, x)| self.set(&output.place, &index, x / divisor));
        }
    }

    fn registers(
        &self,
        code: &[Instruction],
        index: &[usize],
        linear: u64,
        context: &Context,
    ) -> Vec<f64> {
        let mut r: Vec<f64> = Vec::with_capacity(code.len());
        for instruction in code {
            let x = match instruction {
                Instruction::Load(place) => self.get(place, index),
                Instruction::Splat(x) => f64::from(*x),
                Instruction::Random { stream } => {
                    philox::uniform(context.seed, context.step, *stream, linear).into()
                }
                Instruction::Unary(op, a) => op.apply(r[*a]),
                Instruction::Binary(op, a, b) => op.apply(r[*a], r[*b]),
                Instruction::Compare(op, a, b) => f64::from(u8::from(op.apply(r[*a], r[*b]))),
                Instruction::Select(c, a, b) => r[if r[*c] != 0.0 { *a } else { *b }],
                Instruction::Round(dtype, a) => decode(*dtype, &encode(*dtype, r[*a])),
            };
            r.push(x);
        }
        r
    }
}

/// The position of an element from the start of its place.
fn element(place: &Place, index: &[usize]) -> usize {
    index.iter().zip(place.strides()).map(|(i, stride)| i * stride).sum()
}

/// Where an element of the domain goes in a reduction.
fn reduced(output: &FusedOutput, index: &[usize]) -> Vec<usize> {
    let sizes = output.place.shape.dims().iter();
    index.iter().zip(sizes).map(|(&i, &size)| if size == 1 { 0 } else { i }).collect()
}

fn accumulate(kind: ReduceKind, sums: &mut HashMap<Vec<usize>, f64>, at: Vec<usize>, x: f64) {
    let combine = |old: f64| match kind {
        ReduceKind::Sum | ReduceKind::Mean => old + x,
        _ if old.is_nan() || x.is_nan() => f64::NAN,
        ReduceKind::Max => old.max(x),
        ReduceKind::Min => old.min(x),
    };
    sums.entry(at).and_modify(|old| *old = combine(*old)).or_insert(x);
}

fn encode(dtype: DType, x: f64) -> Vec<u8> {
    match dtype {
        DType::F32 => (x as f32).to_le_bytes().to_vec(),
        DType::F16 => f16::from_f64(x).to_le_bytes().to_vec(),
        DType::BF16 => bf16::from_f64(x).to_le_bytes().to_vec(),
        // `as` truncates towards zero and saturates, as a cast does.
        DType::I32 => (x as i32).to_le_bytes().to_vec(),
        DType::U8 => vec![x as u8],
    }
}

fn decode(dtype: DType, bytes: &[u8]) -> f64 {
    match (dtype, bytes) {
        (DType::F32, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]).into(),
        (DType::F16, &[a, b]) => f16::from_le_bytes([a, b]).into(),
        (DType::BF16, &[a, b]) => bf16::from_le_bytes([a, b]).into(),
        (DType::I32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]).into(),
        (DType::U8, &[a]) => a.into(),
        _ => f64::NAN,
    }
}

/// Calls `f` with each index of a shape in row-major order.
fn for_each_index(dims: &[usize], mut f: impl FnMut(&[usize])) {
    let mut index = vec![0; dims.len()];
    for _ in 0..dims.iter().product::<usize>() {
        f(&index);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            if index[axis] < dims[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}
