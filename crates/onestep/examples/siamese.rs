//! Two pictures through the same weights: do they show the same digit?
//!
//!     cargo run --release --example siamese

use onestep::data::{ConcatDataset, Pairs};
use onestep::layers::{InputSpec, Sum};
use onestep::prelude::*;
use std::sync::Arc;

/// Each picture beside another one, so many times over: half of the pairs are of one class.
fn pairs(digits: Arc<dyn Dataset>, times: u64) -> Result<Arc<dyn Dataset>, DataError> {
    let drawn = (0..times).map(|seed| Ok(Arc::new(Pairs::new(digits.clone(), seed)?) as _));
    Ok(Arc::new(ConcatDataset::new(drawn.collect::<Result<_, DataError>>()?)?))
}

/// What a picture is described by: 32 numbers.
fn look(layers: Branch) -> Branch {
    layers.flatten("flat").dense(256, true, "wide").relu("relu").dense(32, true, "describe")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let picture = || InputSpec::new([1, 8, 8]);
    let model = ModelBuilder::with_inputs([("a", picture()), ("b", picture())])
        .block(look, "look")
        .taking(["a"])
        .block(look, "look_again")
        .taking(["b"])
        .sharing("look")
        .layer(Sum::weighted([1.0, -1.0]).named("apart"))
        .taking(["look", "look_again"])
        .multiply(["apart", "apart"], "squares")
        .dense(2, true, "same")
        .build()?;
    let data = open("digits")?;
    let smoothed = r#"{"type": "cross_entropy", "label_smoothing": 0.1}"#;
    let config = TrainerConfig {
        loss: smoothed.parse()?,
        schedule: "cosine".parse()?,
        batch_size: 64,
        epochs: 15,
        ..Default::default()
    };
    let mut trainer = Trainer::new(model, config)?;
    trainer.fit(pairs(data.train, 56)?, None, &mut [])?;
    let accuracy = trainer.evaluate(pairs(data.validation, 6)?)?.metrics.accuracy();
    println!("{:.2} % of new pairs are judged right", 100.0 * accuracy.unwrap_or(0.0));
    assert!(accuracy > Some(0.97));
    Ok(())
}
