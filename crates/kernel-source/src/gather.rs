//! Rows of a table by index.

use onestep_engine::plan::Place;

use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::{Draft, Launches};
use crate::places::Arguments;

/// Threads of a group.
const THREADS: usize = 256;

/// `out[n] = table[indices[n]]`, NaN where there is no such row.
pub(crate) fn print(
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    let [table, indices] = inputs else {
        return Err(SourceError::broken("a gather needs two operands"));
    };
    let rows = table.shape.dims().first().copied().unwrap_or(0);
    let (count, places) = (output.shape.elements(), [table, indices, output]);
    if count == 0 {
        return Ok(Launches::default());
    }
    if rows > i32::MAX as usize {
        return Err(SourceError::broken(format!("a table of {rows} rows")));
    }
    let mut arguments = Arguments::new(places.into_iter(), 0, dialect.limits())?;
    let [table, indices] = [table, indices].map(|place| arguments.place(place, Access::Read));
    let out = arguments.place(output, Access::Write);
    let width = count / places[1].shape.elements().max(1);
    let value = format!(
        "index >= 0 && index < {rows} ? {} : nan_value()",
        table.load(&format!(
            "(uint)(index >= 0 && index < {rows} ? index : 0) * {width}u + i % {width}u"
        ))
    );
    let body = format!(
        "  const uint i = group * {THREADS}u + worker;\n  if (i >= {count}u) return;\n  \
         const int index = (int){};\n  const float value = {value};\n  {}\n",
        indices.at(&format!("i / {width}u")),
        out.store("i", "value")
    );
    let draft = Draft {
        kind: "gather",
        arguments: arguments.into_all(),
        threads: THREADS,
        groups: count.div_ceil(THREADS),
        shared_bytes: 0,
        body,
    };
    draft.finish(dialect).map(Launches::one)
}
