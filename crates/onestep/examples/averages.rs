//! Gradients of several batches make one step, and what is measured and saved is an average of the
//! weights (EMA).
//!
//!     cargo run --release --example averages

use onestep::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let config = TrainerConfig {
        batch_size: 16,
        accumulate: 4, // steps as of batches of 64, in the memory of one of 16
        averaging: Some(Averaging::Ema(Ema { decay: 0.95, ..Ema::default() })),
        epochs: 10,
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::new(factory::mlp([1, 8, 8], &[64], 10), config)?;
    let history = trainer.fit(data.train, Some(data.validation.clone()), &mut [])?;
    // 1438 samples are 90 batches an epoch; the last 2 of 23 steps' batches are a step too.
    println!(
        "{} steps, {} native calls a step",
        trainer.progress().step,
        history.per_step.native_calls
    );
    assert_eq!(trainer.progress().step, 10 * 23);

    let accuracy = trainer.evaluate(data.validation)?.metrics.accuracy();
    let (trained, average) =
        (trainer.parameter("fc1.weight")?, trainer.parameter("ema.fc1.weight")?);
    assert_ne!(trained, average);
    println!("accuracy {accuracy:.4?} with the average");
    assert!(accuracy > Some(0.85));

    // A file of weights has the average, for programs that know nothing of it.
    let file = std::env::temp_dir().join(format!("onestep-ema-{}.safetensors", std::process::id()));
    trainer.save_weights(&file)?;
    let mut plain = Trainer::new(factory::mlp([1, 8, 8], &[64], 10), TrainerConfig::default())?;
    plain.load_weights(&file)?;
    assert_eq!(plain.parameter("fc1.weight")?, average);
    std::fs::remove_file(file)?;
    Ok(())
}
