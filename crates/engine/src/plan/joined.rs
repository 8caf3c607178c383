//! Parts side by side: the sum of zero-bordered parts that do not overlap, which is what automatic
//! differentiation makes of the gradients of slices.

use super::simplify::Rewriter;
use crate::graph::{GraphError, Value};
use crate::ops::{Binary, Concat, Op};

/// A part with zeros around it along one axis.
#[derive(Clone, Copy)]
struct Part {
    value: Value,
    axis: usize,
    low: usize,
    size: usize,
}

impl Rewriter {
    /// The parts of which `a + b` is, joined, if they are zero-bordered and fill one axis.
    pub(super) fn joined(
        &mut self,
        [a, b]: [Value; 2],
        label: Option<&str>,
    ) -> Result<Option<Value>, GraphError> {
        let Some(mut parts) = self.parts([a, b]) else { return Ok(None) };
        parts.sort_by_key(|part| part.low);
        let mut end = 0;
        for part in &parts {
            if part.axis != parts[0].axis || part.low != end {
                return Ok(None);
            }
            end += part.size;
        }
        let axis = parts[0].axis;
        if end != self.graph.shape(a).dims()[axis] {
            return Ok(None);
        }
        let values: Vec<Value> = parts.iter().map(|part| part.value).collect();
        self.add(&Op::Concat(Concat { axis }), &values, label).map(Some)
    }

    /// The terms of a sum, if each is such a part. A sum of `n` terms is `n - 1` additions of a part to a sum.
    fn parts(&self, sum: [Value; 2]) -> Option<Vec<Part>> {
        let (mut sum, mut parts) = (sum, Vec::new());
        loop {
            let [a, b] = sum;
            let rest = match (self.part(a), self.part(b)) {
                (Some(a), Some(b)) => {
                    parts.extend([a, b]);
                    return Some(parts);
                }
                (Some(part), None) => {
                    parts.push(part);
                    b
                }
                (None, Some(part)) => {
                    parts.push(part);
                    a
                }
                (None, None) => return None,
            };
            let node = self.graph.node(rest);
            match (&node.op, &node.inputs[..]) {
                (Op::Binary(Binary::Add), &[a, b]) => sum = [a, b],
                _ => return None,
            }
        }
    }

    fn part(&self, value: Value) -> Option<Part> {
        let node = self.graph.node(value);
        let (Op::Pad(pad), &[inner]) = (&node.op, &node.inputs[..]) else { return None };
        let mut bordered = pad.low.iter().zip(&pad.high).map(|(low, high)| low + high > 0);
        let axis = bordered.position(|has| has)?;
        if pad.value != 0.0 || bordered.any(|has| has) {
            return None;
        }
        let size = self.graph.shape(inner).dims()[axis];
        Some(Part { value: inner, axis, low: pad.low[axis], size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Graph, Named};
    use crate::lower::StepGraph;
    use crate::plan::simplify::simplify;
    use onestep_memory::DType;

    /// The op of what becomes of the sum of these windows `(axis, low, high)` of `[4, 6]`, of parts that are read.
    fn of_sum(windows: &[(usize, usize, usize)], value: f32) -> Result<Op, GraphError> {
        let mut graph = Graph::new();
        let mut sum: Option<Value> = None;
        for (i, &(axis, low, high)) in windows.iter().enumerate() {
            let mut dims = [4, 6];
            dims[axis] -= low + high;
            let x = graph.input(&format!("x{i}"), &dims, DType::F32)?;
            let (mut before, mut behind) = ([0; 2], [0; 2]);
            (before[axis], behind[axis]) = (low, high);
            let part = graph.pad(x, &before, &behind, value)?;
            sum = Some(match sum {
                Some(sum) if i % 2 == 0 => graph.add(sum, part)?,
                Some(sum) => graph.add(part, sum)?,
                None => part,
            });
        }
        let value = sum.ok_or_else(|| GraphError::shape("sum", "a window", "none"))?;
        let outputs = vec![Named::new("sum", value)];
        let step = StepGraph { graph, outputs, writes: Vec::new(), reports: Vec::new() };
        let step = simplify(&step)?;
        Ok(step.graph.op(step.outputs[0].value).clone())
    }

    #[test]
    fn parts_that_fill_an_axis_are_joined_and_no_others() -> Result<(), GraphError> {
        let joined = |axis| Op::Concat(Concat { axis });
        assert_eq!(of_sum(&[(1, 0, 4), (1, 2, 0)], 0.0)?, joined(1));
        assert_eq!(of_sum(&[(1, 3, 0), (1, 0, 5), (1, 1, 3)], 0.0)?, joined(1));
        assert_eq!(of_sum(&[(0, 1, 1), (0, 3, 0), (0, 0, 3)], 0.0)?, joined(0));
        let sum = Op::Binary(Binary::Add);
        // A gap, an overlap, two axes, other borders.
        assert_eq!(of_sum(&[(1, 0, 4), (1, 3, 0)], 0.0)?, sum);
        assert_eq!(of_sum(&[(1, 0, 3), (1, 2, 0)], 0.0)?, sum);
        assert_eq!(of_sum(&[(1, 0, 4), (0, 2, 0)], 0.0)?, sum);
        assert_eq!(of_sum(&[(1, 0, 4), (1, 2, 0)], 1.0)?, sum);
        Ok(())
    }
}
