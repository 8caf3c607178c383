//! A vision transformer on the digits: patches of 4 x 4 pixels with a class token in front of them.
//!
//!     cargo run --release --example vit [-- DATA]   # such as cifar10:DIR or images:DIR

use onestep::layers::presets::Request;
use onestep::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open(&std::env::args().nth(1).unwrap_or_else(|| "digits".to_owned()))?;
    let (shape, classes) = (data.train.input_shape(), data.train.target().class_count());
    let (model, _) =
        Request::parse("vit_tiny")?.for_data(&data.name, shape.dims(), classes.unwrap_or(1))?;
    let config = TrainerConfig {
        epochs: 4,
        batch_size: 64,
        optimizer: "adamw".parse::<OptimizerSpec>()?.with_lr(5e-4),
        schedule: "one_cycle".parse()?,
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::new(model, config)?;
    let history = trainer.fit(data.train, Some(data.validation), &mut [])?;
    let last = history.last().and_then(|epoch| epoch.validation.clone()).unwrap_or_default();
    println!("{last:?} from {:?} parameters", trainer.model().parameter_count());
    assert!(last.accuracy() > Some(0.85) || std::env::args().nth(1).is_some());
    Ok(())
}
