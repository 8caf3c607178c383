//! Kernels over rows: softmax, cross-entropy, norms.

use std::collections::HashMap;

use onestep_engine::ops::{CrossEntropy, CrossEntropyGrad, LogSoftmax, Op, Softmax};
use onestep_engine::plan::{Place, Region, Work};
use onestep_engine::reference::{Array, Context, evaluate, evaluate_op};
use onestep_engine::{DType, Graph, Type, Value, gradients};
use onestep_kernel_source::{Dialect, KernelSource, NormGradient, NormRows};

use super::common::{Library, Machine, Result, close, compiler, numbers, whole};

/// Rows and columns.
const SIZES: [[usize; 2]; 7] = [[1, 1], [5, 2], [33, 10], [7, 100], [3, 256], [4, 1000], [300, 3]];

fn softmax_works() -> Vec<Work> {
    let mut works = Vec::new();
    for (case, dims) in SIZES.iter().enumerate() {
        for (op, region) in [
            (Op::Softmax(Softmax), Region::State(case)),
            (Op::LogSoftmax(LogSoftmax), Region::Constant(case)),
        ] {
            works.push(Work::Op {
                op,
                inputs: vec![whole(Region::Feed(case), dims, DType::F32)],
                output: whole(region, dims, DType::F32),
            });
        }
    }
    works
}

#[test]
fn softmax_and_its_logarithm_are_right() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let works = softmax_works();
    for dialect in Dialect::ALL {
        let mut machine = Machine::new(dialect, Context::default());
        for (case, dims) in SIZES.iter().enumerate() {
            let count = dims[0] * dims[1];
            let mut data: Vec<f32> =
                numbers(case as u64, count).into_iter().map(|x| x * 30.0).collect();
            if case == 3 {
                // Large numbers, and rows with what is none.
                data[0] = 1e30;
                data[100] = f32::NEG_INFINITY;
                data[200] = f32::NAN;
                data[300] = f32::INFINITY;
                data[400..500].fill(f32::NEG_INFINITY);
            }
            machine.write(&whole(Region::Feed(case), dims, DType::F32), &data);
            machine.reserve(Region::State(case), count * 4);
            machine.reserve(Region::Constant(case), count * 4);
        }
        machine.run(works.iter())?;
        assert!(machine.by_definition.is_empty());
        for work in &works {
            let Work::Op { op, inputs, output } = work else { continue };
            let x = machine.read_array(&inputs[0]);
            let ty = Type::f32(output.shape.clone());
            let wanted = evaluate_op(op, &Context::default(), &[&x], &ty);
            let what = format!("{} {} in {dialect:?}", op.name(), output.shape);
            close(&what, &machine.read(output), &wanted.data, 1e-6);
        }
    }
    Ok(())
}

/// Losses and gradients of every size, with and without smoothing.
fn cross_entropy_works() -> Vec<Work> {
    let mut works = Vec::new();
    for (case, [rows, classes]) in SIZES.into_iter().enumerate() {
        let x = whole(Region::Feed(case), &[rows, classes], DType::F32);
        let labels = whole(Region::Feed(100 + case), &[rows], DType::I32);
        let dy = whole(Region::Feed(200 + case), &[rows], DType::F32);
        for (i, label_smoothing) in [0.0, 0.1].into_iter().enumerate() {
            works.push(Work::Op {
                op: Op::CrossEntropy(CrossEntropy { label_smoothing }),
                inputs: vec![x.clone(), labels.clone()],
                output: whole(Region::State(2 * case + i), &[rows], DType::F32),
            });
            works.push(Work::Op {
                op: Op::CrossEntropyGrad(CrossEntropyGrad { label_smoothing }),
                inputs: vec![x.clone(), labels.clone(), dy.clone()],
                output: whole(Region::Constant(2 * case + i), &[rows, classes], DType::F32),
            });
        }
    }
    works
}

fn feed_cross_entropy(machine: &mut Machine, inputs: &[Place]) {
    let (rows, classes) = (inputs[0].shape.dims()[0], inputs[0].shape.dims()[1]);
    let seed = inputs.len() as u64;
    let scaled = numbers(seed, rows * classes).into_iter().map(|x| x * 20.0);
    machine.write(&inputs[0], &scaled.collect::<Vec<_>>());
    // Each seventh row has a label that is no class.
    let label = |row: usize| match row % 7 {
        3 => -1.0,
        5 => classes as f32,
        _ => (row * 13 % classes) as f32,
    };
    machine.write(&inputs[1], &(0..rows).map(label).collect::<Vec<_>>());
    if let Some(dy) = inputs.get(2) {
        machine.write(dy, &numbers(77, rows));
    }
}

#[test]
fn cross_entropy_and_its_gradient_are_right() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    let works = cross_entropy_works();
    for dialect in Dialect::ALL {
        let mut machine = Machine::new(dialect, Context::default());
        for work in &works {
            let Work::Op { inputs, output, .. } = work else { continue };
            machine.reserve(output.region, output.span().1);
            feed_cross_entropy(&mut machine, inputs);
        }
        machine.run(works.iter())?;
        assert!(machine.by_definition.is_empty());
        for work in &works {
            let Work::Op { op, inputs, output } = work else { continue };
            let operands: Vec<Array> = inputs.iter().map(|p| machine.read_array(p)).collect();
            let operands: Vec<&Array> = operands.iter().collect();
            let ty = Type::f32(output.shape.clone());
            let wanted = evaluate_op(op, &Context::default(), &operands, &ty);
            let what = format!("{} {} in {dialect:?}", op.name(), inputs[0].shape);
            close(&what, &machine.read(output), &wanted.data, 2e-6);
        }
    }
    Ok(())
}

