//! Slopes: where the gradient of a function comes in parts, `d a + d b`, it is taken as `d (a + b)`. What stands in
//! the brackets follows from the forward pass, which can compute it while its operands are in a cache, and
//! it is one value to keep for the backward pass in place of several.

use super::simplify::Rewriter;
use crate::graph::{GraphError, Phase, Value};
use crate::ops::{Binary, Op};

/// The most products that lead from a part to `d`.
const MOST_FACTORS: usize = 4;

/// A factor of a value, with the others.
struct Factor {
    of: Value,
    others: Vec<Value>,
}

impl Rewriter {
    /// `a + b` with a factor that both have in front, if they have one.
    pub(super) fn with_common_factor(
        &mut self,
        [a, b]: [Value; 2],
        label: Option<&str>,
    ) -> Result<Option<Value>, GraphError> {
        if a == b || [a, b].iter().any(|&part| self.is_shared(part)) {
            return Ok(None);
        }
        let (of_a, of_b) = (self.factors(a), self.factors(b));
        let common = of_a.into_iter().find_map(|one| {
            let other = of_b.iter().find(|other| other.of == one.of)?;
            Some((one.of, [one.others, other.others.clone()]))
        });
        let Some((factor, others)) = common else { return Ok(None) };
        let mul = Op::Binary(Binary::Mul);
        let mut parts = [a, b];
        for (part, others) in parts.iter_mut().zip(others) {
            let mut others = others.into_iter();
            let Some(mut product) = others.next() else { return Ok(None) };
            for other in others {
                product = self.add(&mul, &[product, other], label)?;
            }
            *part = product;
        }
        let slope = self.add(&Op::Binary(Binary::Add), &parts, label)?;
        self.add(&mul, &[factor, slope], label).map(Some)
    }

    /// The factors of a product of the backward pass that are no numbers, the nearest first.
    fn factors(&self, value: Value) -> Vec<Factor> {
        let mut found = Vec::new();
        let mut next = vec![Factor { of: value, others: Vec::new() }];
        while let Some(Factor { of, others }) = next.pop() {
            let node = self.graph.node(of);
            let (Op::Binary(Binary::Mul), &[a, b]) = (&node.op, &node.inputs[..]) else { continue };
            let inner = !others.is_empty() && self.is_shared(of);
            if node.phase != Phase::Backward || others.len() == MOST_FACTORS || inner {
                continue;
            }
            for (of, other) in [(b, a), (a, b)] {
                let others = [&others[..], &[other]].concat();
                if self.number(of).is_none() {
                    found.push(Factor { of, others: others.clone() });
                }
                next.push(Factor { of, others });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use onestep_memory::DType;

    use super::*;
    use crate::array::{Array, Context};
    use crate::graph::{Graph, Named};
    use crate::lower::StepGraph;
    use crate::plan::simplify::simplify;
    use crate::reference::evaluate;

    /// `x erf(x)` and its gradient times `d`, simplified.
    fn gradient(shared: bool) -> Result<StepGraph, GraphError> {
        let mut g = Graph::new();
        let (x, d) = (g.input("x", &[6], DType::F32)?, g.input("d", &[6], DType::F32)?);
        g.begin(Phase::Backward);
        let (erf, tanh) = (g.erf(x)?, g.tanh(x)?);
        let first = g.mul(d, erf)?;
        let second = g.scale(d, 0.5)?;
        let second = g.mul(second, tanh)?;
        let sum = g.add(first, second)?;
        let mut outputs = vec![Named::new("sum", sum)];
        if shared {
            outputs.push(Named::new("first", first));
        }
        simplify(&StepGraph { graph: g, outputs, writes: Vec::new(), reports: Vec::new() })
    }

    #[test]
    fn a_common_factor_is_taken_once_and_means_the_same() -> Result<(), GraphError> {
        let step = gradient(false)?;
        let sum = step.outputs[0].value;
        assert_eq!(step.graph.op(sum), &Op::Binary(Binary::Mul));
        let numbers = |from: f64| Array::new([6].into(), (0..6).map(|i| from + i as f64).collect());
        let leaves =
            HashMap::from([("x".to_owned(), numbers(-2.5)?), ("d".to_owned(), numbers(0.3)?)]);
        let got = evaluate(&step.graph, &leaves, &Context { seed: 0, step: 0 }, &[sum])?;
        for (i, &got) in got[0].data.iter().enumerate() {
            let (x, d) = (leaves["x"].data[i], leaves["d"].data[i]);
            let wanted = d * crate::ops::Unary::Erf.apply(x) + d * 0.5 * x.tanh();
            assert!((got - wanted).abs() < 1e-12, "{got}, wanted {wanted}");
        }
        Ok(())
    }

    #[test]
    fn a_part_that_something_else_reads_stays() -> Result<(), GraphError> {
        let step = gradient(true)?;
        assert_eq!(step.graph.op(step.outputs[0].value), &Op::Binary(Binary::Add));
        Ok(())
    }
}
