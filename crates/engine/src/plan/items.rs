//! Items: the values that get memory of their own, with views in place of movement ops.

use std::collections::HashMap;

use onestep_memory::Shape;

use super::ids::{ItemId, lists};
use super::place::Region;
use super::types::Feed;
use super::view::View;
use crate::error::EngineError;
use crate::graph::{Graph, GraphError, Node, Phase, Type, Value};
use crate::lower::StepGraph;
use crate::ops::{AttentionGrad, ConstantData, Leaf, LeafKind, Op, ReduceKind};
use crate::state::StateLayout;

/// How an item comes to be.
#[derive(Clone, Debug)]
pub(super) enum ItemKind {
    /// It is there when the step begins, at a byte offset of a region.
    External(Region, usize),
    /// A number known at compile time.
    Number(f32),
    /// An elementwise op over operands of its own shape.
    Map(Op),
    /// The operand's elements in row-major order.
    Copy,
    /// A reduction of its operand; its own shape has 1 where axes are reduced.
    Reduce(ReduceKind),
    /// Any other op.
    Opaque(Op),
    /// Operands put into their windows of the buffer, which is first filled where they leave gaps.
    Assemble {
        /// The border's value, `None` where the windows cover everything.
        fill: Option<f32>,
        /// A window on this item for each operand.
        windows: Vec<View>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) ty: Type,
    pub(super) operands: Vec<View>,
    pub(super) label: String,
    pub(super) phase: Phase,
}

lists! { ItemId: Item; }

impl Item {
    /// Whether the step computes it: it is neither there when the step begins nor a number.
    pub(super) fn is_computed(&self) -> bool {
        !matches!(self.kind, ItemKind::External(..) | ItemKind::Number(_))
    }

    /// Whether it is computed in a fused kernel.
    pub(super) fn is_fusable(&self) -> bool {
        matches!(self.kind, ItemKind::Map(_) | ItemKind::Copy | ItemKind::Reduce(_))
    }

    /// The iteration space of a fusable item.
    pub(super) fn domain(&self) -> &Shape {
        match self.kind {
            ItemKind::Reduce(_) => &self.operands[0].shape,
            _ => &self.ty.shape,
        }
    }
}

/// All items in topological order, with where the step's roots are.
#[derive(Debug, Default)]
pub(super) struct Items {
    pub(super) items: Vec<Item>,
    pub(super) feeds: Vec<Feed>,
    pub(super) scalars: Vec<String>,
    pub(super) states: Vec<String>,
    pub(super) constants: Vec<ConstantData>,
    /// New contents of state buffers: the buffer's item and the view that becomes its content. Behind
    /// `write_back` the view is the whole of an item, which lies in that buffer.
    pub(super) writes: Vec<(ItemId, View)>,
    /// Items that lie where an operand of theirs lay, of which they change a part: the operand and the item.
    /// Set by `write_back`.
    pub(super) over: Vec<(ItemId, ItemId)>,
    pub(super) reports: Vec<(String, View)>,
    pub(super) outputs: Vec<(String, View)>,
    copies: HashMap<View, ItemId>,
    /// The position of each of `states`.
    state_positions: HashMap<String, usize>,
    /// The phase of items to come.
    phase: Phase,
}

impl Items {
    pub(super) fn new(step: &StepGraph, layout: &StateLayout) -> Result<Self, EngineError> {
        let states: Vec<String> = layout.buffers().iter().map(|b| b.name.clone()).collect();
        let state_positions = states.iter().cloned().zip(0..).collect();
        let mut items = Items { states, state_positions, ..Items::default() };
        let mut views: Vec<View> = Vec::with_capacity(step.graph.nodes().len());
        for value in step.graph.values() {
            let view = items.add(&step.graph, value, &views)?;
            views.push(view);
        }
        for write in &step.writes {
            let leaf = step
                .graph
                .find_leaf(&write.name)
                .ok_or_else(|| EngineError::UnknownState { name: write.name.clone() })?;
            let target = views[leaf.index()].item;
            items.writes.push((target, views[write.value.index()].clone()));
        }
        for named in &step.reports {
            let view = items.settled(&views[named.value.index()], &named.name);
            items.reports.push((named.name.clone(), view));
        }
        for named in &step.outputs {
            let view = items.settled(&views[named.value.index()], &named.name);
            items.outputs.push((named.name.clone(), view));
        }
        Ok(items)
    }

