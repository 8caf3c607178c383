//! The presets that torchvision has too: its names and shapes, one forward pass and three steps.

use std::collections::BTreeMap;

use onestep_base::{hash::fnv1a, philox::uniform_block};
use onestep_engine::{DType, Feeds, Mode};
use onestep_layers::{Layout, Model, ParameterSpec, presets};
use onestep_optimizer::{Optimizer, OptimizerSpec};
use onestep_trainer::{ExecutorOptions, Learner, TrainingProgram, executor};
use serde::Deserialize;

/// What `crates/conformance/goldens/generator/presets.py` wrote of a model.
#[derive(Deserialize)]
struct Golden {
    tensors: usize,
    numbers: usize,
    hash: String,
    side: usize,
    rate: f64,
    output: Vec<f64>,
    losses: Vec<f64>,
    norms: BTreeMap<String, f64>,
    f32_error: BTreeMap<String, f64>,
}

const SEED: u64 = 7;

/// The labels of the batch.
const LABELS: [i32; 8] = [3, 7, 0, 3, 9, 1, 5, 2];

/// The larger networks take a minute and gigabytes: `ONESTEP_LONG_TESTS=1` runs them.
fn skipped() -> bool {
    let skipped = std::env::var_os("ONESTEP_LONG_TESTS").is_none();
    if skipped {
        eprintln!("skipped: ONESTEP_LONG_TESTS is not set");
    }
    skipped
}

fn goldens() -> BTreeMap<String, Golden> {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../conformance/goldens/data/presets.json");
    serde_json::from_str(&std::fs::read_to_string(data).unwrap()).unwrap()
}

#[test]
fn names_and_shapes_are_torchvisions() {
    for (name, golden) in goldens() {
        let model = presets::find(&name).unwrap().spec().compile().unwrap();
        let shape = |p: &ParameterSpec| match p.layout {
            Layout::Same => p.info.shape.dims().to_vec(),
            Layout::Transposed => p.info.shape.iter().rev().copied().collect(),
        };
        let parameters = model.parameters().iter().map(|p| (p.info.name.clone(), shape(p)));
        let states = model.states().iter().map(|s| (s.name.clone(), s.shape.dims().to_vec()));
        let all: Vec<(String, Vec<usize>)> = parameters.chain(states).collect();
        let mut lines: Vec<String> =
            all.iter().map(|(name, shape)| format!("{name} {shape:?}")).collect();
        lines.sort_unstable();
        let numbers: usize = all.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
        assert_eq!((lines.len(), numbers), (golden.tensors, golden.numbers), "{name}");
        let hash = format!("{:016x}", fnv1a(lines.join("\n").as_bytes()));
        assert_eq!(hash, golden.hash, "{name}: {lines:#?}");
    }
}

#[test]
fn every_preset_is_built_and_written() {
    for preset in presets::PRESETS {
        let spec = preset.build(preset.input, 7);
        let text = spec.to_json().unwrap();
        assert_eq!(onestep_layers::ModelSpec::from_json(&text).unwrap(), spec, "{}", preset.name);
        let model = spec.compile().unwrap();
        // Some say so for each position of a text, or for each pixel.
        let wanted = match preset.name {
            "next_char" | "nano_gpt" | "nano_gpt_384" | "char_gpt" | "seq2seq" => {
                vec![7, preset.input[0]]
            }
            "unet" => vec![7, 64, 64],
            "conv_autoencoder" => preset.input.to_vec(),
            _ => vec![7],
        };
        assert_eq!(model.output_shape().dims(), wanted, "{}", preset.name);
        assert_eq!(presets::parse(preset.name).unwrap(), preset.spec());
    }
    let error = presets::parse("resnet19").unwrap_err().to_string();
    assert!(error.contains("must be one of mlp, lenet5, resnet18"), "{error}");
    let base = |text: &str| {
        let model = presets::parse(text).unwrap().compile().unwrap();
        model.parameters()[0].info.shape.dims()[0]
    };
    assert_eq!((base("unet"), base("unet:base=6")), (16, 6));
    for text in [
        "mlp:depth=3",
        "mlp:classes=0",
        "mlp:base=8",
        "unet:base=0",
        "mlp:classes",
        "vgg11_bn:input=3x32",
    ] {
        assert!(presets::parse(text).is_err(), "{text}");
    }
    let spec = presets::parse("mobilenet_v2:classes=3,input=1x32x32").unwrap();
    assert_eq!(spec.input().unwrap().shape, [1, 32, 32]);
}