/// A norm as a graph of primitives, with a weighted sum of its result and the gradients of that.
fn norm_graph(dims: [usize; 2], centred: bool, epsilon: f32) -> Result<(Graph, Vec<Value>)> {
    let mut g = Graph::new();
    let [rows, width] = dims;
    let x = g.parameter("x", &dims)?;
    let (scale, shift) = (g.parameter("scale", &[width])?, g.parameter("shift", &[width])?);
    let dy = g.input("dy", &dims, DType::F32)?;
    let zero = g.constant(0.0)?;
    let mean = if centred { g.mean(x, &[1], true)? } else { g.broadcast(zero, &[rows, 1])? };
    let centred = g.sub(x, mean)?;
    let squares = g.mul(centred, centred)?;
    let variance = g.mean(squares, &[1], true)?;
    let epsilon = g.constant(epsilon)?;
    let sum = g.add(variance, epsilon)?;
    let factor = g.rsqrt(sum)?;
    let normal = g.mul(centred, factor)?;
    let scaled = g.mul(normal, scale)?;
    let y = g.add(scaled, shift)?;
    let weighted = g.mul(y, dy)?;
    let loss = g.sum_all(weighted)?;
    let mut roots = vec![y, mean, factor];
    roots.extend(gradients(&mut g, loss, &[x, scale, shift])?);
    Ok((g, roots))
}

/// A norm with its gradient.
struct Norm {
    dims: [usize; 2],
    forward: NormRows,
    backward: NormGradient,
}

impl Norm {
    /// Lays it out in a region of its own, and fills in what it reads.
    fn new(machine: &mut Machine, region: usize, dims: [usize; 2], centred: bool) -> Norm {
        let at = |n: usize, dims: &[usize]| -> Place {
            Place { offset: n << 17, ..whole(Region::State(region), dims, DType::F32) }
        };
        machine.reserve(Region::State(region), 10 << 17);
        let [rows, width] = dims;
        for (n, dims) in [(0, &dims[..]), (1, &[width]), (2, &[width]), (6, &dims)] {
            let place = at(n, dims);
            machine.write(&place, &numbers((region + 10 * n) as u64, place.shape.elements()));
        }
        let mean = centred.then(|| at(4, &[rows]));
        let forward = NormRows {
            x: at(0, &dims),
            centred,
            epsilon: 1e-3,
            scale: Some(at(1, &[width])),
            shift: Some(at(2, &[width])),
            output: at(3, &dims),
            mean: mean.clone(),
            factor: Some(at(5, &[rows])),
        };
        let backward = NormGradient {
            x: at(0, &dims),
            dy: at(6, &dims),
            mean,
            factor: at(5, &[rows]),
            scale: Some(at(1, &[width])),
            dx: at(7, &dims),
            dscale: Some(at(8, &[width])),
            dshift: Some(at(9, &[width])),
        };
        Norm { dims, forward, backward }
    }

    /// Holds the results against the graph of primitives.
    fn check(&self, machine: &Machine, dialect: Dialect) -> Result<()> {
        let Norm { dims, forward, backward } = self;
        let (graph, roots) = norm_graph(*dims, forward.centred, forward.epsilon)?;
        let leaves = [
            ("x", Some(&forward.x)),
            ("dy", Some(&backward.dy)),
            ("scale", forward.scale.as_ref()),
            ("shift", forward.shift.as_ref()),
        ];
        let leaves = leaves.into_iter().filter_map(|(name, place)| Some((name, place?)));
        let leaves: HashMap<String, Array> =
            leaves.map(|(name, place)| (name.to_owned(), machine.read_array(place))).collect();
        let wanted = evaluate(&graph, &leaves, &Context::default(), &roots)?;
        let got = [
            Some(&forward.output),
            forward.mean.as_ref(),
            forward.factor.as_ref(),
            Some(&backward.dx),
            backward.dscale.as_ref(),
            backward.dshift.as_ref(),
        ];
        for (i, (place, wanted)) in got.into_iter().zip(&wanted).enumerate() {
            let Some(place) = place else { continue };
            let what = format!("result {i} of {dims:?}, {forward:?}, in {dialect:?}");
            close(&what, &machine.read(place), &wanted.data, 2e-5);
        }
        Ok(())
    }
}

#[test]
fn norms_and_their_gradients_are_right() -> Result<()> {
    if compiler().is_none() {
        return Ok(());
    }
    for dialect in Dialect::ALL {
        let mut machine = Machine::new(dialect, Context::default());
        let mut norms = Vec::new();
        for dims in [[1, 7], [33, 10], [260, 64], [5, 600]] {
            for centred in [true, false] {
                norms.push(Norm::new(&mut machine, norms.len(), dims, centred));
            }
        }
        let print = |norm: &Norm| -> Result<_> {
            Ok([norm.forward.print(dialect)?, norm.backward.print(dialect)?])
        };
        let launches: Vec<_> = norms.iter().map(print).collect::<Result<_>>()?;
        let kernels: Vec<&KernelSource> =
            launches.iter().flatten().flat_map(|launches| &launches.kernels).collect();
        let library = Library::new(dialect, &kernels)?;
        launches.iter().flatten().for_each(|launches| machine.launch(&library, launches));
        for norm in &norms {
            norm.check(&machine, dialect)?;
        }
    }
    Ok(())
}
