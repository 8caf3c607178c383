//! From groups of items to kernels.

use std::collections::HashMap;

use onestep_memory::Shape;

use super::code::{Fused, FusedOutput, Instruction, Register};
use super::fuse::Groups;
use super::ids::{GroupId, ItemId};
use super::items::{Item, ItemKind, Items};
use super::kernel::{Composite, ConvGradients, ConvMoments, Kernel, Work, squared_deviations};
use super::pairing::CompositeKind;
use super::place::{Place, Region};
use super::storage::{Location, Storages};
use super::view::View;
use crate::error::EngineError;
use crate::ops::Op;

/// What is known when kernels are written down.
pub(super) struct Emitter<'a> {
    pub(super) items: &'a Items,
    pub(super) groups: &'a Groups,
    pub(super) storages: &'a Storages,
    /// The arena offset of each storage in bytes.
    pub(super) offsets: &'a [usize],
}

impl Emitter<'_> {
    /// The kernels of one group.
    pub(super) fn group(&self, group: GroupId) -> Result<Vec<Kernel>, EngineError> {
        let members = &self.groups.members[group];
        let Some(&first) = members.first() else { return Ok(Vec::new()) };
        let item = &self.items.items[first];
        if let Some(kind) = self.groups.composite[group] {
            let work = Work::Composite(self.composite(kind, members)?);
            return Ok(vec![self.kernel(work, members)]);
        }
        match &item.kind {
            ItemKind::Opaque(op) => Ok(vec![self.kernel(self.op(op, first)?, members)]),
            ItemKind::Assemble { fill, windows } => self.assemble(first, item, *fill, windows),
            _ => Ok(vec![self.fused(members)?]),
        }
    }

    fn kernel(&self, work: Work, members: &[ItemId]) -> Kernel {
        let phases = members.iter().map(|&member| self.items.items[member].phase);
        let phase = phases.max().unwrap_or_default();
        Kernel { work, label: self.label(members), phase }
    }

    fn op(&self, op: &Op, index: ItemId) -> Result<Work, EngineError> {
        let inputs = self.operands(index)?;
        let output = self.result(index)?;
        Ok(match (op, &inputs[..]) {
            (Op::Variance(_), [x, centre]) => {
                Work::Fused(squared_deviations(x.clone(), centre, output))
            }
            _ => Work::Op { op: op.clone(), inputs, output },
        })
    }

    /// The places of an item's operands.
    fn operands(&self, index: ItemId) -> Result<Vec<Place>, EngineError> {
        self.items.items[index].operands.iter().map(|o| self.place(o)).collect()
    }

    /// The place of the whole of an item.
    fn result(&self, index: ItemId) -> Result<Place, EngineError> {
        self.place(&View::whole(index, &self.items.items[index].ty.shape))
    }

    fn composite(&self, kind: CompositeKind, members: &[ItemId]) -> Result<Composite, EngineError> {
        let op = |index: ItemId| match &self.items.items[index].kind {
            ItemKind::Opaque(op) => Some(op),
            _ => None,
        };
        // In topological order; gradients are in either.
        match (kind, members) {
            (CompositeKind::ConvMoments, &[conv, mean, variance]) => {
                if let (Some(Op::Conv(op)), [x, w]) = (op(conv), &self.operands(conv)?[..]) {
                    return Ok(Composite::ConvMoments(Box::new(ConvMoments {
                        window: op.window,
                        inputs: [x.clone(), w.clone()],
                        output: self.result(conv)?,
                        mean: self.result(mean)?,
                        deviations: self.result(variance)?,
                    })));
                }
            }
            (CompositeKind::ConvGradients, &[a, b]) => {
                let (dx, dw) =
                    if matches!(op(a), Some(Op::ConvInputGrad(_))) { (a, b) } else { (b, a) };
                let (of_input, of_weight) = (self.operands(dx)?, self.operands(dw)?);
                if let (Some(Op::ConvInputGrad(op)), [dy, w], [x, _]) =
                    (op(dx), &of_input[..], &of_weight[..])
                {
                    return Ok(Composite::ConvGradients(Box::new(ConvGradients {
                        window: op.window,
                        inputs: [x.clone(), w.clone()],
                        dy: dy.clone(),
                        dx: self.result(dx)?,
                        dw: self.result(dw)?,
                    })));
                }
            }
            _ => {}
        }
        Err(EngineError::Invariant { what: format!("a composite has other parts: {kind:?}") })
    }

    /// Where a view lies in memory.
    pub(super) fn place(&self, view: &View) -> Result<Place, EngineError> {
        let item = &self.items.items[view.item];
        let size = item.ty.dtype.size();
        let (region, base) = match (&item.kind, self.storages.of_item[view.item]) {
            (ItemKind::External(region, offset), _) => (*region, *offset),
            (_, Some(at)) => self.base(at, size),
            (_, None) => {
                let what = format!("`{}` is read but has no memory", item.label);
                return Err(EngineError::Invariant { what });
            }
        };
        let (shape, strides) = (view.shape.clone(), view.strides);
        Ok(Place {
            region,
            offset: base + view.offset * size,
            dtype: item.ty.dtype,
            shape,
            strides,
        })
    }

    fn base(&self, at: Location, element: usize) -> (Region, usize) {
        let within = at.offset * element;
        match self.storages.all[at.storage].state {
            Some(region) => (region, within),
            None => (Region::Arena, self.offsets[at.storage] + within),
        }
    }

    /// Copies of the parts that could not be computed in their windows.
    fn assemble(
        &self,
        index: ItemId,
        item: &Item,
        fill: Option<f32>,
        windows: &[View],
    ) -> Result<Vec<Kernel>, EngineError> {
        let mut kernels = Vec::new();
        let kernel = |fused| Kernel {
            work: Work::Fused(fused),
            label: item.label.clone(),
            phase: item.phase,
        };
        if let Some(value) = fill {
            let place = self.result(index)?;
            kernels.push(kernel(store(Instruction::Splat(value), place)));
        }
        for (operand, window) in item.operands.iter().zip(windows) {
            let place = self.place(window)?;
            let load = self.load(operand)?;
            if place.shape.elements() > 0 && load != Instruction::Load(place.clone()) {
                kernels.push(kernel(store(load, place)));
            }
        }
        Ok(kernels)
    }

    fn load(&self, view: &View) -> Result<Instruction, EngineError> {
        match self.items.items[view.item].kind {
            ItemKind::Number(number) => Ok(Instruction::Splat(number)),
            _ => Ok(Instruction::Load(self.place(view)?)),
        }
    }

    fn fused(&self, members: &[ItemId]) -> Result<Kernel, EngineError> {
        let domain = self.items.items[members[0]].domain().clone();
        let mut code = FusedCode { emitter: self, domain, code: Vec::new(), at: HashMap::new() };
        let mut outputs = Vec::new();
        for &member in members {
            let register = code.member(member)?;
            if let Some(output) = self.output(member, register)? {
                outputs.push(output);
            }
        }
        let fused = Fused { domain: code.domain, code: code.code, outputs };
        Ok(self.kernel(Work::Fused(fused), members))
    }

    fn output(
        &self,
        member: ItemId,
        register: Register,
    ) -> Result<Option<FusedOutput>, EngineError> {
        if self.storages.of_item[member].is_none() {
            return Ok(None);
        }
        let item = &self.items.items[member];
        let place = self.result(member)?;
        let reduce = match item.kind {
            ItemKind::Reduce(kind) => Some(kind),
            _ => None,
        };
        Ok(Some(FusedOutput { register, place, reduce }))
    }

    /// The labels of the members, each once.
    fn label(&self, members: &[ItemId]) -> String {
        let mut labels: Vec<&str> = Vec::new();
        for &member in members {
            let label = self.items.items[member].label.as_str();
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        labels.join(" + ")
    }
}

