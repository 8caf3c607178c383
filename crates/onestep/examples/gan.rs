//! Two learners take turns on the digits: one draws, the other tells drawings from real ones.
//!
//!     cargo run --release --example gan

use onestep::data::Sample;
use onestep::prelude::*;

const BATCH: usize = 64;
const NOISE: usize = 16;

/// The layers of the judge, alone or behind the painter's.
fn judge_of(model: ModelBuilder) -> ModelBuilder {
    model.dense(64, true, "d_fc1").leaky_relu(0.2, "d_relu").dense(1, true, "d_fc2")
}

fn learner(model: Model, frozen: &[String]) -> Result<Learner, Box<dyn std::error::Error>> {
    let adam = Optimizer::from_spec("adam".parse::<OptimizerSpec>()?.with_lr(1e-3))?;
    let mut program = TrainingProgram::new(model, "bce_with_logits".parse()?, adam)?;
    if !frozen.is_empty() {
        // No gradient of the judge is kept here, and its verdict is read beside the picture.
        program = program.freeze(frozen, true)?.readable(&["picture".into()])?;
    }
    Ok(Learner::new(program, executor("cpu", &ExecutorOptions::default())?, 0)?)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?.train;
    let painter = ModelBuilder::new([NOISE]).dense(64, true, "g_fc1").relu("g_relu");
    let painter = painter.dense(64, true, "g_fc2").sigmoid("picture");
    let mut painter = learner(judge_of(painter).build()?, &["d_*".into()])?;
    let mut judge = learner(judge_of(ModelBuilder::new([64])).build()?, &[])?;
    let memory = painter.memory().clone();
    let mut rng = SampleRng::new(1, 0, 0);
    let (mut real, mut drawn) = (Vec::new(), Vec::new());
    for step in 0..1500 {
        let noise: Vec<f32> = (0..BATCH * NOISE).map(|_| 2.0 * rng.uniform() - 1.0).collect();
        let noise = memory.from_slice([BATCH, NOISE], &noise)?;
        painter.predict(Feeds::new(std::slice::from_ref(&noise)))?;
        drawn = painter.read(Mode::Predict, BATCH, "picture")?;
        real.clear();
        for _ in 0..BATCH {
            real.extend(Sample::read(data.as_ref(), rng.below(data.len()))?.f32("input")?);
        }
        // The judge's turn, on both kinds; then the painter's, who wants to be taken for real.
        let both = judge.memory().from_slice([2 * BATCH, 64], &[&real[..], &drawn].concat())?;
        let truth: Vec<f32> = (0..2 * BATCH).map(|i| f32::from(u8::from(i < BATCH))).collect();
        let truth = judge.memory().from_slice([2 * BATCH, 1], &truth)?;
        let judged = judge.step(Feeds::new(&[both, truth]))?.wait()?.loss();
        painter.take_from(&judge, "d_*")?;
        let wish = memory.from_slice([BATCH, 1], &[1.0f32; BATCH])?;
        let fooled = painter.step(Feeds::new(&[noise, wish]))?.wait()?.loss();
        (step % 300 == 0).then(|| println!("{step}: judge {judged:.3?}, painter {fooled:.3?}"));
    }
    let mean = |all: &[f32], pixel| all.chunks(64).map(|p| p[pixel]).sum::<f32>() / BATCH as f32;
    let apart = (0..64).map(|pixel| (mean(&real, pixel) - mean(&drawn, pixel)).abs());
    let apart = apart.sum::<f32>() / 64.0;
    println!("the mean drawing is {apart:.3} a pixel from the mean digit");
    assert!(apart < 0.15);
    Ok(())
}
