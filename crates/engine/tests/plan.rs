//! A plan must compute what the step's graph means: each program is planned and interpreted in
//! the planned memory, and evaluated directly in f64, for several steps in a row.

mod common;

use std::collections::HashMap;

use common::models::{
    Model, Result, TABLE, attention, conv_net, products, shaped_states, table, training,
};
use common::{Machine, array};
use onestep_engine::ops::{Binary, LeafKind, Op};
use onestep_engine::plan::{
    Composite, Fused, Instruction, Kernel, Reason, Region, Work, compile, explain,
};
use onestep_engine::reference::{Array, Context, evaluate};
use onestep_engine::*;
use proptest::prelude::*;

/// The value of every leaf of the step graph, by name.
fn leaves_of(step: &StepGraph, layout: &StateLayout) -> HashMap<String, Array> {
    let mut leaves = HashMap::new();
    for (seed, (name, value)) in step.graph.leaves(LeafKind::Input).enumerate() {
        let ty = step.graph.type_of(value);
        let mut data = array(seed as u64 + 100, &ty.shape);
        if ty.dtype == DType::I32 {
            data.data.iter_mut().for_each(|x| *x = ((*x + 1.0) * 2.5).floor());
        }
        leaves.insert(name.to_owned(), data);
    }
    for (name, _) in step.graph.leaves(LeafKind::Scalar) {
        leaves.insert(name.to_owned(), Array::new(Shape::scalar(), vec![0.1]).unwrap());
    }
    for (seed, buffer) in layout.buffers().iter().enumerate() {
        let flat = Shape::new(&[buffer.elements]).unwrap();
        let leaf = step.graph.find_leaf(&buffer.name);
        let shape = leaf.map_or(&flat, |leaf| step.graph.shape(leaf));
        leaves.insert(buffer.name.clone(), array(seed as u64, shape));
    }
    leaves
}

fn check(model: &Model) {
    let layout = model.layout();
    let step = StepGraph::new(&model.program, &layout).unwrap();
    let plan = compile(&model.program, &layout, None).unwrap_or_else(|e| panic!("{e}"));
    let mut leaves = leaves_of(&step, &layout);
    let mut state: Vec<Vec<f64>> =
        layout.buffers().iter().map(|b| leaves[&b.name].data.clone()).collect();
    for number in 1..=3 {
        let context = Context { seed: 9, step: number };
        let roots = step.writes.iter().chain(&step.reports).chain(&step.outputs);
        let targets: Vec<Value> = roots.map(|n| n.value).collect();
        let wanted = evaluate(&step.graph, &leaves, &context, &targets).unwrap();

        let mut machine = Machine::new(&plan, context);
        for (i, feed) in plan.feeds.iter().enumerate() {
            machine.regions.insert(Region::Feed(i), leaves[&feed.name].data.clone());
        }
        let scalars = plan.scalars.iter().map(|name| leaves[name].data[0]).collect();
        machine.regions.insert(Region::Scalars, scalars);
        for (i, data) in state.iter().enumerate() {
            machine.regions.insert(Region::State(i), data.clone());
        }
        machine.run();

        let (writes, rest) = wanted.split_at(step.writes.len());
        for (named, want) in plan.reports.iter().chain(&plan.outputs).zip(rest) {
            close(&named.name, &machine.read(&named.place).data, &want.data);
        }
        for (i, name) in plan.states.iter().enumerate() {
            state[i] = machine.regions[&Region::State(i)].clone();
            if let Some(at) = step.writes.iter().position(|w| w.name == *name) {
                close(name, &state[i], &writes[at].data);
                leaves.insert(name.clone(), writes[at].clone());
            }
        }
    }
}

fn close(name: &str, got: &[f64], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{name}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        // Both sides are f64, but the plan rounds the constants that it folds to f32, as any
        // executor would: half a unit in the 24th place each, a few in a chain.
        assert!((g - w).abs() <= 1e-6 * (1.0 + w.abs()), "{name}[{i}]: got {g}, wanted {w}");
    }
}

#[test]
fn a_convolutional_network_is_planned_right() {
    check(&conv_net().unwrap());
}

#[test]
fn state_of_every_shape_is_planned_right() {
    check(&shaped_states().unwrap());
}

