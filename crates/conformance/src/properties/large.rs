//! Ops of a size at which executors split work among threads, block for caches and use whole
//! vectors, with remainders of every kind. Too large for goldens.

use onestep_engine::ops::{Binary, ConvWindow, PoolWindow, ReduceKind, Unary};

use super::{Draw, GraphStep};

/// The list; each goes through the f64 evaluator in well under a second.
pub fn large() -> Vec<Draw> {
    let mut all = elementwise();
    all.extend(products());
    all.extend(windows());
    all.extend(rows());
    all
}

fn elementwise() -> Vec<Draw> {
    let flags = vec![(false, false), (true, false), (false, true)];
    vec![
        Draw::Unary(Unary::Tanh, vec![37, 1031]),
        Draw::Unary(Unary::Exp, vec![40_007]),
        Draw::Unary(Unary::Erf, vec![3, 5, 7, 129]),
        Draw::Binary(Binary::Mul, vec![33, 32, 65], flags.clone()),
        Draw::Binary(Binary::Div, vec![65, 33, 16], flags),
        Draw::Binary(Binary::Add, vec![257, 129], vec![(false, false), (false, true)]),
        Draw::Select(vec![129, 257]),
        Draw::Permute(vec![33, 34, 35], vec![2, 0, 1]),
        Draw::Permute(vec![130, 257], vec![1, 0]),
        Draw::Slice(vec![100, 300], vec![(3, 98), (1, 290)]),
        Draw::Concat(vec![65, 1, 66], 1, vec![3, 1, 5]),
        Draw::Pad(vec![63, 130], vec![(2, 1), (0, 3)]),
        Draw::Graph([130, 67], chain()),
    ]
}

/// Every kind of step once, each on the last value and on one from further back.
fn chain() -> Vec<GraphStep> {
    (0..16).map(|kind| GraphStep { kind, x: 0, y: kind % 5 }).collect()
}

fn products() -> Vec<Draw> {
    let mut all = Vec::new();
    for (a, b) in [(false, false), (true, false), (false, true), (true, true)] {
        all.push(Draw::MatMul(vec![], [130, 70, 257], a, b));
        all.push(Draw::MatMul(vec![3], [65, 33, 17], a, b));
    }
    all.push(Draw::MatMul(vec![], [1, 1000, 65], false, false));
    all.push(Draw::MatMul(vec![], [257, 300, 1], false, false));
    all.push(Draw::MatMul(vec![], [300, 1, 301], false, false));
    all
}

fn windows() -> Vec<Draw> {
    let plain = ConvWindow::default();
    let same = ConvWindow { pad_low: [1; 2], pad_high: [1; 2], ..plain };
    let strided = ConvWindow { stride: [2; 2], ..same };
    let uneven = ConvWindow { pad_low: [2, 0], pad_high: [1, 2], ..plain };
    let pool = |stride: usize, pad: usize| PoolWindow {
        size: [3; 2],
        stride: [stride; 2],
        pad_low: [pad; 2],
        pad_high: [pad; 2],
        dilation: [1; 2],
    };
    vec![
        Draw::Conv([4, 16, 24, 20, 19], [3, 3], same),
        // Small results and large ones, of each of which executors may filter minimally.
        Draw::Conv([3, 17, 20, 5, 6], [3, 3], same),
        Draw::Conv([5, 33, 18, 4, 4], [3, 3], uneven),
        Draw::Conv([2, 48, 49, 9, 13], [3, 3], uneven),
        Draw::Conv([2, 20, 65, 8, 7], [3, 3], plain),
        // Many more channels than tiles: of one unit and of several, of one piece and of several.
        Draw::Conv([1, 40, 70, 5, 5], [3, 3], same),
        Draw::Conv([5, 160, 83, 4, 3], [3, 3], same),
        Draw::Conv([1, 170, 172, 24, 21], [3, 3], uneven),
        Draw::Conv([4, 16, 33, 21, 20], [3, 3], strided),
        Draw::Conv([2, 17, 16, 12, 9], [3, 2], ConvWindow { stride: [2, 3], groups: 2, ..uneven }),
        Draw::Conv([5, 3, 8, 32, 32], [3, 3], same),
        Draw::Conv([3, 33, 65, 11, 10], [1, 1], plain),
        Draw::Conv([3, 33, 17, 12, 11], [1, 1], ConvWindow { stride: [2; 2], ..plain }),
        Draw::Conv([2, 5, 17, 23, 22], [5, 4], ConvWindow { dilation: [2, 1], ..plain }),
        Draw::Conv([3, 1, 1, 17, 18], [3, 3], ConvWindow { groups: 33, ..same }),
        Draw::Conv([3, 4, 5, 15, 16], [3, 3], ConvWindow { groups: 4, ..strided }),
        Draw::Conv([17, 2, 3, 1, 130], [1, 7], plain),
        Draw::Pool(true, [5, 17, 21, 20], pool(2, 1)),
        Draw::Pool(true, [5, 17, 21, 20], pool(1, 1)),
        Draw::Pool(false, [5, 17, 21, 20], pool(2, 1)),
        Draw::Pool(false, [5, 17, 21, 20], pool(3, 0)),
    ]
}

fn rows() -> Vec<Draw> {
    vec![
        Draw::Reduce(ReduceKind::Sum, vec![129, 1000], vec![false, true]),
        Draw::Reduce(ReduceKind::Sum, vec![1000, 129], vec![true, false]),
        Draw::Reduce(ReduceKind::Sum, vec![33, 17, 65], vec![true, false, true]),
        Draw::Reduce(ReduceKind::Sum, vec![17, 129, 33], vec![false, true, false]),
        Draw::Reduce(ReduceKind::Mean, vec![129, 1000], vec![false, true]),
        Draw::Reduce(ReduceKind::Mean, vec![33, 17, 65], vec![true, false, true]),
        Draw::Reduce(ReduceKind::Max, vec![17, 64, 65], vec![true, false, true]),
        Draw::Reduce(ReduceKind::Min, vec![129, 257], vec![false, true]),
        Draw::Softmax(true, vec![130, 257], 1),
        Draw::Softmax(true, vec![130, 257], 0),
        Draw::Softmax(false, vec![130, 257], 1),
        Draw::CrossEntropy(257, 100, 1),
        Draw::Gather(1000, 65, 300),
        Draw::ScatterAdd(65, 129, 1000),
        Draw::GatherAlong(vec![33, 130, 17], 1, 257),
        Draw::GatherAlong(vec![300, 129], 1, 65),
        Draw::ScatterAlong(vec![33, 257, 17], 1, 65),
        Draw::ScatterAlong(vec![300, 129], 0, 65),
        Draw::CumSum(vec![129, 257], 1, false),
        Draw::CumSum(vec![257, 65], 0, true),
        Draw::CumSum(vec![17, 65, 33], 1, true),
        Draw::Sort(vec![65, 1031], 1, true),
        Draw::Sort(vec![1031, 33], 0, false),
        Draw::TopK(vec![130, 257], 1, 5),
        Draw::SortBy(vec![65, 257], 1, false, (0..=255).collect()),
        Draw::SortBy(vec![257, 65], 0, true, (0..=255).rev().collect()),
    ]
}
