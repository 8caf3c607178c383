//! Rows added into a table by index, without atomics, so that the sums repeat to the bit.
//!
//! The indices are sorted stably with their positions: in blocks of a group by counting, then by merging runs of
//! twice the length, in which each element finds its place by bisection. Equal indices then lie side by side in
//! the order of their positions, and one group adds all that go to the same row.

use onestep_engine::DType;
use onestep_engine::plan::{Fused, FusedOutput, Instruction, Place};

use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::fused;
use crate::kernel::{Draft, KernelSource, Launches};
use crate::places::{Arguments, Pointer};

/// Threads of a group, and indices of a block that is sorted at once.
const THREADS: usize = 256;
/// Threads that share the updates of one element.
const LANES: usize = 4;
/// Columns of a group.
const COLUMNS: usize = THREADS / LANES;

/// `out[indices[n]] += updates[n]`, beginning with zeros; indices of no row are dropped.
pub(crate) fn print(
    rows: usize,
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    let [indices, updates] = inputs else {
        return Err(SourceError::broken("a scatter needs two operands"));
    };
    let count = indices.shape.elements();
    if rows > i32::MAX as usize || count > i32::MAX as usize {
        return Err(SourceError::broken(format!("a scatter of {count} updates into {rows} rows")));
    }
    let zeros = Fused {
        domain: output.shape.clone(),
        code: vec![Instruction::Splat(0.0)],
        outputs: vec![FusedOutput { register: 0, place: output.clone(), reduce: None }],
    };
    let mut launches = fused::print(&zeros, dialect)?;
    if count == 0 || output.shape.elements() == 0 {
        return Ok(launches);
    }
    let sort = Sort { indices, rows, count, dialect };
    // Two pairs of keys and positions, of which the sort goes from one to the other.
    let (mut from, mut to) = ([0, count * 4], [count * 8, count * 12]);
    launches.scratch = count * 16;
    launches.kernels.push(sort.blocks(from)?);
    let mut run = THREADS;
    while run < count {
        launches.kernels.push(sort.merge(run, from, to)?);
        (from, to) = (to, from);
        run *= 2;
    }
    let width = output.shape.elements() / rows;
    launches.kernels.push(sort.add(updates, output, width, from)?);
    Ok(launches)
}

struct Sort<'a> {
    indices: &'a Place,
    rows: usize,
    count: usize,
    dialect: Dialect,
}

/// Pointers to keys and positions.
fn pair(arguments: &mut Arguments, at: [usize; 2], access: Access) -> [Pointer; 2] {
    at.map(|offset| arguments.scratch(offset, DType::I32, access))
}

