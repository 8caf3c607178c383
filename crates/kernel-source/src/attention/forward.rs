//! The values.

use onestep_engine::ops::{Attention, AttentionSizes};
use onestep_engine::plan::Place;

use super::tile::{Sums, Tile};
use super::{Scores, Site, shared_numbers};
use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::Launches;
use crate::places::{Arguments, Pointer, literal};

/// Threads that share a query.
const LANES: usize = 4;

/// The tiles of a group: queries, keys or values, and weights.
struct Tiles {
    q: Tile,
    k: Tile,
    v: Tile,
    p: Tile,
}

impl Tiles {
    /// The largest that fit.
    fn new(sizes: AttentionSizes, dialect: Dialect) -> Option<Tiles> {
        let (depth, value) = (sizes.depth, sizes.value);
        let most = shared_numbers(dialect);
        let blocks = [(32, 32), (32, 16), (16, 16), (16, 8), (8, 8)];
        blocks.into_iter().find_map(|(queries, keys)| {
            let q = Tile { name: "q", rows: queries, width: depth };
            // Keys and values take turns in the same memory.
            let k = Tile { name: "kv", rows: keys, width: depth };
            let v = Tile { name: "kv", rows: keys, width: value };
            let p = Tile { name: "p", rows: queries, width: keys };
            let tiles = Tiles { q, k, v, p };
            (tiles.size() <= most).then_some(tiles)
        })
    }

    fn size(&self) -> usize {
        self.q.size() + self.k.size().max(self.v.size()) + self.p.size()
    }

    fn threads(&self) -> usize {
        self.q.rows * LANES
    }
}

/// The values `[b, t, h, e]`, and behind them the logarithms of the sums of the exponentials `[b, h, t]`.
pub(crate) fn print(
    op: &Attention,
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    let site = Site::new(op, inputs, dialect)?;
    if site.sizes.rows() == 0 {
        return Ok(Launches::default());
    }
    let Some(tiles) = Tiles::new(site.sizes, dialect) else {
        return Err(SourceError::broken("attention's blocks do not fit into shared memory"));
    };
    let mut arguments = Arguments::new(inputs.iter().chain([output]), 1, dialect.limits())?;
    let body = body(&site, &tiles, output, &mut arguments);
    let AttentionSizes { batch, heads, queries, .. } = site.sizes;
    let groups = batch * heads * queries.div_ceil(tiles.q.rows);
    let shape = (tiles.threads(), groups);
    site.finish("attention", arguments, shape, tiles.size(), body).map(Launches::one)
}

/// The statements that say which sample, head (by this name) and block of rows a group has.
pub(super) fn place_of_group(
    head: &str,
    heads: usize,
    blocks: usize,
    rows: usize,
    lanes: usize,
) -> String {
    format!(
        "  const uint row = worker / {lanes}u, lane = worker % {lanes}u;\n  \
         const uint block = group % {blocks}u * {rows}u, {head} = group / {blocks}u % {heads}u;\n  \
         const uint sample = group / {}u;\n",
        blocks * heads
    )
}

/// A kernel in the making.
struct Kernel<'a> {
    site: &'a Site<'a>,
    tiles: &'a Tiles,
    /// The numbers at row `n` and column `d` of queries, keys and values.
    q: String,
    k: String,
    v: String,
    scores: Scores,
    sums: Sums,
}

fn body(site: &Site<'_>, tiles: &Tiles, output: &Place, arguments: &mut Arguments) -> String {
    let [q, k, v] = [0, 1, 2].map(|at| arguments.place(&site.inputs[at], Access::Read));
    let group = site.group_of();
    let kernel = Kernel {
        site,
        tiles,
        q: q.load(&site.at(0, ["sample", "head", "n", "d"])),
        k: k.load(&site.at(1, ["sample", &group, "n", "d"])),
        v: v.load(&site.at(2, ["sample", &group, "n", "d"])),
        scores: site.scores(arguments),
        sums: Sums { name: "sums", width: site.sizes.value, lanes: LANES },
    };
    let out = arguments.place(output, Access::Write);
    let (keys, block) = (site.sizes.keys, tiles.k.rows);
    let end = format!("block + {}u", tiles.q.rows);
    let last = match site.op.causal {
        true => format!("{end} < {keys}u ? {end} : {keys}u"),
        false => format!("{keys}u"),
    };
    let along = format!(
        "  const uint last = {last};\n  for (uint begin = 0u; begin < last; begin += {block}u) {{\n"
    );
    let parts = [
        kernel.begin(),
        along,
        kernel.score_block(),
        kernel.weight_block(),
        kernel.add_values(),
        "  }\n".into(),
        kernel.finish(&out),
    ];
    parts.concat()
}

