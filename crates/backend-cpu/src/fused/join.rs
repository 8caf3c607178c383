//! Instructions of a fused program that become one: each instruction is a pass over the tile.

use onestep_engine::ops::{Binary, Compare, Unary};

use super::maps::Ternary;
use super::program::{Compute, Program, Source, Step, UniformStep};
use super::quads::Quaternary;

/// Joins what can be joined.
pub(super) fn join(program: &mut Program) {
    join_masks(program);
    join_products(program);
    join_operands(program);
}

/// How often each register is read.
fn uses(program: &Program) -> Vec<usize> {
    let mut uses = vec![0usize; program.registers()];
    for source in program.steps.iter().flat_map(|(_, step)| step.registers()) {
        uses[source] += 1;
    }
    let outputs = program.stores.iter().map(|s| s.register);
    for register in outputs.chain(program.reductions.iter().map(|r| r.register)) {
        uses[register] += 1;
    }
    uses
}

/// Turns the mask of an activation, and what it lets through, into one instruction: `max(z, 0) > 0`
/// is `z > 0`, and `z > 0 ? x : 0` is a gate.
fn join_masks(program: &mut Program) {
    let zeros: Vec<usize> = program
        .uniforms
        .iter()
        .filter(|(_, step)| matches!(step, UniformStep::Number(x) if *x == 0.0))
        .map(|&(register, _)| register)
        .collect();
    let is_zero = |source| matches!(source, Source::Uniform(r) if zeros.contains(&r));
    let mut before_relu = vec![None; program.registers()];
    let mut above_zero = vec![None; program.registers()];
    for (at, step) in &mut program.steps {
        let Step::Compute(compute) = step else { continue };
        match *compute {
            Compute::Unary(Unary::Relu, z) => before_relu[*at] = Some(z),
            Compute::Compare(Compare::Gt, y, zero) if is_zero(zero) => {
                let z = match y {
                    Source::Tile(r) => before_relu[r].unwrap_or(y),
                    Source::Uniform(_) => y,
                };
                *compute = Compute::Compare(Compare::Gt, z, zero);
                above_zero[*at] = Some(z);
            }
            Compute::Ternary(Ternary::Select, [Source::Tile(mask), x, zero]) if is_zero(zero) => {
                if let Some(z) = above_zero[mask] {
                    *compute = Compute::Ternary(Ternary::Gate, [z, x, zero]);
                }
            }
            _ => {}
        }
    }
    drop_unused(program);
}

/// Drops steps whose results nothing reads, the last first.
fn drop_unused(program: &mut Program) {
    let mut uses = uses(program);
    for position in (0..program.steps.len()).rev() {
        let (register, step) = &program.steps[position];
        if uses[*register] == 0 {
            step.registers().for_each(|source| uses[source] -= 1);
            program.steps.remove(position);
        }
    }
}

/// Turns a product that is used once, in a sum or difference, into one instruction with it.
fn join_products(program: &mut Program) {
    let uses = uses(program);
    let mut products = vec![None; program.registers()];
    let mut joined = vec![false; program.registers()];
    for (at, step) in &mut program.steps {
        let Step::Compute(compute) = step else { continue };
        if let Compute::Binary(Binary::Mul, a, b) = *compute {
            products[*at] = Some((a, b));
        }
        let product = |source: Source| match source {
            Source::Tile(r) if uses[r] == 1 => products[r].map(|(a, b)| (r, a, b)),
            _ => None,
        };
        let (register, new) = match *compute {
            Compute::Binary(Binary::Add, x, y) => match (product(x), product(y)) {
                (Some((r, a, b)), _) => (r, Compute::Ternary(Ternary::MulAdd, [a, b, y])),
                (None, Some((r, a, b))) => (r, Compute::Ternary(Ternary::MulAdd, [a, b, x])),
                (None, None) => continue,
            },
            Compute::Binary(Binary::Sub, x, y) => match (product(x), product(y)) {
                (Some((r, a, b)), _) => (r, Compute::Ternary(Ternary::MulSub, [a, b, y])),
                (None, Some((r, a, b))) => (r, Compute::Ternary(Ternary::NegMulAdd, [a, b, x])),
                (None, None) => continue,
            },
            _ => continue,
        };
        joined[register] = true;
        *compute = new;
    }
    program.steps.retain(|(at, _)| !joined[*at]);
}

