//! Attention in blocks of queries and keys, with the softmax taken as it goes (Dao et al., "FlashAttention",
//! 2022, section 3.1): no matrix of all queries against all keys is ever in memory.

mod backward;
mod block;
mod forward;

use onestep_engine::ops::{Attention, AttentionGrad, AttentionSizes};
use onestep_engine::plan::Place;
use onestep_engine::{DType, EngineError};

use self::backward::Backward;
use self::forward::Forward;
use crate::cpu_kernel::{Address, Context, CpuKernel, Regions, broken, expect};
use crate::simd::{MAX_LANES, Simd};

/// Queries of a block.
const QUERIES: usize = 32;
/// Keys of a block.
const KEYS: usize = 256;

/// Lowers the op.
pub(super) fn lower(
    op: &Attention,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    expect("attention", output, DType::F32)?;
    let problem = Problem::new(op, inputs, regions)?;
    Ok(Box::new(Forward { problem, out: regions.address(output)? }))
}

/// Lowers the gradient.
pub(super) fn lower_gradient(
    op: &AttentionGrad,
    inputs: &[Place],
    output: &Place,
    regions: Regions,
) -> Result<Box<dyn CpuKernel>, EngineError> {
    let [own @ .., y, dy] = inputs else {
        return Err(broken("attention_grad needs a result and its gradient"));
    };
    for place in [y, dy, output] {
        expect("attention_grad", place, DType::F32)?;
    }
    let problem = Problem::new(&op.of, own, regions)?;
    let [y, dy, out] = [regions.address(y)?, regions.address(dy)?, regions.address(output)?];
    Ok(Box::new(Backward { problem, y, dy, out }))
}

/// An operand of rank 4 with the elements from one to the next along each axis.
#[derive(Clone, Copy, Debug)]
struct Strided {
    at: Address,
    strides: [usize; 4],
}

impl Strided {
    fn new(place: &Place, regions: Regions) -> Result<Strided, EngineError> {
        let &[a, b, c, d] = place.strides() else {
            return Err(broken("attention has an operand that is not of rank 4"));
        };
        // What is repeated along an axis of one element lies where that is.
        let mut strides = [a, b, c, d];
        for (stride, &dim) in strides.iter_mut().zip(place.shape.dims()) {
            *stride = if dim == 1 { 0 } else { *stride };
        }
        Ok(Strided { at: regions.address(place)?, strides })
    }

    /// The elements in front of a row.
    fn row(&self, sample: usize, head: usize, row: usize) -> usize {
        sample * self.strides[0] + head * self.strides[1] + row * self.strides[2]
    }
}

/// What the attention and its gradient share.
#[derive(Clone, Copy, Debug)]
struct Problem {
    op: Attention,
    sizes: AttentionSizes,
    q: Strided,
    k: Strided,
    v: Strided,
    bias: Option<Strided>,
    mask: Option<Strided>,
    lengths: Option<Address>,
}

impl Problem {
    fn new(op: &Attention, inputs: &[Place], regions: Regions) -> Result<Problem, EngineError> {
        let [q, k, v, ..] = inputs else { return Err(broken("attention needs three operands")) };
        let rows = |place: &Place| -> Result<Strided, EngineError> {
            let strided = Strided::new(place, regions)?;
            let by_one = strided.strides[3] == 1 || place.shape.last() == Some(&1);
            match by_one && place.dtype == DType::F32 {
                true => Ok(strided),
                false => Err(broken("attention has an operand whose rows have gaps")),
            }
        };
        let extra = |at: usize| inputs.get(at).ok_or_else(|| broken("attention lacks an operand"));
        let [bias, mask, lengths] = op.extras();
        let strided = |at: Option<usize>| match at {
            Some(at) => Strided::new(extra(at)?, regions).map(Some),
            None => Ok(None),
        };
        Ok(Problem {
            op: *op,
            sizes: AttentionSizes::of(inputs.iter().map(|place| place.shape.dims())),
            q: rows(q)?,
            k: rows(k)?,
            v: rows(v)?,
            bias: strided(bias)?,
            mask: strided(mask)?,
            lengths: match lengths {
                Some(at) => Some(regions.address(extra(at)?)?),
                None => None,
            },
        })
    }

    /// Keys that a sample has.
    ///
    /// # Safety
    /// The context is that of the op's plan, and there is such a sample.
    unsafe fn keys(&self, context: &Context<'_>, sample: usize) -> usize {
        match self.lengths {
            // SAFETY: the caller vouches for the sample.
            Some(at) => unsafe {
                let length = *context.at(at).cast::<i32>().add(sample);
                usize::try_from(length).unwrap_or(0).min(self.sizes.keys)
            },
            None => self.sizes.keys,
        }
    }

    /// Keys, of so many, that a query may see.
    fn seen(&self, keys: usize, query: usize) -> usize {
        if self.op.causal { keys.min(query + 1) } else { keys }
    }
}

/// So many elements in whole vectors.
#[inline(always)]
fn whole<S: Simd>(elements: usize) -> usize {
    elements.next_multiple_of(S::LANES)
}

/// At most so many, for any instruction set.
fn most(elements: usize) -> usize {
    elements.next_multiple_of(MAX_LANES)
}

/// Hands out scratch memory piece by piece.
struct Scratch(*mut f32);

impl Scratch {
    /// So many elements, in whole cache lines.
    fn take(&mut self, elements: usize) -> *mut f32 {
        let at = self.0;
        self.0 = at.wrapping_add(most(elements));
        at
    }
}
