//! Nothing without a case: an op, layer, loss, optimizer or schedule that the table does not run
//! fails here, and so does a golden that no line of the table uses.

use std::collections::BTreeSet;

use onestep_conformance::{Case, ConformanceError, Family, table};
use onestep_engine::ops::{Binary, Compare, Op, ReduceKind, Unary};
use onestep_layers::{LayerSpec, LossSpec};
use onestep_optimizer::{OptimizerSpec, ScheduleSpec};

/// The variants of `Op` by name. A new variant does not compile until it is listed here, and then
/// `every_op_has_a_case` fails until the table has its case.
macro_rules! every_op {
    ($($variant:ident),* $(,)?) => {
        const OPS: &[&str] = &[$(stringify!($variant)),*];

        fn variant(op: &Op) -> &'static str {
            match op {
                $(Op::$variant(_) => stringify!($variant),)*
            }
        }
    };
}

every_op![
    Leaf,
    Constant,
    Unary,
    Binary,
    Compare,
    Select,
    Cast,
    RandomUniform,
    Reduce,
    Variance,
    ArgMax,
    Reshape,
    Detach,
    Permute,
    Broadcast,
    Slice,
    Concat,
    Pad,
    Gather,
    ScatterAdd,
    DistinctRows,
    SetRows,
    GatherAlong,
    ScatterAlong,
    CumSum,
    ArgSort,
    MatMul,
    Conv,
    ConvInputGrad,
    ConvWeightGrad,
    MaxPool,
    MaxPoolGrad,
    SumPool,
    SumPoolGrad,
    Attention,
    AttentionGrad,
    Recurrence,
    RecurrenceGrad,
    Ctc,
    CtcGrad,
    Softmax,
    LogSoftmax,
    CrossEntropy,
    CrossEntropyGrad,
];

/// The forward ops of all cases: (case, variant, name of the primitive).
fn forward_ops() -> Result<Vec<(String, &'static str, &'static str)>, ConformanceError> {
    let mut ops = Vec::new();
    for case in table::ops() {
        let (_, setup) = case.setup()?;
        let nodes = setup.run.program.graph.nodes();
        ops.extend(nodes.iter().map(|n| (case.name.clone(), variant(&n.op), n.op.name())));
    }
    Ok(ops)
}

#[test]
fn every_op_has_a_case() -> Result<(), ConformanceError> {
    let used = forward_ops()?;
    let missing: Vec<_> =
        OPS.iter().filter(|op| !used.iter().any(|(_, variant, _)| variant == *op)).collect();
    assert!(missing.is_empty(), "no case runs {missing:?}");
    Ok(())
}

#[test]
fn every_elementwise_function_has_a_case() -> Result<(), ConformanceError> {
    let used: BTreeSet<&str> = forward_ops()?.into_iter().map(|(_, _, name)| name).collect();
    let reductions = [ReduceKind::Sum, ReduceKind::Mean, ReduceKind::Max, ReduceKind::Min]
        .map(|kind| Op::Reduce(onestep_engine::ops::Reduce { kind, axes: vec![0] }));
    let functions = Unary::ALL.map(Op::Unary).into_iter();
    let functions =
        functions.chain(Binary::ALL.map(Op::Binary)).chain(Compare::ALL.map(Op::Compare));
    for op in functions.chain(reductions) {
        assert!(used.contains(op.name()), "no case runs {}", op.name());
    }
    Ok(())
}

#[test]
fn an_op_case_runs_the_op_its_golden_names() -> Result<(), ConformanceError> {
    let used = forward_ops()?;
    for case in table::ops() {
        let op: String = Family::Ops.golden(&case.name)?.field("op")?;
        let runs = used.iter().any(|(name, _, primitive)| *name == case.name && *primitive == op);
        assert!(runs, "{} does not run {op}", case.name);
    }
    Ok(())
}

fn types_in_goldens(family: Family, field: &str) -> Result<BTreeSet<String>, ConformanceError> {
    let mut types = BTreeSet::new();
    for golden in family.goldens()? {
        collect_types(&golden.field(field)?, &mut types);
    }
    Ok(types)
}

/// All values of `type` in a description, however deep, and a description that is a plain name.
fn collect_types(value: &serde_json::Value, types: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            if let Some(serde_json::Value::String(kind)) = fields.get("type") {
                types.insert(kind.clone());
            }
            fields.values().filter(|v| !v.is_string()).for_each(|v| collect_types(v, types));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|v| collect_types(v, types)),
        serde_json::Value::String(name) => {
            types.insert(name.clone());
        }
        _ => {}
    }
}