/// Each is planned for a small batch, and takes two steps, of which the second sees what the first has done.
#[test]
fn every_preset_is_planned_and_learns() {
    for preset in presets::PRESETS {
        let input = match preset.input {
            [channels, _, _] if preset.classes == 1000 => vec![*channels, 32, 32],
            own => own.to_vec(),
        };
        let model = preset.build(&input, 10).compile().unwrap();
        let sgd = "sgd".parse::<OptimizerSpec>().unwrap().with_lr(1e-4);
        let sgd = Optimizer::from_spec(sgd).unwrap();
        let program = TrainingProgram::new(model, "cross_entropy".parse().unwrap(), sgd).unwrap();
        let step = program.program(Mode::Train, 4).unwrap();
        let plan = onestep_engine::plan::compile(&step, program.layout(), None).unwrap();
        assert!(plan.kernels.len() > 8 && plan.footprint.arena > 0, "{}", preset.name);
        // Its parameters alone are half a gigabyte.
        if preset.name == "vgg11_bn" && skipped() {
            continue;
        }
        let cpu = executor("cpu", &ExecutorOptions { threads: 1, memory_budget: None }).unwrap();
        let mut learner = Learner::new(program, cpu, SEED).unwrap();
        let signature = learner.program().signature(Mode::Train, 4).unwrap();
        let batch: Vec<_> = signature
            .fields()
            .iter()
            .map(|(name, ty)| {
                let drawn = numbers(&format!("{} {name}", preset.name), ty.shape.elements(), 1.0);
                // Classes and the numbers of tokens: fewer than there are of either.
                let index = |x: &f32| ((x + 1.0) * 4.9) as i32;
                match ty.dtype {
                    DType::F32 => learner.memory().from_slice(ty.shape.clone(), &drawn).unwrap(),
                    _ => {
                        let indices: Vec<i32> = drawn.iter().map(index).collect();
                        learner.memory().from_slice(ty.shape.clone(), &indices).unwrap()
                    }
                }
            })
            .collect();
        let mut loss = || learner.step(Feeds::new(&batch)).unwrap().wait().unwrap().loss().unwrap();
        let (first, second) = (loss(), loss());
        assert!(first.is_finite() && second.is_finite(), "{}: {first}, {second}", preset.name);
        assert_ne!(first, second, "{}: nothing has changed", preset.name);
    }
}

/// Numbers from `-bound` to `bound` of the stream that belongs to a name.
fn numbers(name: &str, count: usize, bound: f64) -> Vec<f32> {
    let hash = fnv1a(name.as_bytes());
    let step = (1 << 63) | (hash >> 32);
    let blocks = (0..count.div_ceil(4) as u32).map(|b| uniform_block(SEED, step, hash as u32, b));
    let scaled = blocks.flatten().map(|u| (f64::from(u) * 2.0 * bound - bound) as f32);
    scaled.take(count).collect()
}

/// As `fill` of the generator: uniform with the variance `1 / fan_in`, scales 1, shifts 0.
fn start(learner: &Learner, model: &Model) {
    for parameter in model.parameters() {
        let (name, dims) = (&parameter.info.name, parameter.info.shape.dims());
        let count = dims.iter().product();
        let values = match (dims, name.ends_with("weight")) {
            ([_], true) => vec![1.0; count],
            ([_], false) => vec![0.0; count],
            ([rows, _], _) => numbers(name, count, (3.0 / *rows as f64).sqrt()),
            ([out, ..], _) => numbers(name, count, (3.0 / (count / out) as f64).sqrt()),
            ([], _) => panic!("{name} has no axis"),
        };
        learner.state().write(name, &values).unwrap();
    }
}

fn check(what: &str, got: impl Iterator<Item = f64>, wanted: &[f64], error: f64) {
    // PyTorch's own rounding error in f32, a few times: sums are in another order here.
    let allowed = 16.0 * error + 1e-5;
    for (got, wanted) in got.zip(wanted) {
        assert!((got - wanted).abs() <= allowed, "{what}: {got} for {wanted}, {allowed} allowed");
    }
}

fn three_steps(name: &str) {
    let golden = &goldens()[name];
    let mut spec = presets::find(name).unwrap().build(&[3, golden.side, golden.side], 10);
    without_dropout(&mut spec.layers);
    let model = spec.compile().unwrap();
    let sgd = "sgd".parse::<OptimizerSpec>().unwrap().with_lr(golden.rate);
    let sgd = Optimizer::from_spec(sgd).unwrap();
    let program = TrainingProgram::new(model.clone(), "cross_entropy".parse().unwrap(), sgd);
    let options = ExecutorOptions { threads: 1, memory_budget: None };
    let cpu = executor("cpu", &options).unwrap();
    let mut learner = Learner::new(program.unwrap().keep(true), cpu, SEED).unwrap();
    start(&learner, &model);
    let input =
        numbers(&format!("{name} input"), LABELS.len() * 3 * golden.side * golden.side, 1.0);
    let shape = [LABELS.len(), 3, golden.side, golden.side];
    let batch = [
        learner.memory().from_slice(shape, &input).unwrap(),
        learner.memory().from_slice([LABELS.len()], &LABELS).unwrap(),
    ];
    let mut losses = Vec::new();
    for step in 0..3 {
        losses.push(f64::from(
            learner.step(Feeds::new(&batch)).unwrap().wait().unwrap().loss().unwrap(),
        ));
        if step == 0 {
            let output = learner.reading("output").unwrap().into_iter().map(f64::from);
            check(&format!("{name}: output"), output, &golden.output, golden.f32_error["output"]);
        }
    }
    let error = golden.f32_error["losses"];
    check(&format!("{name}: losses"), losses.into_iter(), &golden.losses, error);
    let norm = |name: &String| {
        let values = learner.state().read(name).unwrap();
        values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt()
    };
    let wanted: Vec<f64> = golden.norms.values().copied().collect();
    let error = golden.f32_error["norms"];
    check(&format!("{name}: norms"), golden.norms.keys().map(norm), &wanted, error);
}

fn without_dropout(layers: &mut [onestep_layers::Placed]) {
    for placed in layers {
        match &mut placed.layer {
            onestep_layers::LayerSpec::Dropout(dropout) => dropout.p = 0.0,
            onestep_layers::LayerSpec::Block(block) => without_dropout(&mut block.body),
            _ => {}
        }
    }
}

#[test]
fn resnet18_steps_as_torchvisions() {
    three_steps("resnet18");
}

#[test]
fn mobilenet_v2_steps_as_torchvisions() {
    three_steps("mobilenet_v2");
}

#[test]
fn larger_models_step_as_torchvisions() {
    if skipped() {
        return;
    }
    for name in ["resnet34", "resnet50", "vgg11_bn", "densenet121"] {
        three_steps(name);
    }
}
