//! What a scan means, and that what its gradient puts together is the sum.

use std::collections::HashMap;

use onestep_engine::ops::Op;
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    DType, Graph, GraphError, ScanOptions, Scanned, Shape, Value, gradients, scan,
};

const BATCH: usize = 2;
const STEPS: usize = 9;
const WIDTH: usize = 3;

/// `h' = tanh(h w + x + b)` along a sequence that depends on a parameter; a weighted sum of the outputs and
/// the last `h`, and its gradients.
fn graph(reverse: bool, lengths: bool) -> Result<(Graph, Vec<Value>), GraphError> {
    let mut g = Graph::new();
    let x = g.parameter("x", &[BATCH, STEPS, WIDTH])?;
    let w = g.parameter("w", &[WIDTH, WIDTH])?;
    let b = g.parameter("b", &[WIDTH])?;
    let h = g.parameter("h", &[BATCH, WIDTH])?;
    let counts = g.input("lengths", &[BATCH], DType::I32)?;
    let options = ScanOptions { reverse, lengths: lengths.then_some(counts) };
    let all = scan(&mut g, options, &[h], &[x], |g: &mut Graph, h, x| {
        let product = g.matmul(h[0], w)?;
        let sum = g.add(product, x[0])?;
        let sum = g.add(sum, b)?;
        let next = g.tanh(sum)?;
        Ok::<_, GraphError>(Scanned { carried: vec![next], outputs: vec![next] })
    })?;
    let weight = g.input("weight", &[BATCH, STEPS, WIDTH], DType::F32)?;
    let weighted = g.mul(all.outputs[0], weight)?;
    let loss = g.sum_all(weighted)?;
    let last = g.square(all.carried[0])?;
    let last = g.sum_all(last)?;
    let loss = g.add(loss, last)?;
    let mut roots = vec![loss, all.outputs[0], all.carried[0]];
    roots.extend(gradients(&mut g, loss, &[x, w, b, h])?);
    Ok((g, roots))
}

fn leaves() -> Result<HashMap<String, Array>, GraphError> {
    let smooth = |dims: &[usize], step: f64| {
        let count: usize = dims.iter().product();
        Array::new(Shape::new(dims)?, (0..count).map(|i| (i as f64 * step).sin()).collect())
    };
    let mut leaves = HashMap::new();
    let all: [(&str, &[usize], f64); 5] = [
        ("x", &[BATCH, STEPS, WIDTH], 0.7),
        ("w", &[WIDTH, WIDTH], 1.1),
        ("b", &[WIDTH], 1.9),
        ("h", &[BATCH, WIDTH], 0.3),
        ("weight", &[BATCH, STEPS, WIDTH], 2.3),
    ];
    for (name, dims, step) in all {
        leaves.insert(name.to_owned(), smooth(dims, step)?);
    }
    leaves.insert("lengths".to_owned(), Array::new(Shape::new(&[BATCH])?, vec![9.0, 4.0])?);
    Ok(leaves)
}

/// The outputs and the last `h`, in loops.
fn by_hand(leaves: &HashMap<String, Array>, reverse: bool, lengths: bool) -> [Vec<f64>; 2] {
    let [x, w, b] = ["x", "w", "b"].map(|name| &leaves[name]);
    let mut h = leaves["h"].data.clone();
    let mut outputs = vec![0.0; BATCH * STEPS * WIDTH];
    for sample in 0..BATCH {
        let count = if lengths { leaves["lengths"].data[sample] as usize } else { STEPS };
        for i in 0..count {
            let t = if reverse { count - 1 - i } else { i };
            let old = h[sample * WIDTH..][..WIDTH].to_vec();
            for to in 0..WIDTH {
                let at = (sample * STEPS + t) * WIDTH + to;
                let product: f64 =
                    (0..WIDTH).map(|from| old[from] * w.data[from * WIDTH + to]).sum();
                let next = (product + x.data[at] + b.data[to]).tanh();
                h[sample * WIDTH + to] = next;
                outputs[at] = next;
            }
        }
    }
    [outputs, h]
}

const WAYS: [(bool, bool); 4] = [(false, false), (true, false), (false, true), (true, true)];

