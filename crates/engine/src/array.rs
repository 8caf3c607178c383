//! Arrays of f64, on which the meaning of each op is written down.

use onestep_memory::Shape;

use crate::graph::GraphError;

/// A contiguous array of f64, whatever the dtype of the value it stands for.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Shape,
    /// The elements in row-major order.
    pub data: Vec<f64>,
}

impl Array {
    /// An array from its elements.
    ///
    /// # Errors
    /// [`GraphError::Shape`] when the count is not that of the shape.
    pub fn new(shape: Shape, data: Vec<f64>) -> Result<Self, GraphError> {
        if shape.elements() != data.len() {
            return Err(GraphError::shape(
                "array",
                format!("{} elements for shape {shape}", shape.elements()),
                data.len(),
            ));
        }
        Ok(Array { shape, data })
    }

    /// An array whose element at each multi-index is computed by `f`.
    pub(crate) fn from_fn(shape: &Shape, mut f: impl FnMut(&[usize]) -> f64) -> Self {
        let mut data = Vec::with_capacity(shape.elements());
        for_each_index(shape.dims(), |index| data.push(f(index)));
        Array { shape: shape.clone(), data }
    }

    /// An array filled with one number.
    pub(crate) fn filled(shape: &Shape, value: f64) -> Self {
        Array { shape: shape.clone(), data: vec![value; shape.elements()] }
    }

    /// The element at a multi-index.
    pub(crate) fn at(&self, index: &[usize]) -> f64 {
        self.data[self.offset(index)]
    }

    /// The position of a multi-index in `data`.
    pub(crate) fn offset(&self, index: &[usize]) -> usize {
        index.iter().zip(self.shape.dims()).fold(0, |offset, (&i, &dim)| offset * dim + i)
    }
}

/// Calls `f` with each multi-index of `dims` in row-major order.
pub(crate) fn for_each_index(dims: &[usize], mut f: impl FnMut(&[usize])) {
    let mut index = vec![0; dims.len()];
    for _ in 0..dims.iter().product::<usize>() {
        f(&index);
        for axis in (0..dims.len()).rev() {
            index[axis] += 1;
            if index[axis] < dims[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// What a step knows besides its feeds: the key of its random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The seed of the run.
    pub seed: u64,
    /// The number of the step.
    pub step: u64,
}
