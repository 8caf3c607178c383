//! Gradients joined into the flat vector of their group.

use onestep_engine::plan::Place;

use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::fused::{index, merge, unfold};
use crate::kernel::{Draft, KernelSource, Launches};
use crate::places::Arguments;

/// Threads of a group.
const THREADS: usize = 256;

/// The kernels that copy tensors one behind the other into a flat vector: as few as the platform's limit of
/// arguments allows, whatever the number of tensors. What is left of `flat` behind them stays as it is.
///
/// # Errors
/// The tensors do not fit into the vector.
pub fn join(parts: &[Place], flat: &Place, dialect: Dialect) -> Result<Launches, SourceError> {
    let elements: usize = parts.iter().map(|part| part.shape.elements()).sum();
    if !flat.is_contiguous() || elements > flat.shape.elements() {
        let what = format!("{elements} elements joined into {}", flat.shape);
        return Err(SourceError::broken(what));
    }
    let parts: Vec<&Place> = parts.iter().filter(|part| part.shape.elements() > 0).collect();
    // One argument is the vector. More in one kernel would be chosen among for longer than a launch takes.
    let most = (dialect.limits().arguments - 1).min(30);
    let (mut launches, mut first) = (Launches::default(), 0);
    for parts in parts.chunks(most) {
        launches.kernels.push(one(parts, flat, first, dialect)?);
        first += parts.iter().map(|part| part.shape.elements()).sum::<usize>();
    }
    Ok(launches)
}

fn one(
    parts: &[&Place],
    flat: &Place,
    first: usize,
    dialect: Dialect,
) -> Result<KernelSource, SourceError> {
    let places = parts.iter().copied().chain([flat]);
    let mut arguments = Arguments::new(places, 0, dialect.limits())?;
    let mut begin = 0;
    let mut choice = String::new();
    for part in parts {
        let pointer = arguments.place(part, Access::Read);
        let mut strides = [part.strides().to_vec()];
        let dims = merge(part.shape.dims(), &mut strides);
        let end = begin + part.shape.elements();
        let axes: Vec<(usize, usize)> = dims.iter().copied().enumerate().collect();
        choice +=
            &format!("  if (i >= {begin}u && i < {end}u) {{\n    const uint e = i - {begin}u;\n");
        choice += "    (void)e;\n";
        choice += &unfold("    ", "e", &axes);
        choice += &format!("    value = {};\n  }}\n", pointer.load(&index(&strides[0])));
        begin = end;
    }
    let out = arguments.place(flat, Access::Write);
    let body = format!(
        "  const uint i = group * {THREADS}u + worker;\n  if (i >= {begin}u) return;\n  \
         float value = 0.0f;\n{choice}  {}\n",
        out.store(&format!("{first}u + i"), "value")
    );
    let draft = Draft {
        kind: "join",
        arguments: arguments.into_all(),
        threads: THREADS,
        groups: begin.div_ceil(THREADS),
        shared_bytes: 0,
        body,
    };
    draft.finish(dialect)
}
