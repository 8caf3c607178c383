//! Builder methods: leaves and constants.

use std::sync::Arc;

use onestep_memory::{DType, Shape};

use crate::graph::{Graph, GraphError, Type, Value};
use crate::ops::{Constant, ConstantData, Leaf, LeafKind, Op, RandomUniform};

/// Leaves and constants.
impl Graph {
    /// A value that is fed at each step.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn input(&mut self, name: &str, dims: &[usize], dtype: DType) -> Result<Value, GraphError> {
        self.leaf(LeafKind::Input, name, dims, dtype)
    }

    /// A learned f32 value that stays on the device.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn parameter(&mut self, name: &str, dims: &[usize]) -> Result<Value, GraphError> {
        self.leaf(LeafKind::Parameter, name, dims, DType::F32)
    }

    /// An f32 value kept between steps, such as running statistics.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn state(&mut self, name: &str, dims: &[usize]) -> Result<Value, GraphError> {
        self.leaf(LeafKind::State, name, dims, DType::F32)
    }

    /// In the graph of an update rule: the gradient of a group of parameters.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn gradient(&mut self, name: &str, dims: &[usize]) -> Result<Value, GraphError> {
        self.leaf(LeafKind::Gradient, name, dims, DType::F32)
    }

    /// In the graph of an update rule: what it keeps from step to step.
    ///
    /// # Errors
    /// The name is taken, or the shape is not a tensor's.
    pub fn optimizer_state(&mut self, name: &str, dims: &[usize]) -> Result<Value, GraphError> {
        self.leaf(LeafKind::OptimizerState, name, dims, DType::F32)
    }

    /// An f32 number that may change at each step. Asking for it again gives the same value.
    ///
    /// # Errors
    /// The name is taken by a leaf of another kind.
    pub fn scalar(&mut self, name: &str) -> Result<Value, GraphError> {
        let is_scalar =
            |&v: &Value| matches!(self.op(v), Op::Leaf(l) if l.kind == LeafKind::Scalar);
        match self.find_leaf(name).filter(is_scalar) {
            Some(value) => Ok(value),
            None => self.leaf(LeafKind::Scalar, name, &[], DType::F32),
        }
    }

    fn leaf(
        &mut self,
        kind: LeafKind,
        name: &str,
        dims: &[usize],
        dtype: DType,
    ) -> Result<Value, GraphError> {
        let ty = Type { shape: Shape::new(dims)?, dtype };
        self.push_leaf(Leaf { kind, name: name.to_owned(), ty })
    }

    /// An f32 scalar known at compile time.
    ///
    /// # Errors
    /// None in practice; the signature is that of its siblings.
    pub fn constant(&mut self, value: f32) -> Result<Value, GraphError> {
        self.push(Op::Constant(Constant::scalar(value)), &[])
    }

    /// An f32 tensor known at compile time.
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn constant_tensor(&mut self, dims: &[usize], data: &[f32]) -> Result<Value, GraphError> {
        let data = ConstantData::F32(Arc::from(data));
        self.push(Op::Constant(Constant { shape: Shape::new(dims)?, data }), &[])
    }

    /// An i32 tensor known at compile time.
    ///
    /// # Errors
    /// The number of elements is not that of the shape.
    pub fn constant_indices(&mut self, dims: &[usize], data: &[i32]) -> Result<Value, GraphError> {
        let data = ConstantData::I32(Arc::from(data));
        self.push(Op::Constant(Constant { shape: Shape::new(dims)?, data }), &[])
    }

    /// Uniform f32 numbers in `[0, 1)`, fresh at each step.
    ///
    /// # Errors
    /// The shape is not a tensor's.
    pub fn random_uniform(&mut self, dims: &[usize]) -> Result<Value, GraphError> {
        let stream = self.next_stream();
        self.push(Op::RandomUniform(RandomUniform { shape: Shape::new(dims)?, stream }), &[])
    }
}
