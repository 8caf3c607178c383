//! Low-rank adapters: a trained model learns another task by a few numbers, and is a plain model again.
//!
//!     cargo run --release --example lora

use onestep::layers::{Lora, WeightLayout};
use onestep::prelude::*;

fn network() -> ModelSpec {
    let layers = ModelBuilder::new([1, 8, 8]).flatten("flat").dense(64, true, "fc1").relu("relu");
    layers.dense(10, true, "fc2").spec()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let config = TrainerConfig { epochs: 3, threads: 1, ..TrainerConfig::default() };
    let mut base = Trainer::new(network(), config.clone())?;
    base.fit(data.train.clone(), None, &mut [])?;
    let file =
        std::env::temp_dir().join(format!("onestep-lora-{}.safetensors", std::process::id()));
    base.save_weights(&file)?;

    // The other task: the same digits, dark on light. The model that was trained is worse at it.
    let augmentation = "+normalise=0.5:0.5".to_owned();
    let turned = TrainerConfig { augmentation, epochs: 12, ..config.clone() };
    let mut spec = network();
    let adapted = spec.add_lora(Lora::new(4, 8.0), |path| path.starts_with("fc"))?;
    assert_eq!(adapted, ["fc1", "fc2"]);
    let freeze = vec!["*.weight".to_owned(), "*.bias".to_owned()];
    let mut tuned = Trainer::new(spec, TrainerConfig { freeze, ..turned.clone() })?;
    println!("{}", tuned.init_from(&file, None, false)?);
    let before = tuned.evaluate(data.validation.clone())?.metrics.accuracy();
    tuned.fit(data.train, None, &mut [])?;
    let after = tuned.evaluate(data.validation.clone())?.metrics.accuracy();
    println!("accuracy {before:.3?} before, {after:.3?} after");
    assert!(after > before && after > Some(0.88));
    assert_eq!(tuned.parameter("fc1.weight")?, base.parameter("fc1.weight")?);

    // Folded into the weights: the first model's layers, and the answers of the second.
    let plain = tuned.save_merged(&file, WeightLayout::Onestep)?;
    assert_eq!(plain, network());
    let mut plain = Trainer::new(plain, turned)?;
    plain.load_weights(&file)?;
    let merged = plain.evaluate(data.validation)?.metrics.accuracy();
    assert!((merged.unwrap_or(0.0) - after.unwrap_or(1.0)).abs() < 0.01);
    std::fs::remove_file(file)?;
    Ok(())
}