#[test]
fn a_scan_is_the_recurrence_in_loops() -> Result<(), GraphError> {
    let leaves = leaves()?;
    for (reverse, lengths) in WAYS {
        let (g, roots) = graph(reverse, lengths)?;
        let got = evaluate(&g, &leaves, &Context::default(), &roots[1..3])?;
        let wanted = by_hand(&leaves, reverse, lengths);
        for (got, wanted) in got.iter().zip(&wanted) {
            for (got, wanted) in got.data.iter().zip(wanted) {
                assert!((got - wanted).abs() < 1e-12, "{reverse} {lengths}: {got}, not {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn gradients_agree_with_differences() -> Result<(), GraphError> {
    let leaves = leaves()?;
    let context = Context::default();
    for (reverse, lengths) in WAYS {
        let (g, roots) = graph(reverse, lengths)?;
        let got = evaluate(&g, &leaves, &context, &roots[3..])?;
        for (name, got) in ["x", "w", "b", "h"].into_iter().zip(&got) {
            for (i, got) in got.data.iter().enumerate() {
                let loss = |by: f64| {
                    let mut moved = leaves.clone();
                    if let Some(array) = moved.get_mut(name) {
                        array.data[i] += by;
                    }
                    evaluate(&g, &moved, &context, &roots[..1]).map(|loss| loss[0].data[0])
                };
                let wanted = (loss(1e-5)? - loss(-1e-5)?) / 2e-5;
                let error = (got - wanted).abs();
                assert!(error < 1e-8, "{reverse} {lengths} {name}[{i}]: {got}, not {wanted}");
            }
        }
    }
    Ok(())
}

#[test]
fn a_weight_of_all_steps_has_one_product_as_gradient() -> Result<(), GraphError> {
    let (g, roots) = graph(false, false)?;
    assert!(matches!(g.op(roots[4]), Op::MatMul(_)), "{:?}", g.op(roots[4]));
    assert!(matches!(g.op(roots[3]), Op::Concat(_)), "{:?}", g.op(roots[3]));
    Ok(())
}

#[test]
fn each_step_draws_numbers_of_its_own_and_shares_what_depends_on_none() -> Result<(), GraphError> {
    let mut g = Graph::new();
    let x = g.input("x", &[1, 3, 2], DType::F32)?;
    let w = g.parameter("w", &[2])?;
    let h = g.input("h", &[1, 2], DType::F32)?;
    let all = scan(&mut g, ScanOptions::default(), &[h], &[x], |g: &mut Graph, h, _| {
        let drawn = g.random_uniform(&[1, 2])?;
        let shared = g.exp(w)?;
        let next = g.add(h[0], shared)?;
        Ok::<_, GraphError>(Scanned { carried: vec![next], outputs: vec![drawn] })
    })?;
    let exponentials = g.nodes().iter().filter(|node| node.op.name() == "exp").count();
    assert_eq!(exponentials, 1);
    let array = |dims: &[usize], value| Array::new(Shape::new(dims)?, vec![value; 2]);
    let leaves = HashMap::from([
        ("w".to_owned(), array(&[2], 0.0)?),
        ("h".to_owned(), array(&[1, 2], 1.0)?),
    ]);
    let got = evaluate(&g, &leaves, &Context::default(), &[all.carried[0], all.outputs[0]])?;
    assert_eq!(got[0].data, [4.0, 4.0]);
    let mut drawn = got[1].data.clone();
    drawn.sort_by(f64::total_cmp);
    drawn.dedup();
    assert_eq!(drawn.len(), 6);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused() -> Result<(), GraphError> {
    let refused = |x: &[usize], h: &[usize], next: &[usize]| {
        let mut g = Graph::new();
        let x = g.input("x", x, DType::F32)?;
        let h = g.input("h", h, DType::F32)?;
        let next = g.input("next", next, DType::F32)?;
        let body = |_: &mut Graph, _: &[Value], _: &[Value]| {
            Ok::<_, GraphError>(Scanned { carried: vec![next], outputs: Vec::new() })
        };
        let refused = scan(&mut g, ScanOptions::default(), &[h], &[x], body);
        Ok::<_, GraphError>(refused.unwrap_err().to_string())
    };
    let rank = refused(&[3], &[3, 2], &[3, 2])?;
    assert!(rank.contains("sequences [batch, time, ...]"), "{rank}");
    let empty = refused(&[3, 0], &[3, 2], &[3, 2])?;
    assert!(empty.contains("at least one step"), "{empty}");
    let batch = refused(&[3, 4], &[2, 2], &[3, 2])?;
    assert!(batch.contains("initial values of [3, ...]"), "{batch}");
    let carried = refused(&[3, 4], &[3, 2], &[3, 5])?;
    assert!(carried.contains("a body that carries"), "{carried}");
    Ok(())
}
