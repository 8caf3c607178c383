//! Reductions at the end of a fused program, in one launch or two.

use onestep_engine::DType;
use onestep_engine::ops::ReduceKind;
use onestep_engine::plan::{Fused, FusedOutput};

use super::code::{Code, combined, identity, index};
use super::space::{Output, Space};
use super::{THREADS, places, unfold};
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::{Access, Draft, Launches};
use crate::places::{Arguments, Pointer};

/// Groups that keep a large device busy.
const GROUPS: usize = 512;
/// Fewer elements a thread are not worth a second launch.
const LEAST: usize = 8;
/// More elements a thread lose digits.
const MOST: usize = 2048;
/// Cells side by side in memory that a group takes.
const COLUMNS: usize = 32;

/// An output of a program with its strides.
pub(super) type Target<'a> = (&'a FusedOutput, &'a Output);

/// The outputs of a program by what is done with them.
pub(super) struct Kinds<'a> {
    /// Reductions that keep the same axes stand together.
    pub(super) each: Vec<Vec<Target<'a>>>,
    pub(super) stores: Vec<Target<'a>>,
}

impl<'a> Kinds<'a> {
    pub(super) fn of(fused: &'a Fused, space: &'a Space) -> Self {
        let mut kinds = Kinds { each: Vec::new(), stores: Vec::new() };
        let outputs = fused.outputs.iter().zip(&space.outputs);
        for (output, at) in outputs.filter(|(o, _)| o.place.shape.elements() > 0) {
            if output.reduce.is_none() {
                kinds.stores.push((output, at));
                continue;
            }
            match kinds.each.iter_mut().find(|kind| kind[0].1.kept == at.kept) {
                Some(kind) => kind.push((output, at)),
                None => kinds.each.push(vec![(output, at)]),
            }
        }
        kinds
    }
}

/// How the elements are cut.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// Elements of the results, and of each cell.
    cells: usize,
    elements: usize,
    /// Threads for each cell, and cells of a group.
    lanes: usize,
    columns: usize,
    /// Cells lie side by side, else the elements of each.
    by_columns: bool,
    chunks: usize,
}

impl Cut {
    fn new(dims: &[usize], kept: &[bool]) -> Cut {
        let count = |wanted: bool| -> usize {
            dims.iter().zip(kept).filter(|(_, kept)| **kept == wanted).map(|(dim, _)| dim).product()
        };
        let (cells, elements) = (count(true), count(false));
        let by_columns = kept.last().copied().unwrap_or(false);
        let lanes = if by_columns {
            let columns = cells.clamp(1, COLUMNS).next_power_of_two();
            below(elements).min(THREADS / columns)
        } else {
            below(elements).min(THREADS)
        };
        let columns = THREADS / lanes;
        let groups = cells.div_ceil(columns).max(1);
        let useful = (elements / (lanes * LEAST)).max(1);
        let chunks = GROUPS.div_ceil(groups).min(useful).max(elements.div_ceil(lanes * MOST));
        Cut { cells, elements, lanes, columns, by_columns, chunks: chunks.max(1) }
    }

    /// For the chunks of each cell, which lie side by side.
    fn joining(cells: usize, chunks: usize) -> Cut {
        let lanes = below(chunks).min(COLUMNS);
        let columns = THREADS / lanes;
        Cut { cells, elements: chunks, lanes, columns, by_columns: false, chunks: 1 }
    }

    fn groups(&self) -> usize {
        self.cells.div_ceil(self.columns) * self.chunks
    }

    /// The statements that set `cell`, `lane` and `chunk`.
    fn begin(&self) -> String {
        let Cut { lanes, columns, chunks, .. } = self;
        let (cell, lane) = match self.by_columns {
            true => (format!("worker % {columns}u"), format!("worker / {columns}u")),
            false => (format!("worker / {lanes}u"), format!("worker % {lanes}u")),
        };
        let mut text = match chunks {
            1 => "  const uint chunk = 0u;\n".to_owned(),
            _ => format!("  const uint chunk = group % {chunks}u;\n"),
        };
        let block = if *chunks == 1 { "group".into() } else { format!("(group / {chunks}u)") };
        text += &format!("  const uint cell = {block} * {columns}u + {cell};\n");
        text + &format!("  const uint lane = {lane};\n")
    }

