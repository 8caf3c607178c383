//! A model that is replaced while it learns: what both have by name is carried over, with what the
//! optimizer keeps, and the steps are counted on.
//!
//!     cargo run --release --example grow

use onestep::data::Sample;
use onestep::prelude::*;

/// A perceptron, with one more hidden layer or without.
fn program(deeper: bool) -> Result<TrainingProgram, Box<dyn std::error::Error>> {
    let mut model = ModelBuilder::new([64]).dense(32, true, "body").relu("relu1");
    if deeper {
        model =
            model.residual(|more| more.dense(32, true, "more").tanh("tanh"), |skip| skip, "extra");
    }
    let adam = Optimizer::from_spec("adam".parse::<OptimizerSpec>()?.with_lr(0.01))?;
    let model = model.dense(10, true, "head").build()?;
    Ok(TrainingProgram::new(model, "cross_entropy".parse()?, adam)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?.train;
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for index in 0..256 {
        let sample = Sample::read(data.as_ref(), index)?;
        pixels.extend_from_slice(sample.f32("input")?);
        labels.extend_from_slice(sample.i32("target")?);
    }
    let cpu = executor("cpu", &ExecutorOptions::default())?;
    let mut learner = Learner::new(program(false)?, cpu, 0)?;
    let memory = learner.memory().clone();
    let batch = [memory.from_slice([256, 64], &pixels)?, memory.from_slice([256], &labels)?];
    let step = |learner: &mut Learner| -> Result<f32, TrainerError> {
        Ok(learner.step(Feeds::new(&batch))?.wait()?.loss().unwrap_or(f32::NAN))
    };
    let first = step(&mut learner)?;
    for _ in 1..40 {
        step(&mut learner)?;
    }
    let body = learner.state().read("body.weight")?;
    let carried = learner.rebuild(program(true)?)?;
    println!("carried over: {}", carried.join(", "));
    assert!(carried.iter().any(|name| name == "exp_avg.head.weight"));
    assert!(!carried.iter().any(|name| name.contains("more")));
    assert_eq!((learner.state().read("body.weight")?, learner.steps()), (body, 40));
    let then = step(&mut learner)?;
    for _ in 41..80 {
        step(&mut learner)?;
    }
    let last = step(&mut learner)?;
    println!("loss {first:.3} at first, {then:.3} with the new layer, {last:.3} at last");
    assert!(then < 0.7 * first && last < then);
    Ok(())
}
