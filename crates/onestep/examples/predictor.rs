//! Answers for several threads: the weights are there once, nothing of the optimizer is, and each
//! answer takes the same time.
//!
//!     cargo run --release --example predictor

use std::time::Instant;

use onestep::data::Sample;
use onestep::prelude::*;
use onestep::trainer::{Predictor, PredictorOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let model = ModelBuilder::new([1, 8, 8]).flatten("flat").dense(10, true, "fc").build()?;
    let config = TrainerConfig { epochs: 10, ..TrainerConfig::default() };
    let mut trainer = Trainer::new(model, config)?;
    trainer.fit(data.train, None, &mut [])?;
    let folder = std::env::temp_dir().join(format!("onestep-answers-{}", std::process::id()));
    trainer.save(&folder)?;

    // In the service: one predictor, two answers at a time, the third caller waits for one of them.
    let options = PredictorOptions { batch: 1, lanes: 2, ..PredictorOptions::default() };
    let predictor = Predictor::load(&folder, &options)?;
    let questions: Vec<Sample> = (0..200)
        .map(|index| Sample::read(data.validation.as_ref(), index))
        .collect::<Result<_, _>>()?;
    let start = Instant::now();
    let right: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = questions
            .chunks(50)
            .map(|part| {
                scope.spawn(|| {
                    let says = |sample: &&Sample| {
                        let answer = predictor.predict(sample.f32("input").unwrap()).unwrap();
                        answer.classes()[0] as i32 == sample.i32("target").unwrap()[0]
                    };
                    part.iter().filter(says).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("{right} of 200 right in {:?} by 4 threads", start.elapsed());
    assert!(right > 160);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
