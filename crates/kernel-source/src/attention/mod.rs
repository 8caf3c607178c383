//! Attention in blocks of queries and keys, so that the matrix of all weights is never in memory (Dao et al.,
//! "FlashAttention", 2022): a group takes a block of queries and goes along the keys, with the softmax corrected
//! as it goes. The gradient goes the same way for the queries, and along the queries for keys and values. Nothing
//! is added up by several groups, so that results repeat to the bit.

mod backward;
mod forward;
mod tile;

use onestep_engine::ops::{Attention, AttentionSizes};
use onestep_engine::plan::Place;

pub(crate) use backward::print as print_gradient;
pub(crate) use forward::print as print_forward;

use crate::argument::Access;
use crate::dialect::Dialect;
use crate::error::SourceError;
use crate::kernel::{Draft, KernelSource};
use crate::places::{Arguments, Pointer, literal};

/// More numbers of a key or a value do not fit into the memory that threads share.
const WIDEST: usize = 256;

/// Numbers that threads of a group can share. Each tile may begin at the next multiple of 16 bytes.
fn shared_numbers(dialect: Dialect) -> usize {
    dialect.limits().shared_bytes / 4 - 6 * 4
}

/// An attention with its operands.
struct Site<'a> {
    op: Attention,
    sizes: AttentionSizes,
    inputs: &'a [Place],
    dialect: Dialect,
}

/// Pointers to what decides on a score.
struct Scores {
    bias: Option<Pointer>,
    mask: Option<Pointer>,
    lengths: Option<Pointer>,
    key: Option<String>,
}

impl<'a> Site<'a> {
    fn new(op: &Attention, inputs: &'a [Place], dialect: Dialect) -> Result<Self, SourceError> {
        let sizes = AttentionSizes::of(inputs.iter().map(|place| place.shape.dims()));
        let AttentionSizes { depth, value, .. } = sizes;
        let extras = op.extras();
        let operands = 3 + extras.iter().flatten().count();
        if inputs.len() < operands || sizes == AttentionSizes::default() {
            return Err(SourceError::broken("attention lacks operands"));
        }
        if depth > WIDEST || value > WIDEST {
            return Err(SourceError::Limit {
                kernel: "attention".into(),
                platform: dialect.limits().platform,
                what: "numbers of a key or value",
                got: depth.max(value),
                most: WIDEST,
            });
        }
        if op.dropout.is_some() && sizes.rows().saturating_mul(sizes.keys) > u32::MAX as usize {
            return Err(SourceError::broken("dropout of more than 2^32 weights of attention"));
        }
        Ok(Site { op: *op, sizes, inputs, dialect })
    }

    fn scores(&self, arguments: &mut Arguments) -> Scores {
        let [bias, mask, lengths] = self
            .op
            .extras()
            .map(|extra| extra.map(|at| arguments.place(&self.inputs[at], Access::Read)));
        let key = self.op.dropout.map(|_| arguments.random_key());
        Scores { bias, mask, lengths, key }
    }

    /// Where an element of an operand of rank 4 lies; its axes of size 1 repeat.
    fn at(&self, operand: usize, index: [&str; 4]) -> String {
        let place = &self.inputs[operand];
        let axes = place.shape.dims().iter().zip(place.strides()).zip(index);
        let terms = axes.filter(|((dim, stride), _)| **dim != 1 && **stride != 0);
        let terms: Vec<String> =
            terms.map(|((_, stride), index)| format!("{index} * {stride}u")).collect();
        if terms.is_empty() { "0u".into() } else { terms.join(" + ") }
    }

    /// The key head of a query head.
    fn group_of(&self) -> String {
        match self.sizes.heads / self.sizes.groups.max(1) {
            1 => "head".into(),
            shared => format!("(head / {shared}u)"),
        }
    }

    /// The condition under which `query` sees `key`.
    fn seen(&self, scores: &Scores) -> String {
        let mut all =
            vec![format!("query < {}u", self.sizes.queries), format!("key < {}u", self.sizes.keys)];
        if self.op.causal {
            all.push("key <= query".into());
        }
        if let Some(lengths) = &scores.lengths {
            all.push(format!("(int)key < {}", lengths.at("sample")));
        }
        if let (Some(mask), [_, Some(at), _]) = (&scores.mask, self.op.extras()) {
            let at = self.at(at, ["sample", "head", "query", "key"]);
            all.push(format!("{} != 0.0f", mask.load(&at)));
        }
        all.join(" && ")
    }

    /// What is added to a score.
    fn bias(&self, scores: &Scores) -> String {
        match (&scores.bias, self.op.extras()) {
            (Some(bias), [Some(at), ..]) => {
                let at = self.at(at, ["sample", "head", "query", "key"]);
                format!(" + {}", bias.load(&at))
            }
            _ => String::new(),
        }
    }

    /// What dropout multiplies a weight with, where there is dropout.
    fn factor(&self, scores: &Scores) -> Option<String> {
        let (drop, key) = (self.op.dropout?, scores.key.as_ref()?);
        let AttentionSizes { heads, queries, keys, .. } = self.sizes;
        let number = format!("((sample * {heads}u + head) * {queries}u + query) * {keys}u + key");
        let uniform =
            format!("random_uniform({key}, {}u, ({number}) >> 2, ({number}) & 3u)", drop.stream);
        Some(format!(
            "({uniform} >= {} ? {} : 0.0f)",
            literal(drop.p),
            literal(1.0 / (1.0 - drop.p))
        ))
    }

    fn finish(
        &self,
        kind: &'static str,
        arguments: Arguments,
        (threads, groups): (usize, usize),
        shared: usize,
        body: String,
    ) -> Result<KernelSource, SourceError> {
        let (arguments, shared_bytes) = (arguments.into_all(), shared * 4);
        Draft { kind, arguments, threads, groups, shared_bytes, body }.finish(self.dialect)
    }
}