    /// The statements that leave in `sN` of the first lane what all lanes have there.
    fn join(&self, at: usize, kind: ReduceKind) -> String {
        let stride = if self.by_columns { self.columns } else { 1 };
        let mut text = String::new();
        if self.lanes == 1 {
            return text;
        }
        text += &format!("  part[worker] = s{at};\n  BARRIER();\n");
        text += &format!("  for (uint reach = {}u; reach > 0u; reach /= 2u) {{\n", self.lanes / 2);
        let both = combined(kind, "part[worker]", &format!("part[worker + reach * {stride}u]"));
        text += &format!("    if (lane < reach) part[worker] = {both};\n    BARRIER();\n  }}\n");
        text + &format!("  s{at} = part[worker];\n  BARRIER();\n")
    }

    fn shared(&self) -> (usize, String) {
        match self.lanes {
            1 => (0, String::new()),
            _ => (THREADS * 4, format!("  SHARED float part[{THREADS}];\n")),
        }
    }
}

/// The largest power of two that is not above `n`, and at least 1.
pub(crate) fn below(n: usize) -> usize {
    1 << n.max(1).ilog2()
}

/// Appends the launches of reductions that keep the same axes, with stores.
pub(super) fn print(
    fused: &Fused,
    space: &Space,
    outputs: &[Target<'_>],
    stores: &[Target<'_>],
    dialect: Dialect,
    launches: &mut Launches,
) -> Result<(), SourceError> {
    let kept = &outputs[0].1.kept;
    let cut = Cut::new(&space.dims, kept);
    if cut.cells == 0 {
        return Ok(());
    }
    // A result on an operand must wait until all have read that.
    let read: Vec<_> = places(fused).take(places(fused).count() - fused.outputs.len()).collect();
    let waits = outputs.iter().any(|(o, _)| read.iter().any(|place| place.overlaps(&o.place)));
    let in_two = cut.chunks > 1 || waits;
    let first = launches.scratch;
    let mut arguments = Arguments::new(places(fused), 2, dialect.limits())?;
    let parts = in_two.then(|| arguments.scratch(first, DType::F32, Access::Write));
    let body = accumulate(fused, space, outputs, stores, &cut, parts, &mut arguments);
    let (shared_bytes, _) = cut.shared();
    let draft = Draft {
        kind: "reduce",
        arguments: arguments.into_all(),
        threads: THREADS,
        groups: cut.groups(),
        shared_bytes,
        body,
    };
    launches.kernels.push(draft.finish(dialect)?);
    if in_two {
        launches.scratch += outputs.len() * cut.cells * cut.chunks * 4;
        launches.kernels.push(finish(space, outputs, &cut, first, dialect)?);
    }
    Ok(())
}

fn accumulate(
    fused: &Fused,
    space: &Space,
    outputs: &[Target<'_>],
    stores: &[Target<'_>],
    cut: &Cut,
    parts: Option<Pointer>,
    arguments: &mut Arguments,
) -> String {
    let roots = outputs.iter().chain(stores).map(|(output, _)| output.register);
    let code = Code::new(fused, space, roots, arguments);
    let kept = &outputs[0].1.kept;
    let axes = |wanted: bool| -> Vec<(usize, usize)> {
        let all = space.dims.iter().copied().enumerate();
        all.filter(|(axis, _)| kept[*axis] == wanted).collect()
    };
    let mut body = cut.shared().1 + &cut.begin();
    for (at, (output, _)) in outputs.iter().enumerate() {
        body += &format!("  float s{at} = {};\n", kind(output).1);
    }
    let length = cut.elements.div_ceil(cut.chunks);
    body += &format!("  if (cell < {}u) {{\n", cut.cells);
    body += &unfold("    ", "cell", &axes(true));
    let last = format!("(chunk + 1u) * {length}u");
    body += &format!(
        "    const uint last = {last} < {0}u ? {last} : {0}u;\n    \
         for (uint e = chunk * {length}u + lane; e < last; e += {1}u) {{\n",
        cut.elements, cut.lanes
    );
    body += &unfold("      ", "e", &axes(false));
    body += &format!("      const uint i = {};\n      (void)i;\n", index(&row_major(&space.dims)));
    body += &code.statements("      ");
    for (at, (output, _)) in outputs.iter().enumerate() {
        let next = combined(kind(output).0, &format!("s{at}"), &format!("r{}", output.register));
        body += &format!("      s{at} = {next};\n");
    }
    for (output, at) in stores {
        let pointer = arguments.place(&output.place, Access::Write);
        let value = format!("r{}", output.register);
        body += &format!("      {}\n", pointer.store(&index(&at.strides), &value));
    }
    body += "    }\n  }\n";
    for (at, (output, _)) in outputs.iter().enumerate() {
        body += &cut.join(at, kind(output).0);
    }
    body += &format!("  if (lane == 0u && cell < {}u) {{\n", cut.cells);
    if parts.is_none() {
        body += &unfold("    ", "cell", &axes(true));
    }
    for (at, (output, place)) in outputs.iter().enumerate() {
        let text = match parts {
            Some(parts) => {
                let before = at * cut.cells * cut.chunks;
                let to = format!("{before}u + cell * {}u + chunk", cut.chunks);
                parts.store(&to, &format!("s{at}"))
            }
            None => result(output, place, &format!("s{at}"), cut.elements, arguments),
        };
        body += &format!("    {text}\n");
    }
    body + "  }\n"
}

/// The launch that joins the chunks.
fn finish(
    space: &Space,
    outputs: &[Target<'_>],
    cut: &Cut,
    scratch: usize,
    dialect: Dialect,
) -> Result<crate::kernel::KernelSource, SourceError> {
    let own = Cut::joining(cut.cells, cut.chunks);
    let places = outputs.iter().map(|(output, _)| &output.place);
    let mut arguments = Arguments::new(places, 1, dialect.limits())?;
    let parts = arguments.scratch(scratch, DType::F32, Access::Read);
    let mut body = own.shared().1 + &own.begin();
    body += "  (void)chunk;\n";
    for (at, (output, _)) in outputs.iter().enumerate() {
        let (kind, identity) = kind(output);
        let before = at * cut.cells * cut.chunks;
        let from = parts.load(&format!("{before}u + cell * {}u + e", cut.chunks));
        let next = combined(kind, &format!("s{at}"), &from);
        body += &format!(
            "  float s{at} = {identity};\n  if (cell < {}u) {{\n    \
             for (uint e = lane; e < {}u; e += {}u) s{at} = {next};\n  }}\n",
            cut.cells, cut.chunks, own.lanes
        );
        body += &own.join(at, kind);
    }
    body += &format!("  if (lane == 0u && cell < {}u) {{\n", cut.cells);
    let kept = space.dims.iter().copied().enumerate().filter(|(axis, _)| outputs[0].1.kept[*axis]);
    body += &unfold("    ", "cell", &kept.collect::<Vec<_>>());
    for (at, (output, place)) in outputs.iter().enumerate() {
        let text = result(output, place, &format!("s{at}"), cut.elements, &mut arguments);
        body += &format!("    {text}\n");
    }
    body += "  }\n";
    let draft = Draft {
        kind: "join_chunks",
        arguments: arguments.into_all(),
        threads: THREADS,
        groups: own.groups(),
        shared_bytes: own.shared().0,
        body,
    };
    draft.finish(dialect)
}

/// The statement that stores a finished element.
fn result(
    output: &FusedOutput,
    at: &Output,
    value: &str,
    count: usize,
    arguments: &mut Arguments,
) -> String {
    let pointer = arguments.place(&output.place, Access::Write);
    match kind(output).0 {
        ReduceKind::Mean => pointer.store(&index(&at.strides), &format!("{value} / {count}.0f")),
        _ => pointer.store(&index(&at.strides), value),
    }
}

/// The kind of a reduction and what it begins with.
fn kind(output: &FusedOutput) -> (ReduceKind, &'static str) {
    let kind = output.reduce.unwrap_or(ReduceKind::Sum);
    (kind, identity(kind))
}

fn row_major(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (1..dims.len()).rev() {
        strides[axis - 1] = strides[axis] * dims[axis];
    }
    strides
}