#[test]
fn accumulated_gradients_are_planned_right() {
    for mode in [Mode::Accumulate, Mode::Train] {
        let mut model = conv_net().unwrap();
        model.program.mode = mode;
        let g = &mut model.program.graph;
        model.program.accumulation = Some(g.constant(3.0).unwrap());
        check(&model);
        let layout = model.layout();
        let step = StepGraph::new(&model.program, &layout).unwrap();
        let writes = |name: &str| step.writes.iter().any(|write| write.name == name);
        assert!(writes("accumulated.decay") && writes("accumulated_weight"));
        assert_eq!(writes("parameter.decay"), mode == Mode::Train);
        model.program.accumulation = None;
        let without = StepGraph::new(&model.program, &layout);
        assert_eq!(without.is_err(), mode == Mode::Accumulate);
    }
}

#[test]
fn views_and_swapped_states_are_planned_right() {
    check(&attention().unwrap());
}

/// Rows of a table are changed in its buffer, and nothing of the table's size is in the arena; also where the forward
/// pass has changed them first.
#[test]
fn rows_of_a_table_are_updated_in_place() {
    for shortened in [false, true] {
        let model = table(shortened).unwrap();
        check(&model);
        let plan = model.plan();
        let sets = plan.kernels.iter().filter_map(|kernel| match &kernel.work {
            Work::Op { op: Op::SetRows(_), inputs, output }
                if matches!(output.region, Region::State(_)) =>
            {
                Some(inputs[0] == *output)
            }
            _ => None,
        });
        assert_eq!(sets.collect::<Vec<_>>(), [true, true], "{plan}");
        assert!(plan.footprint.arena < TABLE.0 * TABLE.1 * 4, "{plan}");
    }
}

