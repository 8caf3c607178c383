//! The rows of a table that have a gradient in a step.

use crate::graph::{Graph, GraphError, Value};
use crate::ops::{Op, ScatterAdd};
use crate::parameters::ParameterGroup;
use crate::update::{GroupUpdate, StateShape};

/// A table, the only parameter of its group, whose gradient is rows added at indices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TouchedRows {
    indices: Value,
    updates: Value,
    rows: usize,
    width: usize,
    count: usize,
}

/// Which rows are read and written, i32 `[count]`, and their gradient as a vector.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundRows {
    of: TouchedRows,
    read: Value,
    write: Value,
    place: Value,
    pub(crate) gradient: Value,
}

impl TouchedRows {
    /// The rows of a group with these gradients; `None` where they are not worth it, or the gradient is made
    /// of more than lookups in the table.
    pub(crate) fn of(
        graph: &Graph,
        group: &ParameterGroup,
        gradients: &[Value],
        update: &GroupUpdate,
    ) -> Option<TouchedRows> {
        let ([table], &[gradient]) = (&group.parameters[..], gradients) else { return None };
        let node = graph.node(gradient);
        let (&Op::ScatterAdd(ScatterAdd { rows }), &[indices, updates]) =
            (&node.op, &node.inputs[..])
        else {
            return None;
        };
        let elementwise = |shape: StateShape| shape.is_elementwise();
        let count = graph.shape(indices).elements();
        let few = update.lazy || 2 * count <= rows;
        let fits = count > 0 && few && update.states.iter().all(|state| elementwise(state.shape));
        let width = table.shape.elements() / rows.max(1);
        fits.then_some(TouchedRows { indices, updates, rows, width, count })
    }

    /// Elements of the rows, of which each index has one.
    pub(crate) fn elements(&self) -> usize {
        self.count * self.width
    }

    /// Appends which rows there are, and the sum of the gradients of each.
    pub(crate) fn find(self, g: &mut Graph) -> Result<FoundRows, GraphError> {
        let indices = g.reshape(self.indices, &[self.count])?;
        let [read, write, place] = g.distinct_rows(indices, self.rows)?;
        let updates = g.reshape(self.updates, &[self.count, self.width])?;
        let sums = g.scatter_add(place, updates, self.count)?;
        let gradient = g.reshape(sums, &[self.elements()])?;
        Ok(FoundRows { of: self, read, write, place, gradient })
    }
}

impl FoundRows {
    /// The rows of the group's vector, one behind the other. Of one in which the same rows were replaced, no more
    /// than those.
    pub(crate) fn read(&self, g: &mut Graph, flat: Value) -> Result<Value, GraphError> {
        let node = g.node(under(g, flat)).clone();
        let (flat, new) = match (&node.op, &node.inputs[..]) {
            (Op::SetRows(_), &[table, indices, new])
                if under(g, indices) == under(g, self.of.indices) =>
            {
                (table, Some(new))
            }
            _ => (flat, None),
        };
        let table = g.reshape(flat, &[self.of.rows, self.of.width])?;
        let mut rows = g.gather(table, self.read)?;
        if let Some(new) = new {
            let new = g.reshape(new, &[self.of.count, self.of.width])?;
            rows = g.set_rows(rows, self.place, new)?;
        }
        g.reshape(rows, &[self.of.elements()])
    }

    /// The group's vector with the rows replaced.
    pub(crate) fn write(
        &self,
        g: &mut Graph,
        flat: Value,
        new: Value,
    ) -> Result<Value, GraphError> {
        let table = g.reshape(flat, &[self.of.rows, self.of.width])?;
        let rows = g.reshape(new, &[self.of.count, self.of.width])?;
        let table = g.set_rows(table, self.write, rows)?;
        g.reshape(table, &[self.of.rows * self.of.width])
    }
}

/// What a value is under another shape, or the only part of.
fn under(g: &Graph, value: Value) -> Value {
    let node = g.node(value);
    match (&node.op, &node.inputs[..]) {
        (Op::Reshape(_) | Op::Concat(_), &[x]) => under(g, x),
        _ => value,
    }
}