impl Sort<'_> {
    fn finish(
        &self,
        kind: &'static str,
        arguments: Arguments,
        (groups, shared_bytes): (usize, usize),
        body: String,
    ) -> Result<KernelSource, SourceError> {
        let arguments = arguments.into_all();
        Draft { kind, arguments, threads: THREADS, groups, shared_bytes, body }.finish(self.dialect)
    }

    /// Sorts each block: the place of an element is the number of those before it.
    fn blocks(&self, to: [usize; 2]) -> Result<KernelSource, SourceError> {
        let Sort { rows, count, .. } = self;
        let places = [self.indices].into_iter();
        let mut arguments = Arguments::new(places, 2, self.dialect.limits())?;
        let indices = arguments.place(self.indices, Access::Read).at("i");
        let [keys, positions] = pair(&mut arguments, to, Access::Write);
        let body = format!(
            "  SHARED int block[{THREADS}];\n  const uint i = group * {THREADS}u + worker;\n  \
             const int index = i < {count}u ? (int){indices} : 0;\n  \
             const int key = i >= {count}u ? 2147483647 : index >= 0 && index < {rows} ? index : {rows};\n  \
             block[worker] = key;\n  BARRIER();\n  uint rank = group * {THREADS}u;\n  \
             for (uint o = 0u; o < {THREADS}u; ++o) {{\n    \
             rank += block[o] < key || (block[o] == key && o < worker) ? 1u : 0u;\n  }}\n  \
             if (i < {count}u) {{ {} = key; {} = (int)i; }}\n",
            keys.at("rank"),
            positions.at("rank")
        );
        self.finish("sort", arguments, (count.div_ceil(THREADS), THREADS * 4), body)
    }

    /// Merges neighbouring runs: before an element stand those of its own run and the lesser of the other.
    fn merge(
        &self,
        run: usize,
        from: [usize; 2],
        to: [usize; 2],
    ) -> Result<KernelSource, SourceError> {
        let count = self.count;
        let mut arguments = Arguments::default();
        let [keys, positions] = pair(&mut arguments, from, Access::Read);
        let [new_keys, new_positions] = pair(&mut arguments, to, Access::Write);
        let body = format!(
            "  const uint i = group * {THREADS}u + worker;\n  if (i >= {count}u) return;\n  \
             const int key = {own};\n  const uint which = i / {run}u, other = (which ^ 1u) * {run}u;\n  \
             const uint first = other < {count}u ? other : {count}u;\n  uint low = first, high = \
             {count}u - first < {run}u ? {count}u : first + {run}u;\n  while (low < high) {{\n    \
             const uint middle = low + (high - low) / 2u;\n    const int there = {there};\n    \
             if (there < key || (there == key && (which & 1u) != 0u)) low = middle + 1u; else high = middle;\n  \
             }}\n  const uint place = which / 2u * {both}u + i % {run}u + (low - first);\n  \
             {new_key} = key;\n  {new_position} = {position};\n",
            own = keys.at("i"),
            there = keys.at("middle"),
            both = 2 * run,
            new_key = new_keys.at("place"),
            new_position = new_positions.at("place"),
            position = positions.at("i"),
        );
        self.finish("merge", arguments, (count.div_ceil(THREADS), 0), body)
    }

    /// Adds what goes to the same row. A group begins at each position of the sorted indices, and ends at once
    /// where that is not the first of its row.
    fn add(
        &self,
        updates: &Place,
        output: &Place,
        width: usize,
        from: [usize; 2],
    ) -> Result<KernelSource, SourceError> {
        let Sort { rows, count, .. } = self;
        let places = [updates, output].into_iter();
        let mut arguments = Arguments::new(places, 2, self.dialect.limits())?;
        let updates = arguments.place(updates, Access::Read);
        let [keys, positions] = pair(&mut arguments, from, Access::Read);
        let out = arguments.place(output, Access::Write);
        let blocks = width.div_ceil(COLUMNS);
        let body = format!(
            "  SHARED float part[{THREADS}];\n  const uint first = group / {blocks}u;\n  \
             const int row = {row};\n  if (row == {rows}) return;\n  \
             if (first > 0u && {before} == row) return;\n  \
             const uint lane = worker / {COLUMNS}u, c = group % {blocks}u * {COLUMNS}u + worker % {COLUMNS}u;\n  \
             float sum = 0.0f;\n  if (c < {width}u) {{\n    \
             for (uint n = first + lane; n < {count}u && {key} == row; n += {LANES}u) {{\n      \
             sum += {update};\n    }}\n  }}\n  part[worker] = sum;\n  BARRIER();\n  \
             if (lane == 0u && c < {width}u) {{\n    \
             for (uint l = 1u; l < {LANES}u; ++l) sum += part[worker + l * {COLUMNS}u];\n    {store}\n  }}\n",
            row = keys.at("first"),
            before = keys.at("first - 1u"),
            key = keys.at("n"),
            update = updates.load(&format!("(uint){} * {width}u + c", positions.at("n"))),
            store = out.store(&format!("(uint)row * {width}u + c"), "sum"),
        );
        self.finish("scatter", arguments, (count * blocks, THREADS * 4), body)
    }
}
