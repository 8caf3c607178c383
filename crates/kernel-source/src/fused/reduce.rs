//! Reductions at the end of a fused program, in one launch or two.

use onestep_engine::DType;
use onestep_engine::ops::ReduceKind;
use onestep_engine::plan::{Fused, FusedOutput};

use super::code::{Code, combined, identity, index};
use super::space::{Output, Space};
use super::{THREADS, places, unfold};
use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::{Draft, KernelSource, Launches};
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

    /// The kernel of these statements.
    fn finish(
        &self,
        kind: &'static str,
        arguments: Arguments,
        body: String,
        dialect: Dialect,
    ) -> Result<KernelSource, SourceError> {
        let (arguments, groups, shared_bytes) =
            (arguments.into_all(), self.groups(), self.shared().0);
        Draft { kind, arguments, threads: THREADS, groups, shared_bytes, body }.finish(dialect)
    }

    /// Bytes of shared memory, and its declaration.
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
    let cut = Cut::new(&space.dims, &outputs[0].1.kept);
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
    let stage = Stage { fused, space, outputs, stores, cut, parts };
    let body = stage.body(&mut arguments);
    launches.kernels.push(cut.finish("reduce", arguments, body, dialect)?);
    if in_two {
        launches.scratch += outputs.len() * cut.cells * cut.chunks * 4;
        let places = outputs.iter().map(|(output, _)| &output.place);
        let mut arguments = Arguments::new(places, 1, dialect.limits())?;
        let parts = arguments.scratch(first, DType::F32, Access::Read);
        let joining = Cut::joining(cut.cells, cut.chunks);
        let body = stage.joined(&joining, &parts, &mut arguments);
        launches.kernels.push(joining.finish("join_chunks", arguments, body, dialect)?);
    }
    Ok(())
}

/// Reductions that keep the same axes, with stores.
struct Stage<'a> {
    fused: &'a Fused,
    space: &'a Space,
    outputs: &'a [Target<'a>],
    stores: &'a [Target<'a>],
    cut: Cut,
    /// Where what each chunk has goes, where a second launch joins them.
    parts: Option<Pointer>,
}

impl Stage<'_> {
    /// The axes that the results have, or those that they do not have.
    fn axes(&self, kept: bool) -> Vec<(usize, usize)> {
        let all = self.space.dims.iter().copied().enumerate();
        all.filter(|(axis, _)| self.outputs[0].1.kept[*axis] == kept).collect()
    }

    fn body(&self, arguments: &mut Arguments) -> String {
        let Cut { cells, elements, lanes, chunks, .. } = self.cut;
        let mut body = self.cut.shared().1 + &self.cut.begin();
        for (at, (output, _)) in self.outputs.iter().enumerate() {
            body += &format!("  float s{at} = {};\n", kind(output).1);
        }
        let length = elements.div_ceil(chunks);
        let last = format!("(chunk + 1u) * {length}u");
        body += &format!("  if (cell < {cells}u) {{\n{}", unfold("    ", "cell", &self.axes(true)));
        body += &format!(
            "    const uint last = {last} < {elements}u ? {last} : {elements}u;\n    \
             for (uint e = chunk * {length}u + lane; e < last; e += {lanes}u) {{\n{}    }}\n  }}\n",
            self.element(arguments)
        );
        for (at, (output, _)) in self.outputs.iter().enumerate() {
            body += &self.cut.join(at, kind(output).0);
        }
        body += &format!("  if (lane == 0u && cell < {cells}u) {{\n");
        body += &match self.parts {
            None => self.results(elements, arguments),
            Some(parts) => {
                let each = (0..self.outputs.len()).map(|at| {
                    let to = format!("{}u + cell * {chunks}u + chunk", at * cells * chunks);
                    format!("    {}\n", parts.store(&to, &format!("s{at}")))
                });
                each.collect()
            }
        };
        body + "  }\n"
    }

    /// What is done with element `e` of a cell.
    fn element(&self, arguments: &mut Arguments) -> String {
        let all = self.outputs.iter().chain(self.stores);
        let roots = all.map(|(output, _)| output.register);
        let code = Code::new(self.fused, self.space, roots, arguments);
        let mut text = unfold("      ", "e", &self.axes(false));
        let position = index(&row_major(&self.space.dims));
        text += &format!("      const uint i = {position};\n      (void)i;\n");
        text += &code.statements("      ");
        for (at, (output, _)) in self.outputs.iter().enumerate() {
            let next =
                combined(kind(output).0, &format!("s{at}"), &format!("r{}", output.register));
            text += &format!("      s{at} = {next};\n");
        }
        for (output, at) in self.stores {
            let pointer = arguments.place(&output.place, Access::Write);
            let value = format!("r{}", output.register);
            text += &format!("      {}\n", pointer.store(&index(&at.strides), &value));
        }
        text
    }

    /// The statements that store the finished elements of a cell.
    fn results(&self, count: usize, arguments: &mut Arguments) -> String {
        let mut text = unfold("    ", "cell", &self.axes(true));
        for (at, (output, place)) in self.outputs.iter().enumerate() {
            let statement = result(output, place, &format!("s{at}"), count, arguments);
            text += &format!("    {statement}\n");
        }
        text
    }

    /// The launch that joins the chunks.
    fn joined(&self, own: &Cut, parts: &Pointer, arguments: &mut Arguments) -> String {
        let Cut { cells, elements, chunks, .. } = self.cut;
        let mut body = own.shared().1 + &own.begin() + "  (void)chunk;\n";
        for (at, (output, _)) in self.outputs.iter().enumerate() {
            let (kind, identity) = kind(output);
            let from = format!("{}u + cell * {chunks}u + e", at * cells * chunks);
            let next = combined(kind, &format!("s{at}"), &parts.load(&from));
            body += &format!(
                "  float s{at} = {identity};\n  if (cell < {cells}u) {{\n    \
                 for (uint e = lane; e < {chunks}u; e += {}u) s{at} = {next};\n  }}\n",
                own.lanes
            );
            body += &own.join(at, kind);
        }
        body += &format!("  if (lane == 0u && cell < {cells}u) {{\n");
        body + &self.results(elements, arguments) + "  }\n"
    }
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
