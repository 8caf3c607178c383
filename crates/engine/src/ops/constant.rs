//! Values known at compile time.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use onestep_memory::{DType, Shape};

use super::{Gradients, OpRule, Site};
use crate::array::{Array, Context};
use crate::graph::{Graph, GraphError, Type, Value};

/// The elements of a constant. Those of two are equal where their bits are: -0 is not 0.
#[derive(Clone, Debug)]
pub enum ConstantData {
    /// f32 elements.
    F32(Arc<[f32]>),
    /// i32 elements.
    I32(Arc<[i32]>),
}

impl ConstantData {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        match self {
            ConstantData::F32(data) => data.len(),
            ConstantData::I32(data) => data.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their dtype.
    pub fn dtype(&self) -> DType {
        match self {
            ConstantData::F32(_) => DType::F32,
            ConstantData::I32(_) => DType::I32,
        }
    }
}

impl PartialEq for ConstantData {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (ConstantData::F32(a), ConstantData::F32(b)) => {
                a.len() == b.len() && a.iter().zip(&b[..]).all(|(a, b)| a.to_bits() == b.to_bits())
            }
            (ConstantData::I32(a), ConstantData::I32(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for ConstantData {}

impl Hash for ConstantData {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dtype().hash(state);
        match self {
            ConstantData::F32(data) => data.iter().for_each(|x| x.to_bits().hash(state)),
            ConstantData::I32(data) => data.hash(state),
        }
    }
}

/// A tensor known at compile time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Constant {
    /// The shape.
    pub shape: Shape,
    /// As many elements as the shape has.
    pub data: ConstantData,
}

impl Constant {
    /// An f32 scalar.
    pub fn scalar(value: f32) -> Self {
        Constant { shape: Shape::scalar(), data: ConstantData::F32([value].into()) }
    }

    /// The number, where the constant is an f32 scalar.
    pub fn as_scalar(&self) -> Option<f32> {
        match &self.data {
            ConstantData::F32(data) if self.shape.rank() == 0 => data.first().copied(),
            _ => None,
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_scalar() {
            Some(value) => write!(f, "constant {value}"),
            None => write!(f, "constant of {} elements", self.data.len()),
        }
    }
}

impl OpRule for Constant {
    fn name(&self) -> &'static str {
        "constant"
    }

    fn infer(&self, _inputs: &[Type]) -> Result<Type, GraphError> {
        if self.shape.elements() != self.data.len() {
            let wanted = format!("{} elements for shape {}", self.shape.elements(), self.shape);
            return Err(GraphError::shape("constant", wanted, self.data.len()));
        }
        Ok(Type { shape: self.shape.clone(), dtype: self.data.dtype() })
    }

    fn gradient(&self, _: &mut Graph, _: &Site<'_>, _: Value) -> Result<Gradients, GraphError> {
        Ok(Vec::new())
    }

    fn evaluate(&self, _: &Context, _: &[&Array], out: &Type) -> Array {
        let data = match &self.data {
            ConstantData::F32(data) => data.iter().map(|&v| f64::from(v)).collect(),
            ConstantData::I32(data) => data.iter().map(|&v| f64::from(v)).collect(),
        };
        Array { shape: out.shape.clone(), data }
    }
}
