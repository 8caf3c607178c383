//! The iteration space of a fused program: axes that all operands walk alike are merged.

use onestep_engine::plan::{Fused, Instruction, Place};

use crate::error::SourceError;

/// Elements between neighbours along each axis; 0 where an operand repeats.
pub(super) type Strides = Vec<usize>;

/// What a program iterates over.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Space {
    /// Sizes of the axes, none of them 1.
    pub(super) dims: Vec<usize>,
    /// The strides of each load, by its register.
    pub(super) loads: Vec<Option<Strides>>,
    /// For each output those of its place, and for a reduction which axes it keeps.
    pub(super) outputs: Vec<Output>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    pub(super) strides: Strides,
    /// For each axis whether the result has it.
    pub(super) kept: Vec<bool>,
}

impl Space {
    /// # Errors
    /// An operand does not fit the domain.
    pub(super) fn new(fused: &Fused) -> Result<Space, SourceError> {
        let dims = fused.domain.dims();
        let mut all: Vec<Strides> = Vec::new();
        for instruction in &fused.code {
            if let Instruction::Load(place) = instruction {
                all.push(strides_in(place, dims)?);
            }
        }
        let loads = all.len();
        for output in &fused.outputs {
            all.push(strides_in(&output.place, dims)?);
            // As if the kept axes were strides of a result: no axis that is kept joins one that is not.
            let kept = output.place.shape.dims().iter().zip(dims);
            let mut next = 1;
            let mut kept: Strides = kept
                .rev()
                .map(|(own, all)| {
                    let stride = if own == all { next } else { 0 };
                    next *= own;
                    stride
                })
                .collect();
            kept.reverse();
            all.push(kept);
        }
        let dims = merge(dims, &mut all);
        let outputs = all.split_off(loads);
        let outputs = outputs.chunks_exact(2).map(|pair| Output {
            strides: pair[0].clone(),
            kept: pair[1].iter().map(|&stride| stride != 0).collect(),
        });
        let (outputs, mut of_loads) = (outputs.collect(), all.into_iter());
        let load = |i: &Instruction| {
            if matches!(i, Instruction::Load(_)) { of_loads.next() } else { None }
        };
        let loads = fused.code.iter().map(load).collect();
        Ok(Space { dims, loads, outputs })
    }

    pub(super) fn elements(&self) -> usize {
        self.dims.iter().product()
    }
}

fn strides_in(place: &Place, dims: &[usize]) -> Result<Strides, SourceError> {
    let own = place.shape.dims();
    let fits = own.len() == dims.len() && own.iter().zip(dims).all(|(o, d)| o == d || *o == 1);
    if !fits {
        let what = format!("an operand {} of a program over {dims:?}", place.shape);
        return Err(SourceError::broken(what));
    }
    let axes = own.iter().zip(dims).zip(place.strides());
    Ok(axes.map(|((own, all), &stride)| if own == all { stride } else { 0 }).collect())
}

/// Merges axes of `dims` where all of `strides` allow it, and leaves out those of size 1.
pub(crate) fn merge(dims: &[usize], strides: &mut [Strides]) -> Vec<usize> {
    let mut merged: Vec<usize> = Vec::new();
    for (axis, &size) in dims.iter().enumerate() {
        if size == 1 {
            continue;
        }
        let last = merged.len().wrapping_sub(1);
        let joins = !merged.is_empty() && strides.iter().all(|s| s[last] == s[axis] * size);
        let target = if joins { last } else { merged.len() };
        strides.iter_mut().for_each(|s| s[target] = s[axis]);
        if joins {
            merged[last] *= size;
        } else {
            merged.push(size);
        }
    }
    strides.iter_mut().for_each(|s| s.truncate(merged.len()));
    merged
}
