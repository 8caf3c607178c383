//! The doors. Each takes bytes and answers, or refuses with a message.

use std::fs;
use std::path::Path;

use onestep::data::{Pipeline, open, read_picture, read_sample};
use onestep::layers::{LossSpec, ModelSpec};
use onestep::memory::Shape;
use onestep::optimizer::{Horizon, Optimizer, OptimizerSpec, ScheduleSpec};
use onestep::prelude::factory;
use onestep::trainer::{Trainer, TrainerBuilder, TrainerConfig};

use crate::corpus::{Corpus, Item};

pub(crate) type Answer = Result<(), String>;
pub(crate) type Door = fn(&Corpus, &Item, &[u8]) -> Answer;

/// Models beyond this are compiled by nobody who runs a test.
const MOST_PARAMETERS: usize = 1_000_000;

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Settings come as text; a file that is none is refused before it gets here.
fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(words)
}

/// Puts damaged bytes in the place of a good file while a door looks at it.
fn in_place(
    corpus: &Corpus,
    item: &Item,
    bytes: &[u8],
    door: impl FnOnce(&Path) -> Answer,
) -> Answer {
    let path = corpus.path(&item.file);
    fs::write(&path, bytes).unwrap();
    let answer = door(&path);
    fs::write(&path, &item.bytes).unwrap();
    answer
}

pub(crate) fn model(_: &Corpus, _: &Item, bytes: &[u8]) -> Answer {
    let model = ModelSpec::from_json(text(bytes)?).map_err(words)?.compile().map_err(words)?;
    drop(model.summary(1).to_string());
    if model.parameter_count() > MOST_PARAMETERS {
        return Ok(());
    }
    let config = TrainerConfig { memory_budget: Some(256 << 20), threads: 1, ..Default::default() };
    Trainer::new(model, config).map(drop).map_err(words)
}

pub(crate) fn settings(_: &Corpus, _: &Item, bytes: &[u8]) -> Answer {
    let config: TrainerConfig = serde_json::from_slice(bytes).map_err(words)?;
    config.validate().map_err(words)
}

pub(crate) fn loss(_: &Corpus, _: &Item, bytes: &[u8]) -> Answer {
    let loss: LossSpec = serde_json::from_slice(bytes).map_err(words)?;
    let config = TrainerConfig { loss, threads: 1, ..Default::default() };
    Trainer::new(factory::mlp([2], &[], 2), config).map(drop).map_err(words)
}

pub(crate) fn optimizer(_: &Corpus, _: &Item, bytes: &[u8]) -> Answer {
    let spec: OptimizerSpec = serde_json::from_slice(bytes).map_err(words)?;
    Optimizer::from_spec(spec).map(drop).map_err(words)
}

pub(crate) fn schedule(_: &Corpus, _: &Item, bytes: &[u8]) -> Answer {
    let spec: ScheduleSpec = text(bytes)?.parse().map_err(words)?;
    spec.validate().map_err(words)?;
    let schedule = spec.build(0.1, Horizon::new(10, 5).map_err(words)?).map_err(words)?;
    let rates = (0..50).map(|step| schedule.lr(step));
    let bad = rates.into_iter().find(|rate| !rate.is_finite() || *rate < 0.0);
    assert!(bad.is_none(), "a learning rate of {bad:?}");
    Ok(())
}

pub(crate) fn pipeline(_: &Corpus, _: &Item, bytes: &[u8]) -> Answer {
    let pipeline: Pipeline = text(bytes)?.parse().map_err(words)?;
    pipeline.check(&Shape::from([2, 8, 8])).map_err(words)
}

pub(crate) fn data_text(corpus: &Corpus, _: &Item, bytes: &[u8]) -> Answer {
    // The folder of the corpus stands in the text where its file does.
    let table = corpus.path("fruit.csv").display().to_string();
    open(&text(bytes)?.replacen("fruit.csv", &table, 1)).map(drop).map_err(words)
}

/// Opens data and reads a few samples.
fn read(spec: &str) -> Answer {
    let data = open(spec).map_err(words)?;
    for part in [&data.train, &data.validation] {
        for index in 0..part.len().min(30) {
            read_sample(part.as_ref(), index).map_err(words)?;
        }
    }
    Ok(())
}

pub(crate) fn table(corpus: &Corpus, item: &Item, bytes: &[u8]) -> Answer {
    in_place(corpus, item, bytes, |path| read(&format!("csv:{}", path.display())))
}

pub(crate) fn picture(corpus: &Corpus, item: &Item, bytes: &[u8]) -> Answer {
    in_place(corpus, item, bytes, |path| {
        read_picture(path, &Shape::from([3, 8, 8])).map(drop).map_err(words)
    })
}

pub(crate) fn folders(corpus: &Corpus, item: &Item, bytes: &[u8]) -> Answer {
    let spec = format!("images:{}?size=8", corpus.path("folders").display());
    in_place(corpus, item, bytes, |_| read(&spec))
}

pub(crate) fn idx(corpus: &Corpus, item: &Item, bytes: &[u8]) -> Answer {
    let spec = format!("mnist:{}", corpus.path("idx").display());
    in_place(corpus, item, bytes, |_| read(&spec))
}

pub(crate) fn cifar(corpus: &Corpus, item: &Item, bytes: &[u8]) -> Answer {
    let spec = format!("cifar10:{}", corpus.path("cifar").display());
    in_place(corpus, item, bytes, |_| read(&spec))
}

/// A checkpoint with one damaged file is whole again or refused: nothing in between.
pub(crate) fn checkpoint(corpus: &Corpus, item: &Item, bytes: &[u8]) -> Answer {
    in_place(corpus, item, bytes, |path| {
        let loaded = TrainerBuilder::load(path.parent().unwrap()).and_then(TrainerBuilder::build);
        assert!(loaded.is_err() || bytes == item.bytes, "a damaged checkpoint was taken");
        loaded.map(drop).map_err(words)
    })
}

pub(crate) fn weights(corpus: &Corpus, item: &Item, bytes: &[u8]) -> Answer {
    let config = TrainerConfig { threads: 1, ..Default::default() };
    let mut trainer = Trainer::new(factory::mlp([1, 8, 8], &[8], 10), config).map_err(words)?;
    in_place(corpus, item, bytes, |path| trainer.load_weights(path).map_err(words))
}
