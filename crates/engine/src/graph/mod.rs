//! The graph: values in SSA form with static shapes. A graph is made of ops, and the gradient of an op
//! is more of the graph, so that this module and `ops` know each other.

mod build;
mod dump;
mod error;
mod types;

pub use build::{AttentionOptions, Recurred, RecurrenceOptions, ScanOptions, Scanned, scan};
pub use error::GraphError;
pub use types::{Named, Node, Phase, Type, Value};

use std::collections::HashMap;

use crate::ops::{Leaf, LeafKind, Op, OpRule};

/// A directed acyclic graph of [`Op`]s. Nodes are stored in topological order: an input always
/// comes before its consumer.
///
/// ```
/// use onestep_engine::{DType, Graph};
/// # fn main() -> Result<(), onestep_engine::GraphError> {
/// let mut g = Graph::new();
/// let x = g.input("input", &[4, 3], DType::F32)?;
/// let w = g.parameter("fc.weight", &[3, 2])?;
/// let y = g.matmul(x, w)?;
/// assert_eq!(g.shape(y).dims(), &[4, 2]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    /// The leaves in order of creation, and where each name is.
    leaves: Vec<Value>,
    by_name: HashMap<String, Value>,
    streams: u32,
    /// Results by the name of what they are results of.
    marks: Vec<(String, Value)>,
    composites: Vec<Composite>,
    /// The phase of nodes to come.
    phase: Phase,
}

/// A composite that was written out: a value that primitives compute, and the op that it is.
#[derive(Clone, Debug)]
pub struct Composite {
    /// The result of the primitives.
    pub value: Value,
    /// What they compute together.
    pub op: Op,
    /// Its operands.
    pub inputs: Vec<Value>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a node after checking its inputs against the op's shape rule.
    ///
    /// # Errors
    /// The shape rule's own error: a wrong rank, shape, dtype or attribute.
    pub fn push(&mut self, op: Op, inputs: &[Value]) -> Result<Value, GraphError> {
        let types = inputs.iter().map(|&v| self.type_of(v).clone()).collect::<Vec<_>>();
        let ty = op.rule().infer(&types)?;
        let value = Value::new(self.nodes.len());
        if let Op::Leaf(leaf) = &op {
            self.leaves.push(value);
            self.by_name.entry(leaf.name.clone()).or_insert(value);
        }
        self.nodes.push(Node { op, inputs: inputs.to_vec(), ty, label: None, phase: self.phase });
        Ok(value)
    }

    /// Says to which part of a step the nodes to come belong.
    pub(crate) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Appends a leaf, whose name must be new to the graph.
    pub(crate) fn push_leaf(&mut self, leaf: Leaf) -> Result<Value, GraphError> {
        if self.find_leaf(&leaf.name).is_some() {
            return Err(GraphError::DuplicateLeaf { name: leaf.name });
        }
        self.push(Op::Leaf(leaf), &[])
    }

    /// The next free number of a random stream: each random node of a graph draws its own numbers.
    pub(crate) fn next_stream(&mut self) -> u32 {
        self.streams += 1;
        self.streams - 1
    }

