//! Softmax and its logarithm over the last axis.

use onestep_engine::ops::ReduceKind;
use onestep_engine::plan::Place;

use super::Rows;
use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::Launches;
use crate::places::{Arguments, Pointer};

/// The statements that set `most`, the largest element of a row, and `sum`, the sum of `e^(x - most)`.
pub(super) fn exponentials(rows: &Rows, x: &Pointer) -> String {
    let x = x.load("from + c");
    let mut body = "  float most = -infinity();\n".to_owned();
    body += &rows.columns(&format!("most = maximum(most, {x});"));
    body += &rows.together("most", ReduceKind::Max);
    body += "  float sum = 0.0f;\n";
    body += &rows.columns(&format!("sum += EXP({x} - most);"));
    body + &rows.together("sum", ReduceKind::Sum)
}

/// Softmax or, with `logarithm`, log-softmax.
pub(crate) fn print_softmax(
    logarithm: bool,
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    let [x] = inputs else { return Err(SourceError::broken("softmax needs one operand")) };
    let elements = output.shape.elements();
    if elements == 0 {
        return Ok(Launches::default());
    }
    let width = output.shape.dims().last().copied().unwrap_or(1);
    let rows = Rows::new(elements / width, width);
    let mut arguments = Arguments::new([x, output].into_iter(), 0, dialect.limits())?;
    let (x, y) = (arguments.place(x, Access::Read), arguments.place(output, Access::Write));
    let mut body = rows.begin() + &exponentials(&rows, &x);
    let value = if logarithm {
        body += "  const float less = LOG(sum);\n";
        format!("({} - most) - less", x.load("from + c"))
    } else {
        format!("EXP({} - most) / sum", x.load("from + c"))
    };
    body += &rows.columns(&y.store("from + c", &value));
    rows.finish("softmax", arguments, body, dialect).map(Launches::one)
}