    /// The view that stands for a node of the graph.
    fn add(&mut self, graph: &Graph, value: Value, views: &[View]) -> Result<View, EngineError> {
        let node = graph.node(value);
        self.phase = node.phase;
        let operands: Vec<View> = node.inputs.iter().map(|i| views[i.index()].clone()).collect();
        let label = node.label.clone().unwrap_or_else(|| node.op.name().to_owned());
        let view = match (&node.op, operands.first()) {
            (Op::Reshape(reshape), Some(x)) => match x.reshaped(&reshape.shape) {
                Some(view) => view,
                None => View::whole(self.copy(x, &label), &reshape.shape),
            },
            (Op::Detach(_), Some(x)) => x.clone(),
            (Op::Permute(permute), Some(x)) => x.permuted(permute, &node.ty.shape),
            (Op::Broadcast(broadcast), Some(x)) => x.broadcast(broadcast),
            (Op::Slice(slice), Some(x)) => x.sliced(slice, &node.ty.shape),
            _ => {
                let kind = self.kind(node, &operands)?;
                let operands = match &kind {
                    // A matrix product takes any strides, but it cannot read a bare number.
                    ItemKind::Opaque(Op::MatMul(_)) => {
                        operands.iter().map(|x| self.stored(x, &label)).collect()
                    }
                    // Attention takes heads from where they lie, as long as their rows have no gaps.
                    ItemKind::Opaque(
                        Op::Attention(op) | Op::AttentionGrad(AttentionGrad { of: op }),
                    ) => {
                        let (heads, more) = operands.split_at(operands.len().min(op.operands()));
                        let heads = heads.iter().map(|x| self.rows(x, &label));
                        let mut taken: Vec<View> = heads.collect();
                        taken.extend(more.iter().map(|x| self.contiguous(x, &label)));
                        taken
                    }
                    ItemKind::Opaque(_) => {
                        operands.iter().map(|x| self.contiguous(x, &label)).collect()
                    }
                    _ => operands,
                };
                let item = self.push(kind, node.ty.clone(), operands, &label);
                View::whole(item, &node.ty.shape)
            }
        };
        Ok(view)
    }

    fn kind(&mut self, node: &Node, operands: &[View]) -> Result<ItemKind, EngineError> {
        Ok(match &node.op {
            Op::Leaf(leaf) => self.external(leaf)?,
            Op::Constant(constant) => match constant.as_scalar() {
                Some(number) => ItemKind::Number(number),
                None => {
                    self.constants.push(constant.data.clone());
                    ItemKind::External(Region::Constant(self.constants.len() - 1), 0)
                }
            },
            Op::Unary(_)
            | Op::Binary(_)
            | Op::Compare(_)
            | Op::Select(_)
            | Op::Cast(_)
            | Op::RandomUniform(_) => ItemKind::Map(node.op.clone()),
            Op::Reduce(reduce) => ItemKind::Reduce(reduce.kind),
            Op::Concat(concat) => ItemKind::Assemble {
                fill: None,
                windows: self.side_by_side(node, concat.axis, operands),
            },
            Op::Pad(pad) => {
                let whole = View::whole(ItemId(self.items.len()), &node.ty.shape);
                let skipped: usize = pad.low.iter().zip(&whole.strides).map(|(l, s)| l * s).sum();
                let window = View { offset: skipped, shape: operands[0].shape.clone(), ..whole };
                ItemKind::Assemble { fill: Some(pad.value), windows: vec![window] }
            }
            // Exhaustive on purpose: a new op must say how it is planned.
            Op::ArgMax(_)
            | Op::Variance(_)
            | Op::Gather(_)
            | Op::ScatterAdd(_)
            | Op::DistinctRows(_)
            | Op::SetRows(_)
            | Op::GatherAlong(_)
            | Op::ScatterAlong(_)
            | Op::CumSum(_)
            | Op::ArgSort(_)
            | Op::MatMul(_)
            | Op::Conv(_)
            | Op::ConvInputGrad(_)
            | Op::ConvWeightGrad(_)
            | Op::MaxPool(_)
            | Op::MaxPoolGrad(_)
            | Op::SumPool(_)
            | Op::SumPoolGrad(_)
            | Op::Attention(_)
            | Op::AttentionGrad(_)
            | Op::Recurrence(_)
            | Op::RecurrenceGrad(_)
            | Op::Ctc(_)
            | Op::CtcGrad(_)
            | Op::Softmax(_)
            | Op::LogSoftmax(_)
            | Op::CrossEntropy(_)
            | Op::CrossEntropyGrad(_) => ItemKind::Opaque(node.op.clone()),
            Op::Reshape(_) | Op::Detach(_) | Op::Permute(_) | Op::Broadcast(_) | Op::Slice(_) => {
                let what = format!("{} reached planning as an item", node.op.name());
                return Err(EngineError::Invariant { what });
            }
        })
    }

