//! Graphs as the shim takes them.

use std::sync::Arc;

use crate::op_code::OpCode;
use crate::raw;

/// Element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum DType {
    /// 32-bit float.
    F32 = 0,
    /// 16-bit float.
    F16 = 1,
    /// 16-bit float with 8 bits of exponent.
    Bf16 = 2,
    /// 32-bit signed integer.
    I32 = 3,
    /// 8-bit unsigned integer.
    U8 = 4,
}

/// One value of a graph and the op that makes it. Node `i` of a list defines value `i`.
#[derive(Clone, Debug)]
pub struct NodeDescription {
    /// The op.
    pub op: OpCode,
    /// The element type of the result.
    pub dtype: DType,
    /// The shape of the result, at most [`raw::MAX_RANK`] axes.
    pub dims: Vec<i64>,
    /// The operands, earlier in the list.
    pub inputs: Vec<u32>,
    /// Integer attributes: see `ONESTEP_OPS` in the shim's `onestep.h`.
    pub ints: [i64; raw::NODE_INTS],
    /// Float attributes.
    pub floats: [f64; raw::NODE_FLOATS],
    /// The elements of a constant.
    pub data: Option<Arc<[u8]>>,
}

impl NodeDescription {
    /// A node without attributes.
    pub fn new(op: OpCode, dtype: DType, dims: &[i64], inputs: &[u32]) -> Self {
        NodeDescription {
            op,
            dtype,
            dims: dims.to_vec(),
            inputs: inputs.to_vec(),
            ints: [0; raw::NODE_INTS],
            floats: [0.0; raw::NODE_FLOATS],
            data: None,
        }
    }

    /// The same node with integer attributes from position `at` on. Those that do not fit are left
    /// out, and the shim then refuses the node.
    #[must_use]
    pub fn with_ints(mut self, at: usize, ints: &[i64]) -> Self {
        for (slot, &value) in self.ints.iter_mut().skip(at).zip(ints) {
            *slot = value;
        }
        self
    }

    /// The same node with its first float attribute.
    #[must_use]
    pub fn with_float(mut self, value: f64) -> Self {
        self.floats[0] = value;
        self
    }

    /// The same node with the elements of a constant.
    #[must_use]
    pub fn with_data(mut self, data: impl Into<Arc<[u8]>>) -> Self {
        self.data = Some(data.into());
        self
    }
}

/// The nodes as the C interface takes them; they point into `nodes`.
pub(crate) fn raw_nodes(nodes: &[NodeDescription]) -> Vec<raw::onestep_node> {
    nodes.iter().map(raw_node).collect()
}

/// The nodes as a graph.
pub(crate) fn raw_graph(nodes: &[raw::onestep_node]) -> raw::onestep_graph {
    raw::onestep_graph { nodes: nodes.as_ptr(), node_count: nodes.len() as u64 }
}

fn raw_node(node: &NodeDescription) -> raw::onestep_node {
    let mut dims = [0; raw::MAX_RANK];
    for (slot, &dim) in dims.iter_mut().zip(&node.dims) {
        *slot = dim;
    }
    raw::onestep_node {
        op: node.op as u32,
        dtype: node.dtype as u32,
        // A rank above the limit is passed on as it is, so that the shim refuses it.
        rank: u32::try_from(node.dims.len()).unwrap_or(u32::MAX),
        input_count: u32::try_from(node.inputs.len()).unwrap_or(u32::MAX),
        dims,
        inputs: node.inputs.as_ptr(),
        ints: node.ints,
        floats: node.floats,
        data: node.data.as_ref().map_or(std::ptr::null(), |d| d.as_ptr().cast()),
        data_bytes: node.data.as_ref().map_or(0, |d| d.len() as u64),
    }
}
