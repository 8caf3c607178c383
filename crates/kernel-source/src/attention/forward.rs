//! The values.

use onestep_engine::ops::{Attention, AttentionSizes};
use onestep_engine::plan::Place;

use super::Site;
use super::tile::{Sums, Tile};
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::{Access, Launches};
use crate::places::{Arguments, literal};

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
        let most = dialect.limits().shared_bytes / 4;
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

/// The statements that say which sample, head and block of rows a group has.
pub(super) fn place_of_group(heads: usize, blocks: usize, rows: usize, lanes: usize) -> String {
    format!(
        "  const uint row = thread / {lanes}u, lane = thread % {lanes}u;\n  \
         const uint block = group % {blocks}u * {rows}u, head = group / {blocks}u % {heads}u;\n  \
         const uint sample = group / {};\n",
        format_args!("{}u", blocks * heads)
    )
}

fn body(site: &Site<'_>, tiles: &Tiles, output: &Place, arguments: &mut Arguments) -> String {
    let sizes = site.sizes;
    let AttentionSizes { heads, queries, keys, depth, value, .. } = sizes;
    let Tiles { q, k, v, p } = tiles;
    let threads = tiles.threads();
    let [of_q, of_k, of_v] = [0, 1, 2].map(|at| arguments.place(&site.inputs[at], Access::Read));
    let scores = site.scores(arguments);
    let group = site.group_of();
    let sums = Sums { name: "sums", width: value, lanes: LANES };
    let shared = Tile { name: "kv", ..if k.size() > v.size() { *k } else { *v } };

    let mut body = q.declare() + &shared.declare() + &p.declare();
    body += &place_of_group(heads, queries.div_ceil(q.rows), q.rows, LANES);
    body += "  const uint query = block + row;\n";
    let scaled = format!(
        "{} * {}",
        of_q.load(&site.at(0, ["sample", "head", "n", "d"])),
        literal(site.op.scale)
    );
    body += &q.fill("  ", threads, "block", queries, &scaled);
    body += &sums.declare();
    body += "  float most = -infinity(), sum = 0.0f;\n";
    let end = format!("block + {}u", q.rows);
    body += &match site.op.causal {
        true => format!("  const uint last = {end} < {keys}u ? {end} : {keys}u;\n"),
        false => format!("  const uint last = {keys}u;\n"),
    };
    body += &format!(
        "  for (uint begin = 0u; begin < last; begin += {}u) {{\n    BARRIER();\n",
        k.rows
    );
    let key = of_k.load(&site.at(1, ["sample", &group, "n", "d"]));
    body += &k.fill("    ", threads, "begin", keys, &key);
    body += &format!(
        "    BARRIER();\n    for (uint j = lane; j < {}u; j += {LANES}u) {{\n      \
         const uint key = begin + j;\n      float score = -infinity();\n      if ({}) {{\n        \
         score = 0.0f;\n        for (uint d = 0u; d < {depth}u; ++d) score += {} * {};\n        \
         score = score{};\n      }}\n      {} = score;\n    }}\n    BARRIER();\n",
        k.rows,
        site.seen(&scores),
        q.at("row", "d"),
        k.at("j", "d"),
        site.bias(&scores),
        p.at("row", "j"),
    );
    let own = p.at("row", "j");
    body += &format!(
        "    float top = most;\n    for (uint j = 0u; j < {}u; ++j) top = {own} > top ? {own} : top;\n    \
         const float less = most == top ? 1.0f : EXP(most - top);\n    most = top;\n    sum *= less;\n",
        k.rows
    );
    body += &sums.each_one("    ", "sums[n] *= less;");
    body += "    BARRIER();\n";
    body += &format!(
        "    for (uint j = lane; j < {}u; j += {LANES}u) {{\n      const uint key = begin + j;\n      \
         (void)key;\n      const float score = {own};\n      \
         const float weight = score == -infinity() ? 0.0f : EXP(score - top);\n      sum += weight;\n      \
         {own} = weight{};\n    }}\n",
        k.rows,
        site.factor(&scores).map_or_else(String::new, |factor| format!(" * {factor}")),
    );
    let of_v = of_v.load(&site.at(2, ["sample", &group, "n", "d"]));
    body += &v.fill("    ", threads, "begin", keys, &of_v);
    body += &format!(
        "    BARRIER();\n    for (uint j = 0u; j < {}u; ++j) {{\n      const float weight = {own};\n",
        v.rows
    );
    body += &sums.each_one("      ", &format!("sums[n] += weight * {};", v.at("j", "d")));
    body += "    }\n  }\n";
    // Each thread has the sum of its own weights.
    let part = |lane: &str| p.at("row", lane);
    body += &format!("  BARRIER();\n  {} = sum;\n  BARRIER();\n  sum = 0.0f;\n", part("lane"));
    body += &format!("  for (uint l = 0u; l < {LANES}u; ++l) sum += {};\n", part("l"));
    let out = arguments.place(output, Access::Write);
    let to = format!("((sample * {queries}u + query) * {heads}u + head) * {value}u + d");
    body += &format!("  if (query < {queries}u) {{\n");
    body += &sums.each_one("    ", &out.store(&to, "sum == 0.0f ? 0.0f : sums[n] / sum"));
    let row = format!("{}u + (sample * {heads}u + head) * {queries}u + query", sizes.values());
    let kept = out.store(&row, "sum == 0.0f ? 0.0f : most + LOG(sum)");
    body + &format!("    if (lane == 0u) {kept}\n  }}\n")
}