fn store(load: Instruction, place: Place) -> Fused {
    let domain = place.shape.clone();
    let outputs = vec![FusedOutput { register: 0, place, reduce: None }];
    Fused { domain, code: vec![load], outputs }
}

/// The instructions of a fused kernel as they are written.
struct FusedCode<'a> {
    emitter: &'a Emitter<'a>,
    domain: Shape,
    code: Vec<Instruction>,
    /// The register of each member.
    at: HashMap<ItemId, Register>,
}

impl FusedCode<'_> {
    /// The register that holds a member; for a reduction, the one that is reduced.
    fn member(&mut self, member: ItemId) -> Result<Register, EngineError> {
        let item = &self.emitter.items.items[member];
        let operands =
            item.operands.iter().map(|o| self.operand(o)).collect::<Result<Vec<_>, _>>()?;
        let instruction = match (&item.kind, operands.as_slice()) {
            (ItemKind::Map(Op::RandomUniform(random)), []) => {
                Instruction::Random { stream: random.stream }
            }
            (ItemKind::Map(Op::Unary(unary)), &[x]) => Instruction::Unary(*unary, x),
            (ItemKind::Map(Op::Binary(binary)), &[a, b]) => Instruction::Binary(*binary, a, b),
            (ItemKind::Map(Op::Compare(compare)), &[a, b]) => Instruction::Compare(*compare, a, b),
            (ItemKind::Map(Op::Select(_)), &[c, a, b]) => Instruction::Select(c, a, b),
            (ItemKind::Map(Op::Cast(cast)), &[x]) => Instruction::Round(cast.to, x),
            (ItemKind::Copy | ItemKind::Reduce(_), &[x]) => {
                self.at.insert(member, x);
                return Ok(x);
            }
            _ => {
                let what = format!("`{}` is not elementwise", item.label);
                return Err(EngineError::Invariant { what });
            }
        };
        let register = self.push(instruction);
        self.at.insert(member, register);
        Ok(register)
    }

    fn operand(&mut self, view: &View) -> Result<Register, EngineError> {
        let emitter = self.emitter;
        let is_result = !matches!(emitter.items.items[view.item].kind, ItemKind::Reduce(_));
        if let Some(&register) = self.at.get(&view.item).filter(|_| is_result) {
            return Ok(register);
        }
        let load = emitter.load(view)?;
        Ok(self.push(load))
    }

    /// Appends an instruction, or finds it where it stands already.
    fn push(&mut self, instruction: Instruction) -> Register {
        if let Some(register) = self.code.iter().position(|known| *known == instruction) {
            return register;
        }
        self.code.push(instruction);
        self.code.len() - 1
    }
}
