//! Which memory each register of a fused program uses.

use onestep_engine::DType;

use super::domain::{Domain, Strides};
use super::program::{Home, Program, Reading, Step, View};

/// When a register is read for the last time: by the step of this position, or at the end.
const END: usize = usize::MAX;

/// Gives each register its home: where a store puts it anyway, or a tile of scratch memory that no
/// live register uses. Loads are read where they lie unless a store could overwrite them first.
pub(super) fn assign(program: &mut Program) {
    let last_use = last_uses(program);
    let defined_at = definitions(program);
    settle_loads(program, &last_use);
    settle_stores(program, &last_use, &defined_at);
    settle_slots(program, &last_use);
}

/// The position of each register's last use; `None` where there is none.
fn last_uses(program: &Program) -> Vec<Option<usize>> {
    let mut last_use = vec![None; program.registers()];
    for (position, (_, step)) in program.steps.iter().enumerate() {
        for register in step.registers() {
            last_use[register] = Some(position);
        }
    }
    let outputs = program.stores.iter().map(|s| s.register);
    for register in outputs.chain(program.reductions.iter().map(|r| r.register)) {
        last_use[register] = Some(END);
    }
    last_use
}

/// The position of each register's definition among the steps.
fn definitions(program: &Program) -> Vec<Option<usize>> {
    let mut defined_at = vec![None; program.registers()];
    for (position, (register, _)) in program.steps.iter().enumerate() {
        defined_at[*register] = Some(position);
    }
    defined_at
}

/// The bytes from the first to behind the last element of a view.
fn extent(domain: &Domain, view: &View) -> (usize, usize) {
    let last = |strides: &Strides| -> usize {
        domain.dims().iter().zip(strides).map(|(d, s)| (d - 1) * s).sum()
    };
    let start = view.address.offset;
    (start, start + (last(&view.strides) + 1) * view.dtype.size())
}

/// Whether two views share a byte.
fn overlap(domain: &Domain, a: &View, b: &View) -> bool {
    if a.address.base != b.address.base || domain.elements() == 0 {
        return false;
    }
    let ((a0, a1), (b0, b1)) = (extent(domain, a), extent(domain, b));
    a0 < b1 && b0 < a1
}

/// f32 loads are read in place, but for one that is stored itself while another store goes there.
fn settle_loads(program: &mut Program, last_use: &[Option<usize>]) {
    let (domain, stores) = (program.domain, &program.stores);
    for (register, step) in &mut program.steps {
        let Step::Load { view, how } = step else { continue };
        let outlives = last_use[*register] == Some(END);
        let clobbered = stores.iter().any(|store| overlap(&domain, &store.view, view));
        *how = match (view.dtype == DType::F32, outlives) {
            (true, true) if !clobbered => Reading::InPlace,
            (true, false) => Reading::AsNumber,
            _ => Reading::Copied,
        };
    }
}

/// A register is computed where its store puts it, unless a load from there is still to be read.
fn settle_stores(program: &mut Program, last_use: &[Option<usize>], defined_at: &[Option<usize>]) {
    let Program { domain, steps, stores, homes, .. } = program;
    for (index, store) in stores.iter_mut().enumerate() {
        let Some(position) = defined_at[store.register] else { continue };
        let computed = !matches!(steps[position].1, Step::Load { .. });
        let plain = store.view.contiguous && store.view.dtype == DType::F32;
        let safe = steps.iter().enumerate().all(|(loaded_at, (register, step))| match step {
            Step::Load { view, .. } if overlap(domain, view, &store.view) => {
                loaded_at < position && last_use[*register].is_none_or(|last| last <= position)
            }
            _ => true,
        });
        if computed && plain && safe && homes[store.register].is_none() {
            homes[store.register] = Some(Home::Store(index));
            store.in_place = true;
            store.fresh = !steps.iter().any(|(_, step)| {
                matches!(step, Step::Load { view, .. } if overlap(domain, view, &store.view))
            });
        }
    }
}

/// The others share tiles of scratch memory. A result may take the tile of an operand that is
/// read for the last time.
fn settle_slots(program: &mut Program, last_use: &[Option<usize>]) {
    let mut free: Vec<usize> = Vec::new();
    for (position, (register, step)) in program.steps.iter().enumerate() {
        for source in step.registers() {
            let done = last_use[source] == Some(position);
            if let (true, Some(Home::Slot(slot))) = (done, program.homes[source])
                && !free.contains(&slot)
            {
                free.push(slot);
            }
        }
        let stays =
            matches!(step, Step::Load { view, how } if view.contiguous && *how != Reading::Copied);
        if program.homes[*register].is_none() && !stays {
            let slot = free.pop().unwrap_or_else(|| {
                program.slots += 1;
                program.slots - 1
            });
            program.homes[*register] = Some(Home::Slot(slot));
            if last_use[*register].is_none() {
                free.push(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use onestep_engine::ops::{Binary, Unary};
    use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place, Region};
    use onestep_engine::{Shape, Type};

    use super::super::lower::lower;
    use super::*;
    use crate::cpu_kernel::Regions;

    fn place(offset: usize) -> Place {
        Place::contiguous(Region::Arena, offset, &Type::f32(Shape::from([1000])))
    }

    fn program(code: Vec<Instruction>, outputs: Vec<(usize, Place)>) -> Program {
        let outputs = outputs
            .into_iter()
            .map(|(register, place)| FusedOutput { register, place, reduce: None })
            .collect();
        let fused = Fused { domain: Shape::from([1000]), code, outputs };
        lower(&fused, Regions::new(0, 0, 0)).unwrap()
    }

    #[test]
    fn an_update_in_place_needs_no_tiles() {
        let p = program(
            vec![
                Instruction::Load(place(0)),
                Instruction::Load(place(4000)),
                Instruction::Splat(0.1),
                Instruction::Binary(Binary::Mul, 1, 2),
                Instruction::Binary(Binary::Sub, 0, 3),
            ],
            vec![(4, place(0))],
        );
        assert_eq!(p.slots, 0, "the product joins the difference, which is stored at once");
        assert!(p.stores[0].in_place && !p.stores[0].fresh);
    }

    #[test]
    fn a_store_waits_for_the_loads_it_overwrites() {
        let p = program(
            vec![
                Instruction::Load(place(0)),
                Instruction::Unary(Unary::Exp, 0),
                Instruction::Binary(Binary::Add, 0, 1),
            ],
            vec![(1, place(0)), (2, place(4000))],
        );
        assert!(!p.stores[0].in_place, "register 0 is read after register 1 is computed");
        assert!(p.stores[1].in_place && p.stores[1].fresh);
    }

    #[test]
    fn long_chains_use_few_tiles() {
        let mut code = vec![Instruction::Load(place(0))];
        code.extend((0..50).map(|i| Instruction::Unary(Unary::Exp, i)));
        assert_eq!(program(code, vec![(50, place(4000))]).slots, 1);
    }
}
