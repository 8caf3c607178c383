//! From the plan's fused program to the interpreter's.

use onestep_engine::EngineError;
use onestep_engine::ops::{Binary, Unary};
use onestep_engine::plan::{Fused, Instruction, Place};
use onestep_memory::MAX_RANK;

use super::TILE;
use super::domain::{Domain, Strides};
use super::maps::Ternary;
use super::program::{
    Compute, Program, Reading, Reduction, Source, Step, Store, UniformStep, View,
};
use super::{join, slots};
use crate::cpu_kernel::{Regions, broken};

/// Rows from this length on are worth tiles of their own, in which what repeats along the row is a
/// number.
const LONG_ROW: usize = TILE / 2;

/// Where an instruction runs: once, or for each tile.
enum Placed {
    Outside(UniformStep),
    Inside(Step),
}

/// Lowers a fused program.
///
/// # Errors
/// The program breaks the plan's rules.
pub(super) fn lower(fused: &Fused, regions: Regions) -> Result<Program, EngineError> {
    check(fused)?;
    let (domain, loads, outputs) = collapse(fused)?;
    let mut lowering = Lowering { fused, regions, domain, loads, uniform: Vec::new() };
    let mut program = Program {
        domain,
        uniforms: Vec::new(),
        steps: Vec::new(),
        homes: vec![None; fused.code.len()],
        slots: 0,
        stores: Vec::new(),
        reductions: Vec::new(),
        walks: false,
        by_rows: false,
    };
    lowering.code(&mut program)?;
    lowering.outputs(&mut program, &outputs)?;
    join::join(&mut program);
    slots::assign(&mut program);
    let views = program.steps.iter().filter_map(|(_, step)| match step {
        Step::Load { view, .. } => Some(view),
        _ => None,
    });
    program.walks = views.chain(program.stores.iter().map(|s| &s.view)).any(|v| !v.contiguous)
        || !program.reductions.is_empty();
    program.by_rows = domain.inner() >= LONG_ROW
        && program.steps.iter().any(|(_, step)| match step {
            Step::Load { view, how: Reading::AsNumber } => {
                !view.contiguous && view.strides[domain.rank() - 1] == 0
            }
            _ => false,
        });
    Ok(program)
}

/// Each operand must be defined before its use.
fn check(fused: &Fused) -> Result<(), EngineError> {
    for (at, instruction) in fused.code.iter().enumerate() {
        if instruction.operands().any(|operand| operand >= at) {
            return Err(broken(format!("register {at} of a fused kernel is used too early")));
        }
    }
    if fused.outputs.iter().any(|o| o.register >= fused.code.len()) {
        return Err(broken("an output of a fused kernel is not defined"));
    }
    Ok(())
}

/// The strides of a place along the axes of the domain: 0 where it repeats or is reduced.
fn strides_in(place: &Place, dims: &[usize]) -> Result<Strides, EngineError> {
    if place.shape.rank() != dims.len() {
        let what = format!("an operand {} of a fused kernel over {dims:?}", place.shape);
        return Err(broken(what));
    }
    let mut strides = [0; MAX_RANK];
    for (axis, (&size, &stride)) in place.shape.iter().zip(place.strides()).enumerate() {
        if size == dims[axis] {
            strides[axis] = stride;
        } else if size != 1 {
            return Err(broken(format!("an operand {} over {dims:?}", place.shape)));
        }
    }
    Ok(strides)
}

/// The strides of a result without gaps whose reduced axes are 1.
fn kept_strides(place: &Place, dims: &[usize]) -> Strides {
    let mut strides = [0; MAX_RANK];
    let mut next = 1;
    for axis in (0..dims.len()).rev() {
        if place.shape[axis] == dims[axis] {
            strides[axis] = next;
            next *= dims[axis];
        }
    }
    strides
}

type Collapsed = (Domain, Vec<Option<Strides>>, Vec<(Strides, Strides)>);

/// Merges axes: gives the strides of each load, and of each output and its accumulator.
fn collapse(fused: &Fused) -> Result<Collapsed, EngineError> {
    let dims = fused.domain.dims();
    let mut all = Vec::new();
    for instruction in &fused.code {
        if let Instruction::Load(place) = instruction {
            all.push(strides_in(place, dims)?);
        }
    }
    let loads = all.len();
    for output in &fused.outputs {
        all.push(strides_in(&output.place, dims)?);
        all.push(kept_strides(&output.place, dims));
    }
    let domain = Domain::collapse(dims, &mut all);
    let mut load_strides = all[..loads].iter().copied();
    let per_register = fused
        .code
        .iter()
        .map(|i| matches!(i, Instruction::Load(_)).then(|| load_strides.next()).flatten())
        .collect();
    let outputs = all[loads..].chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
    Ok((domain, per_register, outputs))
}

