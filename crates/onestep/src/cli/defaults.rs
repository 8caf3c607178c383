//! What is trained, and how, where nobody says so: it follows from the data.

use anyhow::{Result, bail};
use onestep::data::{DataSplits, Meaning, Pipeline, TargetSpec};
use onestep::layers::presets::Request;
use onestep::layers::{ModelSpec, Reshape};
use onestep::memory::DType;
use onestep::trainer::{TrainerConfig, factory};

use super::files::ModelChoice;

/// Hidden units of the default perceptron.
const HIDDEN: [usize; 2] = [128, 64];

/// Pictures with shorter sides than this get a perceptron.
const SMALLEST_PICTURE: usize = 4;

/// Settings that suit the data.
pub(crate) fn config(data: &DataSplits) -> Result<TrainerConfig> {
    let base =
        TrainerConfig { augmentation: data.augmentation.to_string(), ..factory::cnn_config() };
    if let TargetSpec::Values { .. } = data.train.target() {
        return Ok(TrainerConfig { epochs: 50, loss: "mse".parse()?, ..base });
    }
    if data.record.texts.is_some() {
        // A transformer, which does not take the rate of a small convolutional network.
        let optimizer = base.optimizer.clone().with_lr(5e-4);
        return Ok(TrainerConfig { epochs: 10, optimizer, ..base });
    }
    Ok(match data.train.len() {
        ..=5_000 => base,
        5_001..=20_000 => TrainerConfig { epochs: 8, batch_size: 64, ..base },
        _ => TrainerConfig { epochs: 10, batch_size: 128, ..base },
    })
}

/// Settings with the normalisation of `known` transforms (those that the data asks for, or those that a
/// run began with), where other transforms were asked for that say nothing of one: flips of pictures are
/// a choice, what the model's inputs are scaled by is part of the model.
pub(crate) fn normalised(config: TrainerConfig, known: &str) -> TrainerConfig {
    let of_the_model =
        |text: &str| text.parse::<Pipeline>().map(|pipeline| pipeline.of_the_model().to_string());
    // What cannot be read is refused with the other settings.
    let (Ok(asked), Ok(kept)) = (of_the_model(&config.augmentation), of_the_model(known)) else {
        return config;
    };
    if !asked.is_empty() || kept.is_empty() {
        return config;
    }
    let augmentation = [kept, config.augmentation].join(",").trim_end_matches(',').to_owned();
    TrainerConfig { augmentation, ..config }
}

/// The model that was asked for, whose sizes are those of the data where none were said; and those.
pub(crate) fn sized(choice: ModelChoice, data: &DataSplits) -> Result<(ModelSpec, Vec<String>)> {
    let shape = data.train.input_shape();
    let outputs = maps_or_outputs(shape.dims(), &data.train.target());
    choice.for_data(&data.name, shape.dims(), (outputs, tokens(data)))
}

/// How many tokens there are, where the data's only input is of them.
fn tokens(data: &DataSplits) -> Option<usize> {
    let fields = data.train.fields();
    fields.input().and_then(|input| match input.meaning {
        Meaning::Indices { count } => Some(count),
        _ => None,
    })
}

/// What a model by name gives for each place of its input where the data says something of each, as masks do:
/// the maps. Else the classes or values.
fn maps_or_outputs(input: &[usize], target: &TargetSpec) -> usize {
    if let (TargetSpec::Values { shape }, [_, sides @ ..]) = (target, input)
        && let [maps, own @ ..] = shape.dims()
        && own.len() > 1
        && own == sides
    {
        return *maps;
    }
    outputs(target)
}

/// The classes of data, or its values.
fn outputs(target: &TargetSpec) -> usize {
    match target {
        TargetSpec::Values { shape } => shape.elements(),
        other => other.class_count().unwrap_or(1),
    }
}

/// A network that suits the data: convolutions for pictures, a perceptron for all other numbers.
pub(crate) fn model(data: &DataSplits) -> Result<ModelSpec> {
    if data.record.texts.is_some() {
        let encoder = ModelChoice::Preset(Request::parse("text_encoder")?);
        return Ok(sized(encoder, data)?.0);
    }
    let fields = data.train.fields();
    if let Some(input) = fields.input().filter(|input| input.dtype != DType::F32) {
        bail!(
            "{}: there is no network for {input} by itself; write one that begins with an embedding \
             (docs/model-spec.md) and give it with --model, or for a text take --model next_char",
            data.name
        );
    }
    let shape = data.train.input_shape();
    let target = data.train.target();
    let outputs = outputs(&target);
    let picture = matches!(*shape.dims(), [_, h, w] if h.min(w) >= SMALLEST_PICTURE);
    let (kind, mut spec) = match picture {
        true => ("cnn", factory::cnn(shape.dims(), outputs)),
        false => ("mlp", factory::mlp(shape.dims(), &HIDDEN, outputs)),
    };
    if let TargetSpec::Values { shape } = &target
        && shape.rank() != 1
    {
        let dims: Vec<i64> = shape.iter().map(|&dim| dim as i64).collect();
        spec.layers.push(Reshape::new(dims).named("shape").into());
    }
    spec.name = format!("{}-{kind}", data.name);
    Ok(spec)
}
