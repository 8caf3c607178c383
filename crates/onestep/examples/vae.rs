//! A variational autoencoder of the digits: a picture to a distribution of codes, a drawn code back to a picture.
//! The target is the input itself, and the second loss compares with nothing.
//!
//!     cargo run --release --example vae

use onestep::data::Sample;
use onestep::layers::{Formula, InputSpec, LossTerm, VaeKl};
use onestep::prelude::*;
use onestep::trainer::HostFields;

const BATCH: usize = 64;
const CODE: usize = 8;

/// Pictures, and the noise that codes are drawn with: Box and Muller's.
fn batch(data: &dyn Dataset, rng: &mut SampleRng) -> Result<[Vec<f32>; 2], DataError> {
    let mut pictures = Vec::with_capacity(BATCH * 64);
    for _ in 0..BATCH {
        pictures.extend(Sample::read(data, rng.below(data.len()))?.f32("input")?);
    }
    let mut normal = || {
        let radius = (-2.0 * (1.0 - rng.uniform()).ln()).sqrt();
        radius * (std::f32::consts::TAU * rng.uniform()).cos()
    };
    Ok([pictures, (0..BATCH * CODE).map(|_| normal()).collect()])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inputs = [("picture", InputSpec::new([64])), ("noise", InputSpec::new([CODE]))];
    let model = ModelBuilder::with_inputs(inputs).dense(128, true, "fc1").taking(["picture"]);
    let model = model.relu("relu1").dense(CODE, true, "mean");
    let model = model.dense(CODE, true, "log_var").taking(["relu1"]);
    let drawn = Formula::new("x0 + exp(x1 / 2) * x2").named("code");
    let model = model.layer(drawn).taking(["mean", "log_var", "noise"]);
    let model = model.dense(128, true, "fc2").relu("relu2").dense(64, true, "fc3");
    let model = model.output("drawn", "fc3").output("mean", "mean").output("log_var", "log_var");
    // Nats a picture: sums over pixels and codes, means over pictures.
    let of_pixels: LossSpec = "bce_with_logits".parse()?;
    let (output, target) = ("drawn".to_owned(), "picture".to_owned());
    let drawn = LossTerm { output, target, weight: 64.0, ..LossTerm::from(of_pixels) };
    let outputs = vec!["mean".to_owned(), "log_var".to_owned()];
    let code = LossTerm { outputs, ..LossTerm::from(LossSpec::from(VaeKl::default())) };
    let model = model.loss(drawn).loss(code).build()?;
    let config = TrainerConfig { optimizer: "adam".parse()?, ..TrainerConfig::default() };
    let mut trainer = Trainer::new(model, config)?;
    let (data, mut rng) = (open("digits")?, SampleRng::new(1, 0, 0));
    let (mut losses, nothing) = (Vec::new(), HostFields::NONE);
    for step in 0..2050 {
        // The last ones are of pictures held out, and teach nothing.
        let held_out = step >= 2000;
        let from = if held_out { &data.validation } else { &data.train };
        trainer.set_learning_rate(if held_out { 0.0 } else { 2e-3 })?;
        let [pictures, noise] = batch(from.as_ref(), &mut rng)?;
        let fed = [("picture", (&pictures).into()), ("noise", (&noise).into())];
        losses.push(trainer.train_batch(&fed, nothing)?.loss);
    }
    let bound = losses[2000..].iter().sum::<f32>() / 50.0;
    println!("{:.2} nats a picture at first, {bound:.2} of those held out", losses[0]);
    assert!(bound < 0.75 * losses[0]);
    Ok(())
}
