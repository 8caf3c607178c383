//! The gradients in queries, keys and values: `p` from the kept logarithms, `dw = dy vᵀ`, `D = dy · y`,
//! `ds = p (dw - D)`, `dq = scale ds k`, `dk = scale dsᵀ q`, `dv = pᵀ dy`.

use onestep_engine::DType;
use onestep_engine::ops::{Attention, AttentionGrad, AttentionSizes, ReduceKind};
use onestep_engine::plan::Place;

use super::forward::place_of_group;
use super::tile::{Sums, Tile};
use super::{Scores, Site, shared_numbers};
use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::{KernelSource, Launches};
use crate::places::{Arguments, Pointer, literal};
use crate::rows::Rows;

/// Threads that share a row.
const LANES: usize = 8;

/// Blocks: rows that a group keeps, and rows along which it goes.
fn blocks(sizes: AttentionSizes, dialect: Dialect) -> Option<(usize, usize)> {
    let most = shared_numbers(dialect);
    let blocks = [(32, 16), (32, 8), (16, 16), (16, 8), (8, 8), (4, 4)];
    blocks.into_iter().find(|(own, other)| {
        let both = (own + other) * (sizes.depth + 1 + sizes.value + 1);
        both + 2 * own * (other + 1) <= most
    })
}

/// The gradients, one behind the other: [`AttentionGrad::bounds`].
pub(crate) fn print(
    op: &Attention,
    inputs: &[Place],
    output: &Place,
    dialect: Dialect,
) -> Result<Launches, SourceError> {
    let [own @ .., result, dy] = inputs else {
        return Err(SourceError::broken("the gradient of attention lacks operands"));
    };
    let site = Site::new(op, own, dialect)?;
    let sizes = site.sizes;
    if output.shape.elements() == 0 {
        return Ok(Launches::default());
    }
    let Some(blocks) = blocks(sizes, dialect) else {
        return Err(SourceError::broken("attention's blocks do not fit into shared memory"));
    };
    let gradient = Gradient { site, result, dy, output, blocks };
    let mut launches = Launches { kernels: Vec::new(), scratch: sizes.rows() * 4 };
    if sizes.rows() > 0 && sizes.value > 0 {
        launches.kernels.push(gradient.dots()?);
    }
    launches.kernels.push(gradient.of_queries()?);
    launches.kernels.push(gradient.of_keys()?);
    launches.kernels.retain(|kernel| kernel.groups > 0);
    Ok(launches)
}

struct Gradient<'a> {
    site: Site<'a>,
    result: &'a Place,
    dy: &'a Place,
    output: &'a Place,
    blocks: (usize, usize),
}

/// What both kernels read.
struct Read {
    q: Pointer,
    k: Pointer,
    v: Pointer,
    dy: Pointer,
    kept: Pointer,
    dots: Pointer,
    scores: Scores,
}

