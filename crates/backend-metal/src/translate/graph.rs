//! A graph as a list of nodes, without what nobody needs.

use onestep_engine::ops::{Binary, Constant, ConstantData, Leaf, Op, Reduce, ReduceKind};
use onestep_engine::{EngineError, Graph, Node, Value};
use onestep_metal_sys::{NodeDescription, OpCode};

use super::op;
use crate::error::unsupported;

/// A graph in the shim's terms.
#[derive(Debug)]
pub(crate) struct Nodes {
    /// The nodes; operands come first.
    pub(crate) list: Vec<NodeDescription>,
    /// The number of each value of the graph, where it is needed.
    numbers: Vec<Option<u32>>,
}

impl Nodes {
    /// Translates what the values `roots` need of a graph of primitives. `leaf` says what a leaf stands
    /// for.
    pub(super) fn new(
        graph: &Graph,
        roots: &[Value],
        mut leaf: impl FnMut(&Leaf) -> Result<Source, EngineError>,
    ) -> Result<Self, EngineError> {
        let live = live(graph, roots);
        let mut nodes = Nodes { list: Vec::new(), numbers: vec![None; live.len()] };
        for value in graph.values().filter(|v| live[v.index()]) {
            let node = graph.node(value);
            if node.ty.shape.elements() == 0 {
                // Concatenation alone does without its empty operands.
                continue;
            }
            let description = match &node.op {
                Op::Leaf(at) => leaf(at)?.node(&node.ty),
                Op::Concat(_) => op::node(node, &nodes.present(&node.inputs))?,
                Op::Reduce(Reduce { kind: ReduceKind::Mean, axes }) if !axes.is_empty() => {
                    nodes.mean(graph, value)?
                }
                other => {
                    let inputs = node.inputs.iter().map(|&input| nodes.number(input));
                    let inputs = inputs.collect::<Result<Vec<u32>, _>>();
                    op::node(node, &inputs.map_err(|_| empty_operand(other))?)?
                }
            };
            nodes.push(value, description);
        }
        Ok(nodes)
    }

    /// A mean, which the shim knows as a sum and a division.
    fn mean(&mut self, graph: &Graph, value: Value) -> Result<NodeDescription, EngineError> {
        let node = graph.node(value);
        let (Op::Reduce(reduce), &[x]) = (&node.op, &node.inputs[..]) else {
            return Err(unsupported(node.op.to_string(), "it is no mean"));
        };
        let operand = self.number(x).map_err(|_| empty_operand(&node.op))?;
        let sum = Op::Reduce(Reduce { kind: ReduceKind::Sum, axes: reduce.axes.clone() });
        let sum = self.append(op::node(&Node { op: sum, ..node.clone() }, &[operand])?);
        let count = reduce.count(graph.shape(x).dims()) as f32;
        let data = ConstantData::F32(vec![count; node.ty.shape.elements()].into());
        let count = Op::Constant(Constant { shape: node.ty.shape.clone(), data });
        let count = Node { op: count, ..node.clone() };
        let count = self.append(op::node(&count, &[])?);
        let division = Node { op: Op::Binary(Binary::Div), ..node.clone() };
        op::node(&division, &[sum, count])
    }

    fn push(&mut self, value: Value, node: NodeDescription) {
        self.numbers[value.index()] = Some(self.next());
        self.list.push(node);
    }

    /// The number of the next node. A graph of four billion nodes does not fit in memory.
    fn next(&self) -> u32 {
        self.list.len() as u32
    }

    /// Adds a node that no value of the graph stands for.
    fn append(&mut self, node: NodeDescription) -> u32 {
        self.list.push(node);
        self.next() - 1
    }

    /// The number of a value, unless it has no elements.
    pub(super) fn find(&self, value: Value) -> Option<u32> {
        self.numbers.get(value.index()).copied().flatten()
    }

    /// The number of a value.
    pub(super) fn number(&self, value: Value) -> Result<u32, EngineError> {
        self.find(value).ok_or_else(|| unsupported(format!("value {value}"), "it has no elements"))
    }

    fn present(&self, values: &[Value]) -> Vec<u32> {
        values.iter().filter_map(|v| self.numbers[v.index()]).collect()
    }

    /// For each value of the graph whether it is computed.
    pub(crate) fn live(&self) -> Vec<bool> {
        self.numbers.iter().map(Option::is_some).collect()
    }
}

fn empty_operand(op: &Op) -> EngineError {
    unsupported(op.to_string(), "MPSGraph has no tensors without elements")
}

/// For each value whether one of `roots` needs it.
fn live(graph: &Graph, roots: &[Value]) -> Vec<bool> {
    let mut live = vec![false; graph.nodes().len()];
    for root in roots {
        live[root.index()] = true;
    }
    for value in graph.values().rev() {
        if live[value.index()] {
            for input in &graph.node(value).inputs {
                live[input.index()] = true;
            }
        }
    }
    live
}

/// What a leaf stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A fed tensor.
    Feed(usize),
    /// A buffer of the state table.
    State(usize),
    /// A scalar.
    Scalar(usize),
}

impl Source {
    /// Its node.
    pub(super) fn node(self, ty: &onestep_engine::Type) -> NodeDescription {
        let (code, index) = match self {
            Source::Feed(index) => (OpCode::Feed, index),
            Source::State(index) => (OpCode::State, index),
            Source::Scalar(index) => (OpCode::Scalar, index),
        };
        op::of_type(code, ty, &[]).with_ints(0, &[op::int(index)])
    }
}

#[cfg(test)]
mod tests {
    use onestep_engine::DType;

    use super::*;

    #[test]
    fn what_nobody_needs_is_left_out() -> Result<(), EngineError> {
        let mut graph = Graph::new();
        let unused = graph.input("unused", &[2], DType::F32)?;
        let x = graph.input("x", &[2], DType::F32)?;
        let dead = graph.exp(unused)?;
        let y = graph.neg(x)?;
        let nodes = Nodes::new(&graph, &[y], |_| Ok(Source::Feed(1)))?;
        assert_eq!(nodes.live(), [false, true, false, true]);
        assert_eq!(nodes.number(y)?, 1);
        assert!(nodes.number(dead).is_err());
        let codes: Vec<OpCode> = nodes.list.iter().map(|n| n.op).collect();
        assert_eq!(codes, [OpCode::Feed, OpCode::Neg]);
        assert_eq!((nodes.list[0].ints[0], nodes.list[1].inputs.as_slice()), (1, &[0][..]));
        Ok(())
    }

    #[test]
    fn empty_tensors_go_where_they_can() -> Result<(), EngineError> {
        let mut graph = Graph::new();
        let x = graph.input("x", &[3], DType::F32)?;
        let none = graph.slice(x, &[1], &[1])?;
        let both = graph.concat(&[none, x], 0)?;
        let sum = graph.sum_all(none)?;
        let feed = |_: &Leaf| Ok(Source::Feed(0));
        let nodes = Nodes::new(&graph, &[both], feed)?;
        assert_eq!(nodes.list[1].inputs, [0]);
        let error = Nodes::new(&graph, &[sum], feed).unwrap_err().to_string();
        assert!(error.contains("reduce_sum") && error.contains("without elements"), "{error}");
        Ok(())
    }
}
