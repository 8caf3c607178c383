//! What layers that look rows up in a table share.

use onestep_engine::{DType, Value};

use crate::context::BuildContext;
use crate::error::LayerError;
use crate::initializer::{Fan, Initializer};

/// A table and how its rows are looked up.
pub(super) struct Table<'a> {
    pub(super) num_embeddings: usize,
    pub(super) embedding_dim: usize,
    pub(super) padding_idx: Option<isize>,
    pub(super) max_norm: Option<f32>,
    pub(super) norm_type: f32,
    pub(super) scale_grad_by_freq: bool,
    pub(super) weight_init: &'a Initializer,
}

/// Rows of a table.
pub(super) struct Found {
    /// `[..., embedding_dim]`
    pub(super) rows: Value,
    /// 1 where the index is that of padding, `[..., 1]`.
    pub(super) padding: Option<Value>,
}

/// Keeps a quotient finite, as PyTorch does.
const NORM_EPS: f32 = 1e-7;

impl Table<'_> {
    /// The rows of indices of whole numbers.
    pub(super) fn look_up(&self, cx: &mut BuildContext, x: Value) -> Result<Found, LayerError> {
        let x = match cx.graph.type_of(x).dtype {
            DType::I32 => x,
            DType::U8 => cx.graph.cast(x, DType::I32)?,
            dtype => {
                let wanted = "i32 indices (set the input's dtype to \"i32\")";
                return Err(cx.input_error(wanted, dtype));
            }
        };
        let padding = self.check(cx)?;
        let dims = [self.num_embeddings, self.embedding_dim];
        let init = self.weight_init.or(Initializer::normal(0.0, 1.0));
        let fan = Fan::dense(self.num_embeddings, self.embedding_dim);
        let table = cx.parameter("weight", &dims, init, fan)?;
        if let Some(row) = padding {
            cx.begin_at_zero("weight", row);
        }
        let mut rows = cx.graph.gather(table, x)?;
        if let Some(max) = self.max_norm {
            rows = self.shortened(cx, table, x, rows, max)?;
        }
        if self.scale_grad_by_freq {
            rows = by_frequency(cx, self.num_embeddings, x, rows)?;
        }
        let padding = match padding {
            None => None,
            Some(row) => {
                let wide = [cx.dims(x), vec![1]].concat();
                let g = &mut cx.graph;
                let numbers = g.cast(x, DType::F32)?;
                let row = g.constant(row as f32)?;
                let is_padding = g.eq(numbers, row)?;
                let is_padding = g.reshape(is_padding, &wide)?;
                let still = g.detach(rows)?;
                rows = g.select(is_padding, still, rows)?;
                Some(is_padding)
            }
        };
        Ok(Found { rows, padding })
    }

    /// Checks the options; the row of the padding counted from the first.
    fn check(&self, cx: &BuildContext) -> Result<Option<usize>, LayerError> {
        for (name, size) in
            [("num_embeddings", self.num_embeddings), ("embedding_dim", self.embedding_dim)]
        {
            if size == 0 {
                return Err(cx.option_error(name, "at least 1", 0));
            }
        }
        if let Some(max) = self.max_norm.filter(|max| !(max.is_finite() && *max > 0.0)) {
            return Err(cx.option_error("max_norm", "finite and above 0", max));
        }
        if self.norm_type.is_nan() || self.norm_type <= 0.0 {
            return Err(cx.option_error("norm_type", "above 0, or infinite", self.norm_type));
        }
        let Some(padding) = self.padding_idx else { return Ok(None) };
        let rows = self.num_embeddings as isize;
        let row = if padding < 0 { padding + rows } else { padding };
        match usize::try_from(row) {
            Ok(row) if row < self.num_embeddings => Ok(Some(row)),
            _ => Err(cx.option_error(
                "padding_idx",
                format!("from {} to {}", -rows, rows - 1),
                padding,
            )),
        }
    }

    /// The rows with a norm of at most `max`, which in training they have in the table from then on. Their
    /// gradient is that of the rows as they are then, as PyTorch shortens them beforehand.
    fn shortened(
        &self,
        cx: &mut BuildContext,
        table: Value,
        x: Value,
        rows: Value,
        max: f32,
    ) -> Result<Value, LayerError> {
        let table = cx.pending_update("weight").unwrap_or(table);
        let g = &mut cx.graph;
        let axis = g.shape(rows).rank() - 1;
        let size = g.abs(rows)?;
        let norm = if self.norm_type.is_infinite() {
            g.max_over(size, &[axis], true)?
        } else if self.norm_type == 2.0 {
            let squares = g.square(rows)?;
            let sum = g.sum(squares, &[axis], true)?;
            g.sqrt(sum)?
        } else {
            let power = g.constant(self.norm_type)?;
            let powers = g.pow(size, power)?;
            let sum = g.sum(powers, &[axis], true)?;
            let root = g.constant(1.0 / self.norm_type)?;
            g.pow(sum, root)?
        };
        let max = g.constant(max)?;
        let divisor = g.offset(norm, NORM_EPS)?;
        let (ratio, one) = (g.div(max, divisor)?, g.constant(1.0)?);
        let long = g.gt(norm, max)?;
        let factor = g.select(long, ratio, one)?;
        let short = g.mul(rows, factor)?;
        let y = g.straight_through(short, rows)?;
        let count = g.shape(x).elements();
        let indices = g.reshape(x, &[count])?;
        let short = g.reshape(short, &[count, self.embedding_dim])?;
        let table = g.set_rows(table, indices, short)?;
        cx.update_state("weight", table);
        Ok(y)
    }
}

/// Rows whose gradient is divided by how often the batch has their index.
fn by_frequency(
    cx: &mut BuildContext,
    rows: usize,
    x: Value,
    found: Value,
) -> Result<Value, LayerError> {
    let wide = [cx.dims(x), vec![1]].concat();
    let g = &mut cx.graph;
    let one = g.constant(1.0)?;
    let ones = g.broadcast(one, &wide)?;
    let counts = g.scatter_add(x, ones, rows)?;
    let own = g.gather(counts, x)?;
    let share = g.div(found, own)?;
    Ok(g.straight_through(found, share)?)
}
