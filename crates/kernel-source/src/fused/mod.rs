//! Fused elementwise programs with stores and reductions.
//!
//! Without reductions a thread computes an element. With them the elements are cut into *cells*, one for each
//! element of the results, and each cell into *chunks*; a group takes one chunk of several cells, several
//! threads to a cell. A second launch joins the chunks, in order. How it is cut follows from the shapes alone, so
//! that sums are the same bits each time. Reductions over other axes are launches of their own; stores come with
//! the last, since they may overwrite what the others read.

mod code;
mod reduce;
mod space;

pub(crate) use code::{combined, index};
pub(crate) use reduce::below;
pub(crate) use space::merge;

use onestep_engine::plan::{Fused, Instruction, Place};

use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::{Draft, KernelSource, Launches};
use crate::places::Arguments;
use code::Code;
use space::Space;

/// Threads of a group.
const THREADS: usize = 256;

/// The kernels of a fused program.
pub(crate) fn print(fused: &Fused, dialect: Dialect) -> Result<Launches, SourceError> {
    check(fused)?;
    let space = Space::new(fused)?;
    let mut launches = Launches::default();
    let kinds = reduce::Kinds::of(fused, &space);
    for (at, outputs) in kinds.each.iter().enumerate() {
        let stores = if at + 1 == kinds.each.len() { &kinds.stores[..] } else { &[] };
        reduce::print(fused, &space, outputs, stores, dialect, &mut launches)?;
    }
    if kinds.each.is_empty() && space.elements() > 0 {
        launches.kernels.push(elementwise(fused, &space, dialect)?);
    }
    Ok(launches)
}

/// Each operand must be defined before its use.
fn check(fused: &Fused) -> Result<(), SourceError> {
    for (at, instruction) in fused.code.iter().enumerate() {
        if instruction.operands().any(|operand| operand >= at) {
            return Err(SourceError::broken(format!("register {at} is used too early")));
        }
    }
    if fused.outputs.iter().any(|o| o.register >= fused.code.len()) {
        return Err(SourceError::broken("an output is not defined"));
    }
    if fused.domain.elements() > u32::MAX as usize {
        return Err(SourceError::broken(format!("{} has more than 2^32 elements", fused.domain)));
    }
    let stores = fused.outputs.iter().filter(|o| o.reduce.is_none());
    match stores.map(|o| &o.place.shape).find(|shape| **shape != fused.domain) {
        Some(shape) => Err(SourceError::broken(format!("a store {shape} over {}", fused.domain))),
        None => Ok(()),
    }
}

/// The places of a program.
fn places(fused: &Fused) -> impl Iterator<Item = &Place> {
    let loads = fused.code.iter().filter_map(|i| match i {
        Instruction::Load(place) => Some(place),
        _ => None,
    });
    loads.chain(fused.outputs.iter().map(|o| &o.place))
}

fn elementwise(
    fused: &Fused,
    space: &Space,
    dialect: Dialect,
) -> Result<KernelSource, SourceError> {
    let mut arguments = Arguments::new(places(fused), 1, dialect.limits())?;
    let roots = fused.outputs.iter().map(|o| o.register);
    let code = Code::new(fused, space, roots, &mut arguments);
    let count = space.elements();
    let mut body =
        format!("  const uint i = group * {THREADS}u + worker;\n  if (i >= {count}u) return;\n");
    body += &unfold("  ", "i", &axes(&space.dims));
    body += &code.statements("  ");
    for (output, at) in fused.outputs.iter().zip(&space.outputs) {
        let pointer = arguments.place(&output.place, Access::Write);
        let value = format!("r{}", output.register);
        body += &format!("  {}\n", pointer.store(&index(&at.strides), &value));
    }
    let draft = Draft {
        kind: "map",
        arguments: arguments.into_all(),
        threads: THREADS,
        groups: count.div_ceil(THREADS),
        shared_bytes: 0,
        body,
    };
    draft.finish(dialect)
}

/// All axes with their sizes.
fn axes(dims: &[usize]) -> Vec<(usize, usize)> {
    dims.iter().copied().enumerate().collect()
}

/// The statements that set `xN` for each axis `N` from a row-major position among them.
pub(crate) fn unfold(indent: &str, position: &str, axes: &[(usize, usize)]) -> String {
    let mut text = String::new();
    let mut rest = position.to_owned();
    for (at, &(axis, size)) in axes.iter().enumerate().rev() {
        if at == 0 {
            text += &format!("{indent}const uint x{axis} = {rest};\n");
        } else {
            text += &format!("{indent}const uint x{axis} = {rest} % {size}u;\n");
            text += &format!("{indent}const uint q{axis} = {rest} / {size}u;\n");
            rest = format!("q{axis}");
        }
    }
    text
}
