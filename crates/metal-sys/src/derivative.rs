//! The backward pass of a graph.

use crate::error::MetalError;
use crate::graph::{DType, NodeDescription, raw_graph, raw_nodes};
use crate::native::{check, struct_bytes};
use crate::op_code::OpCode;
use crate::raw;

/// The nodes of a backward pass, which the shim owns.
struct Derivative(*mut raw::onestep_derivative);

impl Drop for Derivative {
    fn drop(&mut self) {
        // SAFETY: the handle is owned and released once; NULL is allowed.
        unsafe { raw::onestep_derivative_release(self.0) }
    }
}

/// Appends the gradients of the scalar `loss` in `values` to a graph, and gives the number of each. The
/// engine has its own; this is for graphs that are written by hand.
///
/// # Errors
/// [`MetalError::InvalidArgument`] naming the node, [`MetalError::Unsupported`] naming an op that has no
/// gradient.
pub fn append_gradients(
    graph: &mut Vec<NodeDescription>,
    loss: u32,
    values: &[u32],
) -> Result<Vec<u32>, MetalError> {
    let nodes = raw_nodes(graph);
    let described = raw_graph(&nodes);
    let mut gradients = vec![raw::NO_VALUE; values.len()];
    let mut args = raw::onestep_differentiate_args {
        struct_bytes: struct_bytes::<raw::onestep_differentiate_args>(),
        graph: &described,
        values: values.as_ptr(),
        value_count: values.len() as u64,
        loss,
        reserved: 0,
        gradients: gradients.as_mut_ptr(),
        derivative: std::ptr::null_mut(),
    };
    // SAFETY: every pointer is valid for the count beside it during the call.
    check(unsafe { raw::onestep_graph_differentiate(&mut args) })?;
    let derivative = Derivative(args.derivative);
    let mut added = raw::onestep_graph { nodes: std::ptr::null(), node_count: 0 };
    // SAFETY: the handle is alive and the pointer is valid for a write.
    check(unsafe { raw::onestep_derivative_nodes(derivative.0, &mut added) })?;
    for i in 0..added.node_count as usize {
        // SAFETY: the shim says that there are so many nodes, which live as long as the derivative.
        graph.push(unsafe { description(&*added.nodes.add(i)) }?);
    }
    Ok(gradients)
}

/// A node of the shim's as one of ours.
///
/// # Safety
/// What the node points to is there.
unsafe fn description(node: &raw::onestep_node) -> Result<NodeDescription, MetalError> {
    let unknown =
        || MetalError::Internal(format!("a node of op {} and dtype {}", node.op, node.dtype));
    let op = OpCode::ALL.iter().copied().find(|&op| op as u32 == node.op).ok_or_else(unknown)?;
    let dtypes = [DType::F32, DType::F16, DType::Bf16, DType::I32, DType::U8];
    let dtype = dtypes.into_iter().find(|&d| d as u32 == node.dtype).ok_or_else(unknown)?;
    let dims = node.dims.get(..node.rank as usize).ok_or_else(unknown)?;
    let inputs = match node.input_count {
        0 => &[][..],
        // SAFETY: the node has as many operands as it says.
        count => unsafe { std::slice::from_raw_parts(node.inputs, count as usize) },
    };
    let mut out = NodeDescription::new(op, dtype, dims, inputs);
    (out.ints, out.floats) = (node.ints, node.floats);
    if !node.data.is_null() {
        // SAFETY: a constant's data has as many bytes as the node says.
        let data =
            unsafe { std::slice::from_raw_parts(node.data.cast(), node.data_bytes as usize) };
        out.data = Some(data.into());
    }
    Ok(out)
}
