//! Kernels over rows: several threads take a row together, and all of them know its sum or maximum.

mod cross_entropy;
mod norm;
mod softmax;

pub(crate) use cross_entropy::{print_cross_entropy, print_cross_entropy_grad};
pub use norm::{NormGradient, NormRows};
pub(crate) use softmax::print_softmax;

use onestep_engine::ops::ReduceKind;

use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::fused::{below, combined};
use crate::kernel::{Draft, KernelSource};
use crate::places::Arguments;

/// Threads of a group.
const THREADS: usize = 256;

/// Rows and the threads that share one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) rows: usize,
    pub(crate) width: usize,
    lanes: usize,
}

impl Rows {
    pub(crate) fn new(rows: usize, width: usize) -> Rows {
        Rows { rows, width, lanes: below(width).min(THREADS) }
    }

    /// The statements that set `row`, `lane`, `inside` and `from`, where the row begins.
    pub(crate) fn begin(&self) -> String {
        let Rows { rows, width, lanes } = self;
        let shared =
            if *lanes > 1 { format!("  SHARED float part[{THREADS}];\n") } else { String::new() };
        format!(
            "{shared}  const uint lane = worker % {lanes}u, row = group * {}u + worker / {lanes}u;\n  \
             const bool inside = row < {rows}u;\n  const uint from = row * {width}u;\n",
            THREADS / lanes
        )
    }

    /// A loop over the columns of the row, `c`, of which each thread takes its own.
    pub(crate) fn columns(&self, statement: &str) -> String {
        let Rows { width, lanes, .. } = self;
        format!(
            "  if (inside) for (uint c = lane; c < {width}u; c += {lanes}u) {{ {statement} }}\n"
        )
    }

    /// The statements after which a variable has, in all threads of a row, what they have together.
    pub(crate) fn together(&self, variable: &str, kind: ReduceKind) -> String {
        if self.lanes == 1 {
            return String::new();
        }
        let both = combined(kind, "part[worker]", "part[worker + reach]");
        format!(
            "  part[worker] = {variable};\n  BARRIER();\n  \
             for (uint reach = {}u; reach > 0u; reach /= 2u) {{\n    \
             if (lane < reach) part[worker] = {both};\n    BARRIER();\n  }}\n  \
             {variable} = part[worker - lane];\n  BARRIER();\n",
            self.lanes / 2
        )
    }

    /// The kernel of these statements.
    pub(crate) fn finish(
        &self,
        kind: &'static str,
        arguments: Arguments,
        body: String,
        dialect: Dialect,
    ) -> Result<KernelSource, SourceError> {
        let draft = Draft {
            kind,
            arguments: arguments.into_all(),
            threads: THREADS,
            groups: self.rows.div_ceil(THREADS / self.lanes),
            shared_bytes: if self.lanes > 1 { THREADS * 4 } else { 0 },
            body,
        };
        draft.finish(dialect)
    }
}