impl Gradient<'_> {
    fn arguments(&self) -> Result<(Arguments, Read), SourceError> {
        let all = self.site.inputs.iter().chain([self.result, self.dy, self.output]);
        let mut arguments = Arguments::new(all, 2, self.site.dialect.limits())?;
        let [q, k, v] = [0, 1, 2].map(|at| arguments.place(&self.site.inputs[at], Access::Read));
        let dy = arguments.place(self.dy, Access::Read);
        let kept = arguments.place(self.result, Access::Read);
        let dots = arguments.scratch(0, DType::F32, Access::Read);
        let scores = self.site.scores(&mut arguments);
        Ok((arguments, Read { q, k, v, dy, kept, dots, scores }))
    }

    /// `D` of each row.
    fn dots(&self) -> Result<KernelSource, SourceError> {
        let AttentionSizes { heads, queries, value, .. } = self.site.sizes;
        let dialect = self.site.dialect;
        let rows = Rows::new(self.site.sizes.rows(), value);
        let places = [self.dy, self.result].into_iter();
        let mut arguments = Arguments::new(places, 1, dialect.limits())?;
        let [dy, y] = [self.dy, self.result].map(|place| arguments.place(place, Access::Read));
        let dots = arguments.scratch(0, DType::F32, Access::Write);
        let mut body = rows.begin();
        body += &format!(
            "  (void)from;\n  const uint head = row / {queries}u % {heads}u, sample = row / {}u;\n  \
             const uint begin = ((sample * {queries}u + row % {queries}u) * {heads}u + head) * {value}u;\n  \
             float sum = 0.0f;\n",
            heads * queries
        );
        body +=
            &rows.columns(&format!("sum += {} * {};", dy.load("begin + c"), y.load("begin + c")));
        body += &rows.together("sum", ReduceKind::Sum);
        body += &format!("  if (lane == 0u && inside) {}\n", dots.store("row", "sum"));
        rows.finish("attention_dots", arguments, body, dialect)
    }

    /// The tiles of queries and keys, each of so many rows.
    fn tiles(&self, queries: usize, keys: usize) -> [Tile; 4] {
        let AttentionSizes { depth, value, .. } = self.site.sizes;
        [
            Tile { name: "q", rows: queries, width: depth },
            Tile { name: "dy", rows: queries, width: value },
            Tile { name: "k", rows: keys, width: depth },
            Tile { name: "v", rows: keys, width: value },
        ]
    }

    /// The statements that set `weight`, `p` after dropout, and `slope`, `p (dw - D)`, of `query` and `key`,
    /// which are the rows `i` and `j` of their tiles.
    fn slope(&self, read: &Read, tiles: &[Tile; 4], [i, j]: [&str; 2]) -> String {
        let AttentionSizes { heads, queries, depth, value, .. } = self.site.sizes;
        let [q, dy, k, v] = tiles;
        let row = format!("(sample * {heads}u + head) * {queries}u + query");
        let kept = read.kept.load(&format!("{}u + {row}", self.site.sizes.values()));
        let mut text = format!(
            "      float weight = 0.0f, slope = 0.0f;\n      if ({}) {{\n        \
             float score = 0.0f, dw = 0.0f;\n        \
             for (uint d = 0u; d < {depth}u; ++d) score += {} * {};\n        \
             for (uint d = 0u; d < {value}u; ++d) dw += {} * {};\n        \
             score = score{};\n        weight = EXP(score - {kept});\n",
            self.site.seen(&read.scores),
            q.at(i, "d"),
            k.at(j, "d"),
            dy.at(i, "d"),
            v.at(j, "d"),
            self.site.bias(&read.scores),
        );
        if let Some(factor) = self.site.factor(&read.scores) {
            text += &format!("        const float factor = {factor};\n        dw *= factor;\n");
        }
        text += &format!("        slope = weight * (dw - {});\n", read.dots.load(&row));
        if self.site.op.dropout.is_some() {
            text += "        weight *= factor;\n";
        }
        text + "      }\n"
    }

    /// Fills the tiles of queries.
    fn fill_queries(&self, read: &Read, tiles: &[Tile; 4], indent: &str, first: &str) -> String {
        let AttentionSizes { heads, queries, value, .. } = self.site.sizes;
        let threads = self.blocks.0 * LANES;
        let q = read.q.load(&self.site.at(0, ["sample", "head", "n", "d"]));
        let q = format!("{q} * {}", literal(self.site.op.scale));
        let at = format!("((sample * {queries}u + n) * {heads}u + head) * {value}u + d");
        tiles[0].fill(indent, threads, first, queries, &q)
            + &tiles[1].fill(indent, threads, first, queries, &read.dy.load(&at))
    }

    /// Fills the tiles of keys.
    fn fill_keys(
        &self,
        read: &Read,
        tiles: &[Tile; 4],
        indent: &str,
        first: &str,
        group: &str,
    ) -> String {
        let (keys, threads) = (self.site.sizes.keys, self.blocks.0 * LANES);
        let k = read.k.load(&self.site.at(1, ["sample", group, "n", "d"]));
        let v = read.v.load(&self.site.at(2, ["sample", group, "n", "d"]));
        tiles[2].fill(indent, threads, first, keys, &k)
            + &tiles[3].fill(indent, threads, first, keys, &v)
    }

    /// A group keeps a block of queries and goes along the keys.
    fn of_queries(&self) -> Result<KernelSource, SourceError> {
        let AttentionSizes { batch, heads, queries, keys, depth, .. } = self.site.sizes;
        let (mut arguments, read) = self.arguments()?;
        let (own, other) = self.blocks;
        let tiles = self.tiles(own, other);
        let ds = Tile { name: "ds", rows: own, width: other };
        let sums = Sums { name: "sums", width: depth, lanes: LANES };
        let blocks = queries.div_ceil(own);
        let mut body: String = tiles.iter().chain([&ds]).map(Tile::declare).collect();
        body += &place_of_group("head", heads, blocks, own, LANES);
        body += "  const uint query = block + row;\n";
        body += &(self.fill_queries(&read, &tiles, "  ", "block") + &sums.declare());
        let last = match self.site.op.causal {
            true => format!("(block + {own}u < {keys}u ? block + {own}u : {keys}u)"),
            false => format!("{keys}u"),
        };
        body += &format!(
            "  for (uint begin = 0u; begin < {last}; begin += {other}u) {{\n    BARRIER();\n"
        );
        body += &self.fill_keys(&read, &tiles, "    ", "begin", &self.site.group_of());
        body += &format!(
            "    BARRIER();\n    for (uint j = lane; j < {other}u; j += {LANES}u) {{\n      \
             const uint key = begin + j;\n{}      {own_slope} = slope;\n    }}\n    BARRIER();\n    \
             for (uint j = 0u; j < {other}u; ++j) {{\n      const float slope = {own_slope};\n",
            self.slope(&read, &tiles, ["row", "j"]),
            own_slope = ds.at("row", "j"),
        );
        body += &sums.each_one("      ", &format!("sums[n] += slope * {};", tiles[2].at("j", "d")));
        body += &format!("    }}\n  }}\n  if (query < {queries}u) {{\n");
        let out = arguments.place(self.output, Access::Write);
        let to = format!("((sample * {queries}u + query) * {heads}u + head) * {depth}u + d");
        let value = format!("sums[n] * {}", literal(self.site.op.scale));
        body += &(sums.each_one("    ", &out.store(&to, &value)) + "  }\n");
        let shared = tiles.iter().chain([&ds]).map(Tile::size).sum();
        let shape = (own * LANES, batch * heads * blocks);
        self.site.finish("attention_dq", arguments, shape, shared, body)
    }

    /// A group keeps a block of keys and goes along the queries of all heads that read them.
    fn of_keys(&self) -> Result<KernelSource, SourceError> {
        let AttentionSizes { batch, groups, keys, depth, value, .. } = self.site.sizes;
        let (mut arguments, read) = self.arguments()?;
        let (own, other) = self.blocks;
        let tiles = self.tiles(other, own);
        let ds = Tile { name: "ds", rows: own, width: other };
        let p = Tile { name: "p", ..ds };
        let of_k = Sums { name: "of_k", width: depth, lanes: LANES };
        let of_v = Sums { name: "of_v", width: value, lanes: LANES };
        let blocks = keys.div_ceil(own);
        let mut body: String = tiles.iter().chain([&ds, &p]).map(Tile::declare).collect();
        body += &place_of_group("of", groups, blocks, own, LANES);
        body += "  const uint key = block + row;\n";
        body += &self.fill_keys(&read, &tiles, "  ", "block", "of");
        body += &(of_k.declare() + &of_v.declare());
        body += &self.along_queries(&read, &tiles, [&ds, &p], [&of_k, &of_v]);
        let out = arguments.place(self.output, Access::Write);
        let [_, at_k, at_v, _] = AttentionGrad::bounds(self.site.sizes);
        let to = |first: usize, width: usize| {
            format!("{first}u + ((sample * {keys}u + key) * {groups}u + of) * {width}u + d")
        };
        body += &format!("  if (key < {keys}u) {{\n");
        body += &of_k.each_one("    ", &out.store(&to(at_k, depth), "of_k[n]"));
        body += &of_v.each_one("    ", &out.store(&to(at_v, value), "of_v[n]"));
        body += "  }\n";
        let shared = tiles.iter().chain([&ds, &p]).map(Tile::size).sum();
        let shape = (own * LANES, batch * groups * blocks);
        self.site.finish("attention_dkv", arguments, shape, shared, body)
    }

    /// The loop that adds up what the queries have for a block of keys.
    fn along_queries(
        &self,
        read: &Read,
        tiles: &[Tile; 4],
        [ds, p]: [&Tile; 2],
        [of_k, of_v]: [&Sums; 2],
    ) -> String {
        let AttentionSizes { heads, groups, queries, .. } = self.site.sizes;
        let (shared_by, other) = (heads / groups, self.blocks.1);
        let first = match self.site.op.causal {
            // Queries before the block see none of its keys.
            true => format!("block / {other}u * {other}u"),
            false => "0u".into(),
        };
        let mut body = format!(
            "  for (uint head = of * {shared_by}u; head < (of + 1u) * {shared_by}u; ++head) {{\n  \
             for (uint begin = {first}; begin < {queries}u; begin += {other}u) {{\n    BARRIER();\n"
        );
        body += &self.fill_queries(read, tiles, "    ", "begin");
        let (slope, weight) = (ds.at("row", "i"), p.at("row", "i"));
        body += &format!(
            "    BARRIER();\n    for (uint i = lane; i < {other}u; i += {LANES}u) {{\n      \
             const uint query = begin + i;\n{}      {slope} = slope;\n      {weight} = weight;\n    }}\n    \
             BARRIER();\n    for (uint i = 0u; i < {other}u; ++i) {{\n      \
             const float slope = {slope}, weight = {weight};\n",
            self.slope(read, tiles, ["i", "row"])
        );
        for (sums, by, tile) in [(of_k, "slope", &tiles[0]), (of_v, "weight", &tiles[1])] {
            let term = format!("{}[n] += {by} * {};", sums.name, tile.at("i", "d"));
            body += &sums.each_one("      ", &term);
        }
        body + "    }\n  }\n  }\n"
    }
}
