//! A convolutional autoencoder: digits through a code of 32 numbers, each held against itself.
//!
//!     cargo run --release --example autoencoder [SEED]

use onestep::layers::presets::Request;
use onestep::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |seed| seed.parse())?;
    let data = open("digits")?;
    let request = Request::parse("conv_autoencoder")?;
    let (spec, _) = request.for_data("digits", data.train.input_shape().dims(), 10)?;
    // The specification has the loss: the mean squared error of `output` against `input`.
    let config = TrainerConfig {
        optimizer: r#"{"type": "adam", "lr": 0.003}"#.parse()?,
        schedule: "cosine".parse()?,
        epochs: 20,
        seed,
        ..Default::default()
    };
    let mut trainer = Trainer::new(spec.compile()?, config)?;
    let before = trainer.evaluate(data.validation.clone())?.metrics.loss;
    trainer.fit(data.train, None, &mut [])?;
    let after = trainer.evaluate(data.validation)?.metrics.loss;
    println!("a pixel of a new digit is {:.4} off after {:.4}", after.sqrt(), before.sqrt());
    assert!(after < 0.02 && after < before / 5.0, "{after}");
    Ok(())
}
