//! The spread around a mean: a named composite, so that whoever computes a value can take the moments of
//! it on the way.

use onestep_memory::{DType, Shape};

use super::{
    Gradients, OpRule, Reduce, ReduceKind, Site, expect_dtype, expect_inputs, expect_shape,
};
use crate::array::{Array, Context, for_each_index};
use crate::graph::{Graph, GraphError, Type, Value};

/// `mean((x - centre)²)` of an f32 operand over some axes, which stay in the shape as 1, as they are in
/// the shape of `centre`. It is the biased variance where `centre` is the mean.
///
/// Two passes: the mean of squares minus the square of the mean would cancel where the mean is far from 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Variance {
    /// The axes, ascending and distinct.
    pub axes: Vec<usize>,
}

impl Variance {
    fn mean(&self) -> Reduce {
        Reduce { kind: ReduceKind::Mean, axes: self.axes.clone() }
    }
}

impl OpRule for Variance {
    fn name(&self) -> &'static str {
        "variance"
    }

    fn infer(&self, inputs: &[Type]) -> Result<Type, GraphError> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_dtype(self.name(), &inputs[1], DType::F32)?;
        let out = self.mean().infer(&inputs[..1])?;
        expect_shape(self.name(), &inputs[1], &out.shape)?;
        Ok(out)
    }

    fn gradient(
        &self,
        g: &mut Graph,
        site: &Site<'_>,
        grad: Value,
    ) -> Result<Gradients, GraphError> {
        let [x, centre] = [site.inputs[0], site.inputs[1]];
        let count = self.mean().count(g.shape(x).dims()) as f32;
        let each = g.scale(grad, 2.0 / count)?;
        let centred = g.sub(x, centre)?;
        let of_x = g.mul(centred, each)?;
        let sum = g.sum(of_x, &self.axes, true)?;
        Ok(vec![Some(of_x), Some(g.neg(sum)?)])
    }

    fn evaluate(&self, _: &Context, inputs: &[&Array], out: &Type) -> Array {
        let mut result = Array::filled(&out.shape, 0.0);
        let mut target = vec![0; out.shape.rank()];
        let dims = inputs[0].shape.dims();
        for_each_index(dims, |index| {
            for (axis, slot) in target.iter_mut().enumerate() {
                *slot = if self.axes.contains(&axis) { 0 } else { index[axis] };
            }
            let offset = result.offset(&target);
            result.data[offset] += (inputs[0].at(index) - inputs[1].data[offset]).powi(2);
        });
        let count = self.mean().count(dims) as f64;
        result.data.iter_mut().for_each(|sum| *sum /= count);
        result
    }

    fn decompose(&self, g: &mut Graph, inputs: &[Value]) -> Result<Option<Value>, GraphError> {
        let &[x, centre] = inputs else {
            return Err(GraphError::shape(self.name(), "2 operands", inputs.len()));
        };
        let centred = g.sub(x, centre)?;
        let squares = g.square(centred)?;
        Ok(Some(g.mean(squares, &self.axes, true)?))
    }
}

/// Whether the axes are all but the second, a picture's channels.
pub(crate) fn keeps_channels(axes: &[usize], x: &Shape) -> bool {
    x.rank() == 4 && axes == [0, 2, 3]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::reference::evaluate;

    /// The variance of `[2, 3, 2]` around any centre, with its gradients in both, and what its
    /// decomposition gives for the same.
    #[test]
    fn the_decomposition_means_the_same_and_has_the_same_gradient() -> Result<(), GraphError> {
        let values = |graph: &Graph, roots: &[Value]| -> Result<Vec<Vec<f64>>, GraphError> {
            let data =
                |count: usize, step: f64| (0..count).map(|i| (i as f64 * step).sin()).collect();
            let array = |dims: &[usize], step| {
                Array::new(Shape::new(dims)?, data(dims.iter().product(), step))
            };
            let leaves = HashMap::from([
                ("x".to_owned(), array(&[2, 3, 2], 0.7)?),
                ("centre".to_owned(), array(&[1, 3, 1], 1.3)?),
            ]);
            let all = evaluate(graph, &leaves, &Context::default(), roots)?;
            Ok(all.into_iter().map(|array| array.data).collect())
        };
        let mut whole = Graph::new();
        let x = whole.parameter("x", &[2, 3, 2])?;
        let centre = whole.parameter("centre", &[1, 3, 1])?;
        let y = whole.variance(x, centre, &[0, 2])?;
        let loss = whole.sum_all(y)?;
        let mut parts = Graph::new();
        let map = parts.splice(&whole, |_, _| None)?;
        assert!(!parts.nodes().iter().any(|node| node.op.name() == "variance"));
        assert_eq!(parts.composites()[0].value, map[y.index()]);

        let got = crate::gradients(&mut whole, loss, &[x, centre])?;
        let at = |value: Value| map[value.index()];
        let want = crate::gradients(&mut parts, at(loss), &[at(x), at(centre)])?;
        let got = values(&whole, &[&[y], &got[..]].concat())?;
        let want = values(&parts, &[&[at(y)], &want[..]].concat())?;
        assert!(got[1].iter().any(|x| x.abs() > 0.1), "{got:?}");
        for (got, want) in got.concat().into_iter().zip(want.concat()) {
            assert!((got - want).abs() < 1e-6, "{got} and {want}");
        }
        Ok(())
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let mut g = Graph::new();
        let x = g.input("x", &[4, 3], DType::F32).unwrap();
        let centre = g.input("centre", &[3], DType::F32).unwrap();
        let error = g.variance(x, centre, &[0]).unwrap_err().to_string();
        assert!(error.contains("variance") && error.contains("[1, 3]"), "{error}");
        let row = g.reshape(centre, &[1, 3]).unwrap();
        assert!(g.variance(x, row, &[0]).is_ok());
        assert!(g.variance(x, row, &[2]).is_err());
    }
}