struct Lowering<'a> {
    fused: &'a Fused,
    regions: Regions,
    domain: Domain,
    loads: Vec<Option<Strides>>,
    /// For each register so far, whether it is the same for all elements.
    uniform: Vec<bool>,
}

impl Lowering<'_> {
    fn source(&self, register: usize) -> Source {
        if self.uniform[register] { Source::Uniform(register) } else { Source::Tile(register) }
    }

    fn view(&self, place: &Place, strides: Strides) -> Result<View, EngineError> {
        Ok(View {
            address: self.regions.address(place)?,
            dtype: place.dtype,
            strides,
            contiguous: self.domain.is_contiguous(&strides),
        })
    }

    fn code(&mut self, program: &mut Program) -> Result<(), EngineError> {
        for (at, instruction) in self.fused.code.iter().enumerate() {
            let place = match *instruction {
                Instruction::Load(ref place) => {
                    let strides = self.loads[at].unwrap_or_default();
                    let view = self.view(place, strides)?;
                    match strides.iter().all(|&s| s == 0) {
                        true => Placed::Outside(UniformStep::Load(view.address, view.dtype)),
                        false => Placed::Inside(Step::Load { view, how: Reading::Copied }),
                    }
                }
                Instruction::Splat(x) => Placed::Outside(UniformStep::Number(x)),
                Instruction::Random { stream } => Placed::Inside(Step::Random { stream }),
                ref other => {
                    let compute = self.compute(other)?;
                    match compute.sources().all(|s| matches!(s, Source::Uniform(_))) {
                        true => Placed::Outside(UniformStep::Compute(compute)),
                        false => Placed::Inside(Step::Compute(compute)),
                    }
                }
            };
            self.uniform.push(matches!(place, Placed::Outside(_)));
            match place {
                Placed::Outside(step) => program.uniforms.push((at, step)),
                Placed::Inside(step) => program.steps.push((at, step)),
            }
        }
        Ok(())
    }

    fn compute(&self, instruction: &Instruction) -> Result<Compute, EngineError> {
        Ok(match *instruction {
            Instruction::Unary(op, a) => Compute::Unary(op, self.source(a)),
            Instruction::Binary(Binary::Pow, a, b) => self.power(a, b),
            Instruction::Binary(op, a, b) => Compute::Binary(op, self.source(a), self.source(b)),
            Instruction::Compare(op, a, b) => Compute::Compare(op, self.source(a), self.source(b)),
            Instruction::Select(c, a, b) => {
                Compute::Ternary(Ternary::Select, [c, a, b].map(|r| self.source(r)))
            }
            Instruction::Round(dtype, a) => Compute::Round(dtype, self.source(a)),
            Instruction::Load(_) | Instruction::Splat(_) | Instruction::Random { .. } => {
                return Err(broken("a leaf of a fused kernel has no operands"));
            }
        })
    }

    /// Powers with the usual constant exponents are cheap.
    fn power(&self, a: usize, b: usize) -> Compute {
        let (x, y) = (self.source(a), self.source(b));
        match self.fused.code[b] {
            Instruction::Splat(1.0) => Compute::Fill(x),
            Instruction::Splat(2.0) => Compute::Binary(Binary::Mul, x, x),
            Instruction::Splat(-1.0) => Compute::Unary(Unary::Reciprocal, x),
            _ => Compute::Binary(Binary::Pow, x, y),
        }
    }

    fn outputs(
        &mut self,
        program: &mut Program,
        strides: &[(Strides, Strides)],
    ) -> Result<(), EngineError> {
        for (output, &(place_strides, kept)) in self.fused.outputs.iter().zip(strides) {
            let view = self.view(&output.place, place_strides)?;
            let register = self.materialise(program, output.register);
            match output.reduce {
                None if view.contiguous || output.place.shape == self.fused.domain => {
                    program.stores.push(Store { register, view, in_place: false, fresh: false });
                }
                None => {
                    let what = format!("a store {} over {}", output.place.shape, self.fused.domain);
                    return Err(broken(what));
                }
                Some(kind) => {
                    let count = output.place.shape.elements();
                    program.reductions.push(Reduction { register, kind, view, kept, count });
                }
            }
        }
        Ok(())
    }

    /// The register of an output: one that is the same everywhere gets a tile of its own.
    fn materialise(&mut self, program: &mut Program, register: usize) -> usize {
        if !self.uniform[register] {
            return register;
        }
        let filled = Step::Compute(Compute::Fill(Source::Uniform(register)));
        if let Some((tile, _)) = program.steps.iter().find(|(_, step)| *step == filled) {
            return *tile;
        }
        let tile = program.homes.len();
        program.homes.push(None);
        program.steps.push((tile, filled));
        self.uniform.push(false);
        tile
    }
}
