//! Cross-entropy of logits against labels, and its gradient.

use onestep_engine::DType;
use onestep_engine::ops::ReduceKind;
use onestep_engine::plan::Place;

use super::Rows;
use super::softmax::exponentials;
use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::Launches;
use crate::places::{Arguments, Pointer, literal};

/// The rows of logits, and their labels.
fn rows(logits: &Place, labels: &Place) -> Result<Rows, SourceError> {
    match (logits.shape.dims(), labels.dtype) {
        (&[rows, width], DType::I32 | DType::U8) if width <= i32::MAX as usize => {
            Ok(Rows::new(rows, width))
        }
        (dims, dtype) => {
            let what = format!("cross-entropy of logits {dims:?} and labels {dtype}");
            Err(SourceError::broken(what))
        }
    }
}

/// The statements that set `label` and `known`, whether it is a class.
fn label(rows: &Rows, labels: &Pointer) -> String {
    format!(
        "  const int label = inside ? (int){} : 0;\n  const bool known = label >= 0 && label < {};\n",
        labels.at("row"),
        rows.width
    )
}

/// `-(1 - e) p_label - e/c sum_j p_j` for each row, NaN where the label is no class.
pub(crate) fn print_cross_entropy(
    smoothing: f32,
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    let [x, labels] = inputs else {
        return Err(SourceError::broken("cross-entropy needs two operands"));
    };
    let rows = rows(x, labels)?;
    if rows.rows == 0 {
        return Ok(Launches::default());
    }
    let mut arguments = Arguments::new([x, labels, output].into_iter(), 0, dialect.limits())?;
    let (x, labels) = (arguments.place(x, Access::Read), arguments.place(labels, Access::Read));
    let out = arguments.place(output, Access::Write);
    let mut body = rows.begin() + &label(&rows, &labels) + &exponentials(&rows, &x);
    body += "  const float rest = LOG(sum);\n";
    let mut value = "own".to_owned();
    if smoothing != 0.0 {
        body += "  float spread = 0.0f;\n";
        body += &rows.columns(&format!("spread += (most - {}) + rest;", x.load("from + c")));
        body += &rows.together("spread", ReduceKind::Sum);
        let (kept, share) = (literal(1.0 - smoothing), literal(smoothing));
        value = format!("{kept} * own + {share} * (spread / {}.0f)", rows.width);
    }
    let own = x.load("from + (uint)(known ? label : 0)");
    body += &format!(
        "  if (lane == 0u && inside) {{\n    const float own = (most - {own}) + rest;\n    {}\n  }}\n",
        out.store("row", &format!("known ? {value} : nan_value()"))
    );
    rows.finish("cross_entropy", arguments, body, dialect).map(Launches::one)
}

/// `(softmax(x) - (1 - e) onehot(label) - e/c) dy`
pub(crate) fn print_cross_entropy_grad(
    smoothing: f32,
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    let [x, labels, dy] = inputs else {
        return Err(SourceError::broken("the gradient of cross-entropy needs three operands"));
    };
    let rows = rows(x, labels)?;
    if rows.rows == 0 {
        return Ok(Launches::default());
    }
    let places = [x, labels, dy, output].into_iter();
    let mut arguments = Arguments::new(places, 0, dialect.limits())?;
    let [x, labels, dy] = [x, labels, dy].map(|place| arguments.place(place, Access::Read));
    let dx = arguments.place(output, Access::Write);
    let mut body = rows.begin() + &label(&rows, &labels) + &exponentials(&rows, &x);
    body += &format!("  const float slope = inside && known ? {} : nan_value();\n", dy.load("row"));
    let (hit, share) = (literal(1.0 - smoothing), literal(smoothing / rows.width as f32));
    let value = format!(
        "(EXP({} - most) / sum - ((int)c == label ? {hit} : 0.0f) - {share}) * slope",
        x.load("from + c")
    );
    body += &rows.columns(&dx.store("from + c", &value));
    rows.finish("cross_entropy_grad", arguments, body, dialect).map(Launches::one)
}
