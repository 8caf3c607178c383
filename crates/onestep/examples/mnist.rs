//! MNIST in a few lines: `cargo run --release --example mnist -- DIR`, where DIR has the idx files
//! (gzipped or not). Without it the embedded digits are used.

use onestep::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = match std::env::args().nth(1) {
        Some(folder) => open(&format!("mnist:{folder}"))?,
        None => {
            println!("no folder with MNIST given: training on the embedded digits");
            open("digits")?
        }
    };
    let model = ModelBuilder::new(data.train.input_shape().dims())
        .conv2d(16, 3, 1, 1, true, "conv1")
        .relu("relu1")
        .max_pool2d(2, "pool1")
        .conv2d(32, 3, 1, 1, true, "conv2")
        .relu("relu2")
        .max_pool2d(2, "pool2")
        .flatten("flat")
        .dense(10, true, "fc")
        .build()?;
    let config = TrainerConfig { epochs: 5, ..factory::cnn_config() };
    let mut trainer = Trainer::new(model, config)?;
    trainer.fit(data.train, Some(data.validation.clone()), &mut [])?;
    let accuracy = trainer.evaluate(data.validation)?.metrics.accuracy();
    println!("accuracy {accuracy:.4?}");
    assert!(accuracy > Some(0.9));
    Ok(())
}
