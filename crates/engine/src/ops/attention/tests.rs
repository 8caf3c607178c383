//! The decomposition, and what plans make of attention.

use std::collections::HashMap;

use onestep_memory::{DType, Shape};

use crate::array::{Array, Context};
use crate::gradients;
use crate::graph::{AttentionOptions, Graph, GraphError, Value};
use crate::reference::evaluate;

const SIZES: [[usize; 4]; 3] = [[2, 4, 3, 5], [2, 2, 6, 5], [2, 2, 6, 3]];

/// A graph of attention with a weighted sum of its values and the gradients of that, in all that has one.
fn graph(
    options: impl FnOnce(&[Value]) -> AttentionOptions,
) -> Result<(Graph, Vec<Value>), GraphError> {
    let mut g = Graph::new();
    let mut x = Vec::new();
    for (name, dims) in ["q", "k", "v"].into_iter().zip(SIZES) {
        x.push(g.parameter(name, &dims)?);
    }
    x.push(g.parameter("bias", &[1, 4, 3, 6])?);
    x.push(g.input("mask", &[2, 1, 3, 6], DType::F32)?);
    x.push(g.input("lengths", &[2], DType::I32)?);
    let y = g.attention(x[0], x[1], x[2], options(&x[3..]))?;
    let weight = g.input("weight", &[2, 4, 3, 3], DType::F32)?;
    let weighted = g.mul(y, weight)?;
    let loss = g.sum_all(weighted)?;
    let mut roots = vec![y];
    roots.extend(gradients(&mut g, loss, &x[..4])?);
    Ok((g, roots))
}

fn leaves() -> Result<HashMap<String, Array>, GraphError> {
    let smooth = |dims: &[usize], step: f64| {
        let count: usize = dims.iter().product();
        Array::new(Shape::new(dims)?, (0..count).map(|i| (i as f64 * step).sin()).collect())
    };
    let mut leaves = HashMap::new();
    for ((name, dims), step) in ["q", "k", "v"].into_iter().zip(SIZES).zip([0.7, 1.1, 1.7]) {
        leaves.insert(name.to_owned(), smooth(&dims, step)?);
    }
    let mut bias = smooth(&[1, 4, 3, 6], 0.3)?;
    // The second query of the first head sees nothing, the third not all.
    bias.data[6..14].fill(f64::NEG_INFINITY);
    leaves.insert("bias".to_owned(), bias);
    leaves.insert("weight".to_owned(), smooth(&[2, 4, 3, 3], 2.3)?);
    // The second query of the first sample sees nothing.
    let mask = (0..36).map(|i| f64::from(!(6..12).contains(&i) && i % 5 != 0)).collect();
    leaves.insert("mask".to_owned(), Array::new(Shape::new(&[2, 1, 3, 6])?, mask)?);
    leaves.insert("lengths".to_owned(), Array::new(Shape::new(&[2])?, vec![5.0, 2.0])?);
    Ok(leaves)
}

#[test]
fn the_decomposition_means_the_same_and_has_the_same_gradients() -> Result<(), GraphError> {
    let all: [fn(&[Value]) -> AttentionOptions; 4] = [
        |_| AttentionOptions::default(),
        |_| AttentionOptions { causal: true, scale: Some(0.3), ..Default::default() },
        |x| AttentionOptions { bias: Some(x[0]), dropout: 0.4, ..Default::default() },
        |x| AttentionOptions {
            causal: true,
            bias: Some(x[0]),
            mask: Some(x[1]),
            lengths: Some(x[2]),
            dropout: 0.2,
            ..Default::default()
        },
    ];
    let (leaves, context) = (leaves()?, Context { seed: 5, step: 2 });
    for options in all {
        let (whole, roots) = graph(options)?;
        let wanted = evaluate(&whole, &leaves, &context, &roots)?;
        let (parts, map) = whole.primitives()?;
        assert!(!parts.nodes().iter().any(|node| node.op.name().starts_with("attention")));
        let roots: Vec<Value> = roots.iter().map(|root| map[root.index()]).collect();
        let got = evaluate(&parts, &leaves, &context, &roots)?;
        for (which, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
            for (got, wanted) in got.data.iter().zip(&wanted.data) {
                assert!((got - wanted).abs() < 1e-9, "result {which}: {got}, wanted {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<(), GraphError> {
    let refused = |q: [usize; 4], k: [usize; 4], v: [usize; 4], options: AttentionOptions| {
        let mut g = Graph::new();
        let mut input = |name, dims: [usize; 4]| g.input(name, &dims, DType::F32);
        let (q, k, v) = (input("q", q)?, input("k", k)?, input("v", v)?);
        Ok::<_, GraphError>(g.attention(q, k, v, options).unwrap_err().to_string())
    };
    let plain = AttentionOptions::default;
    let heads = refused([1, 3, 2, 4], [1, 2, 2, 4], [1, 2, 2, 4], plain())?;
    assert!(heads.contains("heads in multiples of the 2 heads of the keys"), "{heads}");
    let depth = refused([1, 2, 2, 4], [1, 2, 2, 5], [1, 2, 2, 4], plain())?;
    assert!(depth.contains("[1, 2, 2, 4]"), "{depth}");
    let dropout = AttentionOptions { dropout: 1.0, ..plain() };
    let dropout = refused([1, 2, 2, 4], [1, 2, 2, 4], [1, 2, 2, 4], dropout)?;
    assert!(dropout.contains("dropout") && dropout.contains("[0, 1)"), "{dropout}");
    Ok(())
}