fn assert_covered(family: Family, known: &[&str]) -> Result<(), ConformanceError> {
    let types = types_in_goldens(family, "spec")?;
    let missing: Vec<_> = known.iter().filter(|name| !types.contains(**name)).collect();
    assert!(missing.is_empty(), "{}: no case for {missing:?}", family.name());
    Ok(())
}

#[test]
fn every_optimizer_has_a_case() -> Result<(), ConformanceError> {
    // What is custom has code of its own.
    let built_in: Vec<_> =
        OptimizerSpec::TYPES.iter().copied().filter(|name| *name != "custom").collect();
    assert_covered(Family::Optimizers, &built_in)
}

fn assert_same_cases(family: Family, cases: &[&str]) -> Result<(), ConformanceError> {
    let goldens: BTreeSet<&str> = family.goldens()?.iter().map(|g| g.name.as_str()).collect();
    let lines: BTreeSet<&str> = cases.iter().copied().collect();
    assert_eq!(lines.len(), cases.len(), "{}: a case stands twice in the table", family.name());
    let (unused, without): (Vec<_>, Vec<_>) =
        (goldens.difference(&lines).collect(), lines.difference(&goldens).collect());
    assert!(unused.is_empty(), "{}: goldens without a line: {unused:?}", family.name());
    assert!(without.is_empty(), "{}: lines without a golden: {without:?}", family.name());
    Ok(())
}

/// `custom` stands for code of one's own, which PyTorch cannot know.
fn built_in(types: &[&'static str]) -> Vec<&'static str> {
    types.iter().copied().filter(|name| *name != "custom").collect()
}

#[test]
fn every_layer_has_a_case() -> Result<(), ConformanceError> {
    assert_covered(Family::Layers, &built_in(LayerSpec::TYPES))
}

#[test]
fn every_loss_has_a_case() -> Result<(), ConformanceError> {
    assert_covered(Family::Losses, &built_in(LossSpec::TYPES))
}

/// The variants of `ScheduleSpec` by their name in specs, as for `Op` above.
const SCHEDULE_TYPES: &[&str] = &[
    "constant",
    "step",
    "multi_step",
    "exponential",
    "cosine",
    "linear_warmup",
    "one_cycle",
    "reduce_on_plateau",
];

#[allow(dead_code, reason = "it only has to compile: a new schedule must be listed above")]
fn every_schedule_is_listed(spec: &ScheduleSpec) -> &'static str {
    match spec {
        ScheduleSpec::Constant(_) => SCHEDULE_TYPES[0],
        ScheduleSpec::Step(_) => SCHEDULE_TYPES[1],
        ScheduleSpec::MultiStep(_) => SCHEDULE_TYPES[2],
        ScheduleSpec::Exponential(_) => SCHEDULE_TYPES[3],
        ScheduleSpec::Cosine(_) => SCHEDULE_TYPES[4],
        ScheduleSpec::LinearWarmup(_) => SCHEDULE_TYPES[5],
        ScheduleSpec::OneCycle(_) => SCHEDULE_TYPES[6],
        ScheduleSpec::ReduceOnPlateau(_) => SCHEDULE_TYPES[7],
    }
}

#[test]
fn every_schedule_has_a_case() -> Result<(), ConformanceError> {
    assert_covered(Family::Schedules, SCHEDULE_TYPES)
}

#[test]
fn the_table_and_the_goldens_have_the_same_cases() -> Result<(), ConformanceError> {
    for family in Family::ALL.into_iter().filter(|f| *f != Family::Schedules) {
        let cases: Vec<Case> = table::all().into_iter().filter(|c| c.family == family).collect();
        let names: Vec<&str> = cases.iter().map(|c| c.name.as_str()).collect();
        assert_same_cases(family, &names)?;
    }
    assert_same_cases(Family::Schedules, table::SCHEDULES)
}

#[test]
fn exclusions_say_why() {
    for case in table::all() {
        for (mode, reason) in case.exclusions {
            assert!(reason.len() > 20, "{} {mode:?}: {reason}", case.name);
        }
        assert!(!case.tolerance.reason.is_empty(), "{}", case.name);
    }
}
