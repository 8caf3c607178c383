//! Gradients of tables as rows: which rules take them so, that it changes nothing, and what it saves.

use std::collections::HashMap;
use std::sync::Arc;

use onestep_engine::ops::{LeafKind, Op};
use onestep_engine::plan::{Region, compile};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::{
    DType, Graph, Mode, ParameterGroup, ParameterInfo, Plan, Program, Shape, StateLayout, StepGraph,
};
use onestep_optimizer::{Clip, Optimizer, OptimizerSpec};

const WORDS: usize = 700;
const WIDTH: usize = 50;

/// Rules that change nothing where a gradient is 0, and leave what they keep.
const BY_ROWS: [&str; 4] = [
    r#"{"type": "sgd", "lr": 0.1}"#,
    r#"{"type": "adagrad", "lr": 0.1}"#,
    r#"{"type": "adagrad", "lr": 0.1, "lr_decay": 0.2, "initial_accumulator_value": 0.3}"#,
    r#"{"type": "sparse_adam", "lr": 0.1}"#,
];

/// Rules that keep something of each row that changes at each step, or move each row.
const WHOLE: [&str; 6] = [
    r#"{"type": "sgd", "lr": 0.1, "momentum": 0.9}"#,
    r#"{"type": "sgd", "lr": 0.1, "weight_decay": 0.1}"#,
    r#"{"type": "adam", "lr": 0.1}"#,
    r#"{"type": "adamw", "lr": 0.1}"#,
    r#"{"type": "lamb", "lr": 0.1}"#,
    r#"{"type": "adagrad", "lr": 0.1, "weight_decay": 0.1}"#,
];

fn optimizer(spec: &str, clip: Option<Clip>) -> Optimizer {
    let spec: OptimizerSpec = spec.parse().unwrap();
    Optimizer::from_spec(spec).unwrap().with_clip(clip).unwrap()
}

/// How the table is used.
#[derive(Clone, Copy, PartialEq)]
enum Table {
    LookedUp,
    /// Times 1, so that its gradient is one of the whole.
    Whole,
    /// The weights of the last layer too.
    Tied,
}

/// Words into a table, and the sum of squares of what a dense layer makes of them.
fn program(table: Table, optimizer: &Optimizer, words: usize) -> (Program, StateLayout) {
    let mut g = Graph::new();
    let x = g.input("x", &[2, words / 2], DType::I32).unwrap();
    let rows = g.parameter("table", &[WORDS, WIDTH]).unwrap();
    let weight = g.parameter("weight", &[WIDTH, 3]).unwrap();
    let one = g.constant(1.0).unwrap();
    let whole = if table == Table::Whole { g.mul(rows, one).unwrap() } else { rows };
    let y = g.gather(whole, x).unwrap();
    let y = g.reshape(y, &[words, WIDTH]).unwrap();
    let y = match table {
        Table::Tied => g.matmul_with(y, rows, false, true).unwrap(),
        _ => y,
    };
    let z = if table == Table::Tied { y } else { g.matmul(y, weight).unwrap() };
    let squares = g.square(z).unwrap();
    let loss = g.mean_all(squares).unwrap();
    let info = [("table", [WORDS, WIDTH]), ("weight", [WIDTH, 3])];
    let info = info.map(|(name, dims)| ParameterInfo::new(name, Shape::from(dims)));
    let groups: Arc<[ParameterGroup]> = optimizer.groups(&info).unwrap().into();
    let update = Arc::new(optimizer.update_graph(&groups).unwrap());
    let layout = StateLayout::new(&groups, &[], Some(&update)).unwrap();
    let program = Program {
        mode: Mode::Train,
        loss: Some(loss),
        groups,
        update: Some(update),
        ..Program::predict(g, Vec::new())
    };
    (program, layout)
}