impl Kernel<'_> {
    /// The tile of queries, and sums of nothing.
    fn begin(&self) -> String {
        let AttentionSizes { heads, queries, .. } = self.site.sizes;
        let Tiles { q, k, v, p } = self.tiles;
        let shared = if k.size() > v.size() { k } else { v };
        let mut text = q.declare() + &shared.declare() + &p.declare();
        text += &place_of_group("head", heads, queries.div_ceil(q.rows), q.rows, LANES);
        text += "  const uint query = block + row;\n";
        let scaled = format!("{} * {}", self.q, literal(self.site.op.scale));
        text += &q.fill("  ", self.tiles.threads(), "block", queries, &scaled);
        text += &self.sums.declare();
        text + "  float most = -infinity(), sum = 0.0f;\n"
    }

    /// The scores of a block of keys.
    fn score_block(&self) -> String {
        let AttentionSizes { keys, depth, .. } = self.site.sizes;
        let Tiles { q, k, p, .. } = self.tiles;
        let mut text = "    BARRIER();\n".to_owned();
        text += &k.fill("    ", self.tiles.threads(), "begin", keys, &self.k);
        text += &format!(
            "    BARRIER();\n    for (uint j = lane; j < {}u; j += {LANES}u) {{\n      \
             const uint key = begin + j;\n      float score = -infinity();\n      if ({}) {{\n        \
             score = 0.0f;\n        for (uint d = 0u; d < {depth}u; ++d) score += {} * {};\n        \
             score = score{};\n      }}\n      {} = score;\n    }}\n    BARRIER();\n",
            k.rows,
            self.site.seen(&self.scores),
            q.at("row", "d"),
            k.at("j", "d"),
            self.site.bias(&self.scores),
            p.at("row", "j"),
        );
        text
    }

    /// The weights of a block of keys, beside the largest score so far. What was added up before is corrected.
    fn weight_block(&self) -> String {
        let (block, own) = (self.tiles.k.rows, self.tiles.p.at("row", "j"));
        let mut text = format!(
            "    float top = most;\n    \
             for (uint j = 0u; j < {block}u; ++j) top = {own} > top ? {own} : top;\n    \
             const float less = most == top ? 1.0f : EXP(most - top);\n    most = top;\n    \
             sum *= less;\n"
        );
        text += &self.sums.each_one("    ", "sums[n] *= less;");
        let factor = self.site.factor(&self.scores);
        text += &format!(
            "    BARRIER();\n    for (uint j = lane; j < {block}u; j += {LANES}u) {{\n      \
             const uint key = begin + j;\n      (void)key;\n      const float score = {own};\n      \
             const float weight = score == -infinity() ? 0.0f : EXP(score - top);\n      \
             sum += weight;\n      {own} = weight{};\n    }}\n",
            factor.map_or_else(String::new, |factor| format!(" * {factor}")),
        );
        text
    }

    fn add_values(&self) -> String {
        let Tiles { v, p, .. } = self.tiles;
        let mut text = v.fill("    ", self.tiles.threads(), "begin", self.site.sizes.keys, &self.v);
        text += &format!(
            "    BARRIER();\n    for (uint j = 0u; j < {}u; ++j) {{\n      const float weight = {};\n",
            v.rows,
            p.at("row", "j")
        );
        let term = format!("sums[n] += weight * {};", v.at("j", "d"));
        text += &self.sums.each_one("      ", &term);
        text + "    }\n"
    }

    /// The results, from what all threads of a query have together.
    fn finish(&self, out: &Pointer) -> String {
        let AttentionSizes { heads, queries, value, .. } = self.site.sizes;
        let part = |lane: &str| self.tiles.p.at("row", lane);
        let mut text = format!(
            "  BARRIER();\n  {} = sum;\n  BARRIER();\n  sum = 0.0f;\n  \
             for (uint l = 0u; l < {LANES}u; ++l) sum += {};\n  if (query < {queries}u) {{\n",
            part("lane"),
            part("l")
        );
        let to = format!("((sample * {queries}u + query) * {heads}u + head) * {value}u + d");
        text += &self.sums.each_one("    ", &out.store(&to, "sum == 0.0f ? 0.0f : sums[n] / sum"));
        let values = self.site.sizes.values();
        let row = format!("{values}u + (sample * {heads}u + head) * {queries}u + query");
        let kept = out.store(&row, "sum == 0.0f ? 0.0f : most + LOG(sum)");
        text + &format!("    if (lane == 0u) {kept}\n  }}\n")
    }
}