    fn side_by_side(&self, node: &Node, axis: usize, operands: &[View]) -> Vec<View> {
        let whole = View::whole(ItemId(self.items.len()), &node.ty.shape);
        let mut start = 0;
        let mut windows = Vec::with_capacity(operands.len());
        for operand in operands {
            let shape = operand.shape.clone();
            let offset = start * whole.strides[axis];
            start += shape.dims()[axis];
            windows.push(View { offset, shape, ..whole });
        }
        windows
    }

    fn external(&mut self, leaf: &Leaf) -> Result<ItemKind, EngineError> {
        let (region, offset) = match leaf.kind {
            LeafKind::Input => {
                self.feeds.push(Feed { name: leaf.name.clone(), ty: leaf.ty.clone() });
                (Region::Feed(self.feeds.len() - 1), 0)
            }
            LeafKind::Scalar => {
                self.scalars.push(leaf.name.clone());
                (Region::Scalars, (self.scalars.len() - 1) * leaf.ty.dtype.size())
            }
            LeafKind::State => {
                let position = self.state_positions.get(&leaf.name).copied();
                let unknown = || EngineError::UnknownState { name: leaf.name.clone() };
                (Region::State(position.ok_or_else(unknown)?), 0)
            }
            LeafKind::Gradient | LeafKind::OptimizerState => {
                let known = "leaves of an update rule are replaced before planning".to_owned();
                return Err(GraphError::UnknownLeaf { name: leaf.name.clone(), known }.into());
            }
            LeafKind::Parameter => {
                let known = "parameters are cut from their groups before planning".to_owned();
                return Err(GraphError::UnknownLeaf { name: leaf.name.clone(), known }.into());
            }
        };
        Ok(ItemKind::External(region, offset))
    }

    fn push(&mut self, kind: ItemKind, ty: Type, operands: Vec<View>, label: &str) -> ItemId {
        self.items.push(Item { kind, ty, operands, label: label.to_owned(), phase: self.phase });
        ItemId(self.items.len() - 1)
    }

    /// An item that holds what a view shows, made once for each view.
    fn copy(&mut self, view: &View, label: &str) -> ItemId {
        if let Some(&item) = self.copies.get(view) {
            return item;
        }
        let item = self.push_copy(view, label);
        self.copies.insert(view.clone(), item);
        item
    }

    fn copied(&mut self, view: &View, label: &str) -> View {
        View::whole(self.copy(view, label), &view.shape)
    }

    fn stored(&mut self, view: &View, label: &str) -> View {
        match self.items[view.item].kind {
            ItemKind::Number(_) => self.copied(view, label),
            _ => view.clone(),
        }
    }

    /// A view whose last axis has no gaps.
    fn rows(&mut self, view: &View, label: &str) -> View {
        let rank = view.shape.rank();
        let dense = rank == 0 || view.strides[rank - 1] == 1 || view.shape.dims()[rank - 1] == 1;
        if dense { self.stored(view, label) } else { self.copied(view, label) }
    }

    fn contiguous(&mut self, view: &View, label: &str) -> View {
        if view.is_contiguous() { self.stored(view, label) } else { self.copied(view, label) }
    }

    /// Appends an item that copies a view, whether or not there is one already.
    pub(super) fn push_copy(&mut self, view: &View, label: &str) -> ItemId {
        let ty = Type { shape: view.shape.clone(), dtype: self.items[view.item].ty.dtype };
        self.push(ItemKind::Copy, ty, vec![view.clone()], label)
    }

    /// The same step with `items` in place of these, which are found at `places` there.
    pub(super) fn moved(mut self, items: Vec<Item>, places: &[ItemId]) -> Items {
        let writes = self.writes.iter_mut().map(|(state, view)| {
            *state = places[*state];
            view
        });
        let named = self.reports.iter_mut().chain(&mut self.outputs).map(|(_, view)| view);
        writes.chain(named).for_each(|view| view.item = places[view.item]);
        self.over.iter_mut().for_each(|(old, new)| (*old, *new) = (places[*old], places[*new]));
        // Its views are of the old items, and no more are looked up.
        self.copies.clear();
        Items { items, ..self }
    }

    /// A view that will still show the value when the step is over: contiguous, and not on
    /// memory that the step itself may overwrite.
    fn settled(&mut self, view: &View, label: &str) -> View {
        match self.items[view.item].kind {
            ItemKind::External(..) => self.copied(view, label),
            _ => self.contiguous(view, label),
        }
    }
}
