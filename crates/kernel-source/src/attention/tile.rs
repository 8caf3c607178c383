//! Tiles of operands in shared memory, and sums that threads keep.

/// Rows of numbers in shared memory. Each row is longer by one than its numbers, so that rows begin in
/// different banks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    pub(super) name: &'static str,
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl Tile {
    /// Numbers in memory.
    pub(super) fn size(&self) -> usize {
        self.rows * (self.width + 1)
    }

    pub(super) fn declare(&self) -> String {
        format!("  SHARED float {}[{}];\n", self.name, self.size())
    }

    /// The number in a row and column.
    pub(super) fn at(&self, row: &str, column: &str) -> String {
        format!("{}[{row} * {}u + {column}]", self.name, self.width + 1)
    }

    /// Fills the tile from row `first` of an operand of `limit` rows on, with zeros behind its end. `value` is
    /// the number at row `n` and column `d`.
    pub(super) fn fill(
        &self,
        indent: &str,
        threads: usize,
        first: &str,
        limit: usize,
        value: &str,
    ) -> String {
        let Tile { rows, width, .. } = self;
        format!(
            "{indent}for (uint e = worker; e < {}u; e += {threads}u) {{\n\
             {indent}  const uint r = e / {width}u, d = e % {width}u, n = {first} + r;\n\
             {indent}  {} = n < {limit}u ? {value} : 0.0f;\n{indent}}}\n",
            rows * width,
            self.at("r", "d"),
        )
    }
}

/// Sums that the threads of a row keep between them: of `width` numbers each has every `lanes`-th.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) name: &'static str,
    pub(super) width: usize,
    pub(super) lanes: usize,
}

impl Sums {
    fn each(&self) -> usize {
        self.width.div_ceil(self.lanes)
    }

    pub(super) fn declare(&self) -> String {
        let Sums { name, .. } = self;
        let each = self.each();
        format!(
            "  float {name}[{each}];\n  for (uint n = 0u; n < {each}u; ++n) {name}[n] = 0.0f;\n"
        )
    }

    /// A loop over a thread's sums: `d` is the place among all, `NAME[n]` the sum.
    pub(super) fn each_one(&self, indent: &str, statement: &str) -> String {
        let (each, lanes) = (self.each(), self.lanes);
        let guard = if self.width.is_multiple_of(lanes) {
            String::new()
        } else {
            format!("if (d < {}u) ", self.width)
        };
        format!(
            "{indent}for (uint n = 0u; n < {each}u; ++n) {{\n\
             {indent}  const uint d = lane + n * {lanes}u;\n{indent}  {guard}{statement}\n{indent}}}\n"
        )
    }
}