/// What some steps make of all state, in f64.
fn steps(program: &Program, layout: &StateLayout) -> Vec<(String, Vec<f64>)> {
    let step = StepGraph::new(program, layout).unwrap();
    let mut leaves: HashMap<String, Array> = HashMap::new();
    for buffer in layout.buffers() {
        let first = if buffer.name.contains("parameter") { 0.5 } else { 0.0 };
        let number = |i: usize| first * ((i * 7 % 13) as f64 - 6.0) / 6.0;
        let shape = Shape::from([buffer.elements]);
        let data = (0..buffer.elements).map(number).collect();
        leaves.insert(buffer.name.clone(), Array::new(shape, data).unwrap());
    }
    for number in 1..=3_u32 {
        // Repeated words, others each time.
        let words: Vec<f64> = [3, 5, 3, 699, 5, 3, 128, 0, 64, 63]
            .map(|word| f64::from(if word == 5 { word + number as i32 } else { word }))
            .to_vec();
        leaves.insert("x".into(), Array::new(Shape::from([2, 5]), words).unwrap());
        for (name, _) in step.graph.leaves(LeafKind::Scalar) {
            let fed = if name == "step" { f64::from(number) } else { 0.1 };
            leaves.insert(name.to_owned(), Array::new(Shape::scalar(), vec![fed]).unwrap());
        }
        let targets: Vec<_> = step.writes.iter().map(|write| write.value).collect();
        let context = Context { seed: 1, step: u64::from(number) };
        let new = evaluate(&step.graph, &leaves, &context, &targets).unwrap();
        let names = step.writes.iter().map(|write| write.name.clone());
        leaves.extend(names.zip(new));
    }
    let mut state: Vec<(String, Vec<f64>)> =
        layout.buffers().iter().map(|b| (b.name.clone(), leaves[&b.name].data.clone())).collect();
    state.sort_by(|a, b| a.0.cmp(&b.0));
    state
}

fn is_by_rows(program: &Program, layout: &StateLayout) -> bool {
    let step = StepGraph::new(program, layout).unwrap();
    step.graph.nodes().iter().any(|node| matches!(node.op, Op::SetRows(_)))
}

/// Bytes of the table's state that kernels read and write, and those of the arena.
fn work(plan: &Plan) -> (u64, usize) {
    let touches = |kernel: &&onestep_engine::plan::Kernel| {
        let reads = kernel.reads().into_iter().map(|place| place.region);
        let mut all = reads.chain(kernel.writes().into_iter().map(|place| place.region));
        all.any(|region| matches!(region, Region::State(_)))
    };
    let bytes = plan.kernels.iter().filter(touches).map(|kernel| kernel.cost().bytes).sum();
    (bytes, plan.footprint.arena)
}

#[test]
fn rules_that_leave_what_has_no_gradient_are_taken_by_rows() {
    for clip in [None, Some(Clip::Norm(0.5)), Some(Clip::Value(0.1))] {
        for spec in BY_ROWS {
            let optimizer = optimizer(spec, clip);
            let (program, layout) = program(Table::LookedUp, &optimizer, 10);
            assert!(is_by_rows(&program, &layout), "{spec}");
        }
        for spec in WHOLE {
            let optimizer = optimizer(spec, clip);
            let (program, layout) = program(Table::LookedUp, &optimizer, 10);
            assert!(!is_by_rows(&program, &layout), "{spec}");
        }
    }
}

#[test]
fn by_rows_is_the_same_as_of_the_whole() {
    for clip in [None, Some(Clip::Norm(0.5)), Some(Clip::Value(0.01))] {
        for spec in BY_ROWS {
            let optimizer = optimizer(spec, clip);
            let [rows, whole] = [Table::LookedUp, Table::Whole].map(|table| {
                let (program, layout) = program(table, &optimizer, 10);
                steps(&program, &layout)
            });
            for ((name, rows), (_, whole)) in rows.iter().zip(&whole) {
                for (i, (a, b)) in rows.iter().zip(whole).enumerate() {
                    // The untouched rows of a lazy rule are another answer on purpose.
                    let same = (a - b).abs() <= 1e-12 * (1.0 + b.abs());
                    assert!(same || spec.contains("sparse_adam"), "{spec} {name}[{i}]: {a}, {b}");
                }
            }
        }
    }
}

#[test]
fn a_tied_table_is_updated_whole() {
    let optimizer = optimizer(BY_ROWS[0], None);
    let (program, layout) = program(Table::Tied, &optimizer, 10);
    assert!(!is_by_rows(&program, &layout));
}

/// Rows and not the table are what the step reads, writes and keeps: with ten words of 700, less than a tenth.
#[test]
fn a_step_touches_the_rows_alone() {
    for spec in [BY_ROWS[0], BY_ROWS[1], BY_ROWS[3]] {
        let optimizer = optimizer(spec, Some(Clip::Norm(1.0)));
        let [rows, whole] = [Table::LookedUp, Table::Whole].map(|table| {
            let (program, layout) = program(table, &optimizer, 10);
            work(&compile(&program, &layout, None).unwrap())
        });
        assert!(10 * rows.0 < whole.0, "{spec}: {} bytes, {} of the whole", rows.0, whole.0);
        assert!(10 * rows.1 < whole.1, "{spec}: an arena of {}, {} of the whole", rows.1, whole.1);
    }
}