    /// All nodes in topological order.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// All values in topological order.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = Value> + use<> {
        (0..self.nodes.len()).map(Value::new)
    }

    /// The node that defines `value`.
    pub fn node(&self, value: Value) -> &Node {
        &self.nodes[value.index()]
    }

    /// The op that defines `value`.
    pub fn op(&self, value: Value) -> &Op {
        &self.node(value).op
    }

    /// Shape and dtype of `value`.
    pub fn type_of(&self, value: Value) -> &Type {
        &self.node(value).ty
    }

    /// The shape of `value`.
    pub fn shape(&self, value: Value) -> &onestep_memory::Shape {
        &self.node(value).ty.shape
    }

    /// Gives `value` a name that dumps and errors show, such as the layer it belongs to.
    pub fn label(&mut self, value: Value, label: &str) {
        if let Some(node) = self.nodes.get_mut(value.index()) {
            node.label = Some(label.to_owned());
        }
    }

    /// Gives the nodes from the `first`-th on that have no name yet this one.
    pub fn label_fresh(&mut self, first: usize, label: &str) {
        for node in self.nodes.iter_mut().skip(first).filter(|node| node.label.is_none()) {
            node.label = Some(label.to_owned());
        }
    }

    /// Says that a value is the result of what is called `name`, such as a layer. Several may have the
    /// same value; a name that was there before is given anew.
    pub fn mark(&mut self, name: &str, value: Value) {
        match self.marks.iter_mut().find(|(own, _)| own == name) {
            Some((_, marked)) => *marked = value,
            None => self.marks.push((name.to_owned(), value)),
        }
    }

    /// The results that were [marked](Graph::mark) by name, in order.
    pub fn marks(&self) -> &[(String, Value)] {
        &self.marks
    }

    /// Labels the nodes from `first` on that have none yet: gradients carry their layer's name.
    pub(crate) fn label_from(&mut self, first: usize, label: Option<&str>) {
        let Some(label) = label else { return };
        for node in &mut self.nodes[first..] {
            node.label.get_or_insert_with(|| format!("{label} backward"));
        }
    }

    /// Which values the targets depend on.
    pub(crate) fn live(&self, targets: &[Value]) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for target in targets {
            live[target.index()] = true;
        }
        for value in self.values().rev() {
            if live[value.index()] {
                for input in &self.node(value).inputs {
                    live[input.index()] = true;
                }
            }
        }
        live
    }

    /// The leaf called `name`, if there is one.
    pub fn find_leaf(&self, name: &str) -> Option<Value> {
        self.by_name.get(name).copied()
    }

    /// The leaves of one kind with their names, in order of creation.
    pub fn leaves(&self, kind: LeafKind) -> impl Iterator<Item = (&str, Value)> {
        self.leaves.iter().filter_map(move |&v| match self.op(v) {
            Op::Leaf(l) if l.kind == kind => Some((l.name.as_str(), v)),
            _ => None,
        })
    }

    /// The composites that [`Graph::splice`] has written out.
    pub fn composites(&self) -> &[Composite] {
        &self.composites
    }

    /// Copies the nodes of `other` behind this graph's own. A leaf of `other` for which
    /// `substitute` has a value is replaced by that value. Composites become the primitives of which
    /// they are made, and [`Graph::composites`] says which. Returns the new value of each node of
    /// `other`. Composites with a gradient of their own stay as they are.
    ///
    /// # Errors
    /// A leaf name that exists on both sides, or a substitute of another type.
    pub fn splice(
        &mut self,
        other: &Graph,
        substitute: impl FnMut(Value, &Leaf) -> Option<Value>,
    ) -> Result<Vec<Value>, GraphError> {
        self.splice_as(other, substitute, |rule| !rule.is_whole())
    }

    /// The same graph in primitives alone, for who knows no composite at all, and the new value of each of its
    /// nodes.
    ///
    /// # Errors
    /// None in practice.
    pub fn primitives(&self) -> Result<(Graph, Vec<Value>), GraphError> {
        let mut graph = Graph::new();
        let map = graph.splice_as(self, |_, _| None, |_| true)?;
        Ok((graph, map))
    }

    fn splice_as(
        &mut self,
        other: &Graph,
        mut substitute: impl FnMut(Value, &Leaf) -> Option<Value>,
        written_out: fn(&dyn OpRule) -> bool,
    ) -> Result<Vec<Value>, GraphError> {
        let mut map: Vec<Value> = Vec::with_capacity(other.nodes.len());
        // What a composite is made of may stand in `other` too, and is the same value then, so that it
        // has one gradient.
        let mut parts: HashMap<(Op, Vec<Value>), Value> = HashMap::new();
        for node in &other.nodes {
            let replaced = match &node.op {
                Op::Leaf(leaf) => substitute(Value::new(map.len()), leaf),
                _ => None,
            };
            let value = match (replaced, &node.op) {
                (Some(v), _) => {
                    if self.type_of(v) != &node.ty {
                        return Err(GraphError::shape("splice", &node.ty, self.type_of(v)));
                    }
                    v
                }
                (None, Op::Leaf(leaf)) => self.push_leaf(leaf.clone())?,
                (None, op) => {
                    let inputs: Vec<Value> = node.inputs.iter().map(|i| map[i.index()]).collect();
                    self.copy(op, inputs, node.label.as_deref(), written_out, &mut parts)?
                }
            };
            map.push(value);
        }
        let at = |value: Value| map[value.index()];
        self.composites.extend(other.composites.iter().map(|composite| Composite {
            value: at(composite.value),
            op: composite.op.clone(),
            inputs: composite.inputs.iter().copied().map(at).collect(),
        }));
        Ok(map)
    }

    /// Appends a node of another graph, as primitives. `parts` are the primitives of composites so far.
    fn copy(
        &mut self,
        op: &Op,
        inputs: Vec<Value>,
        label: Option<&str>,
        written_out: fn(&dyn OpRule) -> bool,
        parts: &mut HashMap<(Op, Vec<Value>), Value>,
    ) -> Result<Value, GraphError> {
        let first = self.nodes.len();
        let whole = match written_out(op.rule()) {
            true => op.rule().decompose(self, &inputs)?,
            false => None,
        };
        let value = match whole {
            Some(value) => {
                let new = self.nodes[first..].iter().zip(first..);
                parts.extend(new.map(|(n, i)| ((n.op.clone(), n.inputs.clone()), Value::new(i))));
                self.composites.push(Composite { value, op: op.clone(), inputs });
                value
            }
            None if parts.is_empty() => self.push(op.clone(), &inputs)?,
            None => {
                let key = (op.clone(), inputs);
                match parts.get(&key) {
                    Some(&known) => known,
                    None => self.push(key.0, &key.1)?,
                }
            }
        };
        if let Some(label) = label {
            self.label_fresh(first, label);
        }
        Ok(value)
    }
}