#[test]
fn the_update_is_one_pass_a_group_in_place() {
    let model = conv_net().unwrap();
    let plan = model.plan();
    for group in model.program.groups.iter() {
        let names =
            [format!("parameter.{}", group.name), format!("momentum_buffer.{}", group.name)];
        let regions =
            names.map(|n| Region::State(plan.states.iter().position(|s| *s == n).unwrap()));
        let writers: Vec<usize> = regions
            .iter()
            .flat_map(|region| {
                let kernels = plan.kernels.iter().enumerate();
                let writing =
                    kernels.filter(|(_, k)| k.writes().iter().any(|p| p.region == *region));
                writing.map(|(i, _)| i).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(writers.len(), 2, "each buffer is written once");
        assert_eq!(writers[0], writers[1], "both by the same kernel");
    }
}

#[test]
fn gradients_do_not_wait_in_memory_for_the_update() {
    let (layers, size) = (6, 32);
    let model = products(layers, size).unwrap();
    check(&model);
    let plan = model.plan();
    let updates: Vec<usize> = plan
        .kernels
        .iter()
        .enumerate()
        .filter(|(_, k)| k.writes().iter().any(|p| matches!(p.region, Region::State(_))))
        .map(|(i, _)| i)
        .collect();
    assert_eq!(updates.len(), layers);
    for update in updates {
        let gradient = plan.kernels[update - 1].writes()[0];
        assert!(plan.kernels[update].reads().iter().any(|p| p.overlaps(gradient)), "{plan}");
    }
    // What each layer keeps for its gradient, and a few at a time of the rest.
    let matrix = size * size * DType::F32.size();
    assert!(plan.footprint.arena <= (layers + 4) * matrix, "{plan}");
}

#[test]
fn activations_share_memory() {
    let mut model = conv_net().unwrap();
    model.program.keep_gradients = false;
    let plan = model.plan();
    assert!(plan.footprint.arena < plan.footprint.unshared, "{}", plan.footprint);
}

/// The full-sized fused kernels whose code `is` this.
fn full_sized(plan: &Plan, is: impl Fn(&Fused) -> bool) -> Vec<&Kernel> {
    let fused = |kernel: &&Kernel| match &kernel.work {
        Work::Fused(fused) => fused.domain.elements() == 2 * 4 * 6 * 6 && is(fused),
        Work::Op { .. } | Work::Composite(_) => false,
    };
    plan.kernels.iter().filter(fused).collect()
}

#[test]
fn masks_and_centred_values_are_computed_again_and_not_kept() {
    let plan = conv_net().unwrap().plan();
    let stores = |wanted: fn(&Instruction) -> bool| {
        full_sized(&plan, |fused| {
            let stored = fused.outputs.iter().filter(|output| output.reduce.is_none());
            stored.into_iter().any(|output| wanted(&fused.code[output.register]))
        })
    };
    let masks = stores(|code| matches!(code, Instruction::Compare(..)));
    // That of dropout comes from random numbers, which take longer than reading it.
    assert_eq!(masks.len(), 1, "{plan}");
    let differences = stores(|code| matches!(code, Instruction::Binary(Binary::Sub, ..)));
    assert!(differences.is_empty(), "{plan}");
}

#[test]
fn the_gradient_of_a_batch_norm_takes_two_passes() {
    let mut plan = conv_net().unwrap().plan();
    let is_loss_gradient = |kernel: &Kernel| match &kernel.work {
        Work::Op { op, .. } => matches!(op, Op::CrossEntropyGrad(_)),
        Work::Fused(_) | Work::Composite(_) => false,
    };
    let start = plan.kernels.iter().position(is_loss_gradient).unwrap();
    plan.kernels.drain(..start);
    // Two batch norms, with all that lies between them and the convolutions.
    assert_eq!(full_sized(&plan, |_| true).len(), 4, "{plan}");
}

#[test]
fn what_is_not_merged_is_explained() {
    let model = conv_net().unwrap();
    let explained = explain(&model.program, &model.layout()).unwrap();
    let plan = &explained.plan;
    assert_eq!(plan.to_string(), model.plan().to_string());
    assert_eq!(explained.unmerged.len(), plan.kernels.len());
    let reasons: Vec<Reason> =
        explained.unmerged.iter().flatten().map(|unmerged| unmerged.reason).collect();
    for wanted in [Reason::Reduction, Reason::Producer("conv"), Reason::Consumer("max_pool")] {
        assert!(reasons.contains(&wanted), "{wanted:?} is not among {reasons:?}");
    }
    for (kernel, unmerged) in explained.unmerged.iter().enumerate() {
        for value in unmerged {
            assert!(value.from < kernel, "{value:?} of {kernel}");
            let written = plan.kernels[value.from].writes();
            let reads = plan.kernels[kernel].reads();
            let meets = reads.iter().any(|read| written.iter().any(|place| place.overlaps(read)));
            assert!(meets, "{value:?} of {kernel}");
        }
    }
}

/// The rules that a network seldom meets.
#[test]
fn each_rule_has_a_name() {
    let reasons = |build: &dyn Fn(&mut Graph, Value) -> Result<Value>| -> Vec<Reason> {
        let mut g = Graph::new();
        let x = g.input("x", &[40, 40], DType::F32).unwrap();
        let y = build(&mut g, x).unwrap();
        let program = Program::predict(g, vec![Named::new("y", y)]);
        let layout = StateLayout::new(&program.groups, &[], None).unwrap();
        let explained = explain(&program, &layout).unwrap();
        explained.unmerged.iter().flatten().map(|unmerged| unmerged.reason).collect()
    };
    let turned = reasons(&|g, x| {
        let y = g.exp(x)?;
        let turned = g.permute(y, &[1, 0])?;
        g.add(y, turned)
    });
    assert_eq!(turned, [Reason::OtherOrder]);
    let long = reasons(&|g, mut x| {
        for _ in 0..200 {
            x = g.sin(x)?;
        }
        Ok(x)
    });
    assert_eq!(long, [Reason::TooLong]);
    let summed = reasons(&|g, x| {
        let y = g.exp(x)?;
        let sum = g.sum(y, &[1], true)?;
        g.div(y, sum)
    });
    assert!(summed.contains(&Reason::Reduction) && !summed.contains(&Reason::Between));
    // The first exponential is read by what comes behind a product, and by what that is multiplied with.
    let between = reasons(&|g, x| {
        let y = g.exp(x)?;
        let product = g.matmul(y, x)?;
        let z = g.tanh(y)?;
        g.mul(z, product)
    });
    assert!(between.contains(&Reason::Producer("matmul")), "{between:?}");
    let parts = reasons(&|g, x| {
        let y = g.exp(x)?;
        let both = g.concat(&[y, y], 0)?;
        g.tanh(both)
    });
    assert!(parts.contains(&Reason::Assembled), "{parts:?}");
}

#[test]
fn composites_are_found_whatever_reads_their_parts() {
    let plan = conv_net().unwrap().plan();
    let composites = |is: fn(&Composite) -> bool| {
        let found = plan.kernels.iter().filter_map(|kernel| match &kernel.work {
            Work::Composite(composite) => Some(composite),
            Work::Op { .. } | Work::Fused(_) => None,
        });
        found.filter(|composite| is(composite)).count()
    };
    let moments = composites(|composite| matches!(composite, Composite::ConvMoments(_)));
    let gradients = composites(|composite| matches!(composite, Composite::ConvGradients(_)));
    // Of the convolutions one has a bias before its norm, and one no gradient in its input.
    assert_eq!((moments, gradients), (1, 1), "{plan}");
}

#[test]
fn a_budget_below_the_peak_is_refused_and_one_at_the_peak_is_not() {
    let model = conv_net().unwrap();
    let layout = model.layout();
    let peak = model.plan().footprint.peak();
    assert!(compile(&model.program, &layout, Some(peak)).is_ok());
    let error = compile(&model.program, &layout, Some(peak - 1)).unwrap_err();
    assert!(matches!(error, EngineError::OverBudget { needed, .. } if needed == peak), "{error}");
}

#[test]
fn training_without_a_rule_is_refused() {
    let mut model = conv_net().unwrap();
    let layout = StateLayout::new(&model.program.groups, &model.states, None).unwrap();
    model.program.update = None;
    let error = compile(&model.program, &layout, None).unwrap_err().to_string();
    assert!(error.contains("train") && error.contains("update rule"), "{error}");
}

/// One random op on values of shape `[a, b]`, `[a, 1]`, `[1, b]` and their kin.
fn grow(g: &mut Graph, values: &mut Vec<Value>, choice: u8, i: usize, j: usize) -> Result<()> {
    let (x, y) = (values[i % values.len()], values[j % values.len()]);
    let rank = g.shape(x).rank();
    let new = match choice {
        0 => g.tanh(x)?,
        1 => g.relu(x)?,
        2 => g.sigmoid(x)?,
        3..=5 => match g.add(x, y) {
            Ok(sum) => g.tanh(sum)?,
            Err(_) => g.neg(x)?,
        },
        6 | 7 => match g.mul(x, y) {
            Ok(product) => product,
            Err(_) => g.cos(x)?,
        },
        8 => g.mean(x, &[0], true)?,
        9 => g.mean(x, &[rank - 1], true)?,
        10 => g.permute(x, &[1, 0])?,
        11 => {
            let dims = g.shape(x).dims().to_vec();
            g.reshape(x, &[dims[1], dims[0]])?
        }
        12 => match g.concat(&[x, y], 0) {
            Ok(both) => g.slice_axis(both, 0, 1, 1 + g.shape(x).dims()[0])?,
            Err(_) => g.sin(x)?,
        },
        13 => g.softmax(x, rank - 1)?,
        14 => g.matmul_with(x, x, false, true)?,
        _ => {
            let dims = g.shape(x).dims().to_vec();
            let padded = g.pad(x, &[1, 0], &[0, 1], 0.5)?;
            g.slice(padded, &[0, 1], &[dims[0], dims[1] + 1])?
        }
    };
    values.push(new);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_programs_are_planned_right(
        rows in 1usize..5,
        columns in 1usize..5,
        picks in prop::collection::vec((0u8..16, 0usize..50, 0usize..50), 1..60),
    ) {
        let mut g = Graph::new();
        let x = g.input("input", &[rows, columns], DType::F32).unwrap();
        let w = g.parameter("w", &[rows, columns]).unwrap();
        let b = g.parameter("b", &[columns]).unwrap();
        let s = g.state("s", &[rows, columns]).unwrap();
        let b = g.reshape(b, &[1, columns]).unwrap();
        let mut values = vec![x, w, b, s];
        for (choice, i, j) in picks {
            grow(&mut g, &mut values, choice, i, j).unwrap();
        }
        let last = values[values.len() - 1];
        let square = g.square(last).unwrap();
        let loss = g.mean_all(square).unwrap();
        let same = |v: &&Value| g.shape(**v).dims() == [rows, columns];
        let new_state = values.iter().rev().find(same).copied().unwrap();
        let updates = vec![Named::new("s", new_state)];
        check(&training(g, last, loss, updates).unwrap());
    }
}