/// Joins a product's operand, or what it is added to, where only that reads it: with the sums of
/// averages, and with the quotient of Adam's step.
fn join_operands(program: &mut Program) {
    let uses = uses(program);
    let mut defined: Vec<Option<Compute>> = vec![None; program.registers()];
    let mut joined = vec![false; program.registers()];
    for (at, step) in &mut program.steps {
        let Step::Compute(compute) = step else { continue };
        let once = |source: Source| match source {
            Source::Tile(r) if uses[r] == 1 => defined[r].map(|compute| (r, compute)),
            _ => None,
        };
        let new = match *compute {
            Compute::Ternary(op, [a, b, c]) => match (op, once(a), once(b), once(c)) {
                (Ternary::MulAdd, Some((r, Compute::Unary(Unary::Sqrt, x))), _, _) => {
                    Some((r, Compute::Ternary(Ternary::RootMulAdd, [x, b, c])))
                }
                (Ternary::MulAdd, _, Some((r, Compute::Unary(Unary::Sqrt, x))), _) => {
                    Some((r, Compute::Ternary(Ternary::RootMulAdd, [x, a, c])))
                }
                (Ternary::MulAdd, _, _, Some((r, Compute::Binary(Binary::Mul, x, y)))) => {
                    Some((r, Compute::Quaternary(Quaternary::SumOfProducts, [a, b, x, y])))
                }
                (Ternary::NegMulAdd, Some((r, Compute::Binary(Binary::Div, x, y))), _, _) => {
                    Some((r, Compute::Quaternary(Quaternary::LessQuotient, [x, y, b, c])))
                }
                (Ternary::NegMulAdd, _, Some((r, Compute::Binary(Binary::Div, x, y))), _) => {
                    Some((r, Compute::Quaternary(Quaternary::LessQuotient, [x, y, a, c])))
                }
                _ => None,
            },
            _ => None,
        };
        if let Some((register, new)) = new {
            joined[register] = true;
            *compute = new;
        }
        defined[*at] = Some(*compute);
    }
    program.steps.retain(|(at, _)| !joined[*at]);
}

#[cfg(test)]
mod tests {
    use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place, Region};
    use onestep_engine::{Shape, Type};

    use super::super::lower::lower;
    use super::*;
    use crate::cpu_kernel::Regions;

    fn place(offset: usize) -> Place {
        Place::contiguous(Region::Arena, offset, &Type::f32(Shape::from([1000])))
    }

    /// What a program computes in its loop.
    fn computed(code: Vec<Instruction>, stored: &[usize]) -> Vec<Compute> {
        let store = |(i, &register): (usize, &usize)| FusedOutput {
            register,
            place: place((100 + i) * 4000),
            reduce: None,
        };
        let outputs = stored.iter().enumerate().map(store).collect();
        let fused = Fused { domain: Shape::from([1000]), code, outputs };
        let program = lower(&fused, Regions::new(0, 0, 0)).unwrap();
        let compute = |(_, step): &(usize, Step)| match step {
            Step::Compute(compute) => Some(*compute),
            _ => None,
        };
        program.steps.iter().filter_map(compute).collect()
    }

    #[test]
    fn an_activations_mask_and_what_it_lets_through_are_one_instruction() {
        let code = vec![
            Instruction::Load(place(0)),
            Instruction::Unary(Unary::Relu, 0),
            Instruction::Splat(0.0),
            Instruction::Compare(Compare::Gt, 1, 2),
            Instruction::Load(place(4000)),
            Instruction::Select(3, 4, 2),
        ];
        let sources = [Source::Tile(0), Source::Tile(4), Source::Uniform(2)];
        assert_eq!(computed(code, &[5]), [Compute::Ternary(Ternary::Gate, sources)]);
    }

    #[test]
    fn a_step_of_adam_takes_five_instructions() {
        let product = |a, b| Instruction::Binary(Binary::Mul, a, b);
        let sum = |a, b| Instruction::Binary(Binary::Add, a, b);
        let code = vec![
            Instruction::Load(place(0)),     // gradient
            Instruction::Load(place(4000)),  // its average
            Instruction::Load(place(8000)),  // that of its squares
            Instruction::Load(place(12000)), // parameter
            Instruction::Splat(0.9),
            Instruction::Splat(0.1),
            product(0, 0),
            product(1, 4),
            product(0, 5),
            sum(7, 8),
            product(2, 4),
            product(6, 5),
            sum(10, 11),
            Instruction::Unary(Unary::Sqrt, 12),
            product(13, 5),
            sum(14, 4),
            Instruction::Binary(Binary::Div, 9, 15),
            product(16, 5),
            Instruction::Binary(Binary::Sub, 3, 17),
        ];
        let kinds = computed(code, &[9, 12, 18]).into_iter().map(|compute| match compute {
            Compute::Binary(Binary::Mul, ..) => "product",
            Compute::Quaternary(Quaternary::SumOfProducts, _) => "sum of products",
            Compute::Ternary(Ternary::RootMulAdd, _) => "root",
            Compute::Quaternary(Quaternary::LessQuotient, _) => "less a quotient",
            _ => "other",
        });
        let wanted = ["product", "sum of products", "sum of products", "root", "less a quotient"];
        assert_eq!(kinds.collect::<Vec<_>>(), wanted);
    }
}
