//! Reads strings of digits whose places nobody says, in pictures drawn from the digits, by CTC.
//!
//!     cargo run --release --example ctc

use onestep::data::Sample;
use onestep::layers::{Ctc, Permute, edit_distance, greedy_ctc};
use onestep::prelude::*;

const BATCH: usize = 32;
const LENGTH: usize = 5;
const WIDTH: usize = 56;
const BLANK: usize = 10;

/// Pictures `[8, WIDTH]` of digits side by side, and which they are.
fn draw(data: &dyn Dataset, rng: &mut SampleRng) -> Result<(Vec<f32>, Vec<i32>), DataError> {
    let (mut pictures, mut strings) = (vec![0.0; BATCH * 8 * WIDTH], Vec::new());
    for picture in pictures.chunks_mut(8 * WIDTH) {
        let mut left = rng.below(4);
        for _ in 0..LENGTH {
            let digit = Sample::read(data, rng.below(data.len()))?;
            for (y, row) in digit.f32("input")?.chunks(8).enumerate() {
                picture[y * WIDTH + left..][..8].copy_from_slice(row);
            }
            strings.extend(digit.i32("target")?);
            left += 8 + rng.below(4); // a gap of up to 3
        }
    }
    Ok((pictures, strings))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let model = ModelBuilder::new([1, 8, WIDTH]).conv2d(16, 3, 1, 1, true, "conv1").relu("relu1");
    let model = model.max_pool2d(2, "pool").conv2d(32, 3, 1, 1, true, "conv2").relu("relu2");
    let model = model.layer(Permute::new([0, 3, 1, 2]).named("steps_first"));
    let model = model.reshape([28, 32 * 4], "columns").dense(11, true, "classes").build()?;
    let loss = Ctc { blank: BLANK, length: Some(LENGTH), ..Ctc::default() }.into();
    let config = TrainerConfig { loss, ..TrainerConfig::default() };
    let mut trainer = Trainer::new(model, config)?;
    trainer.set_learning_rate(0.003)?;
    let mut rng = SampleRng::new(1, 0, 0);
    for step in 0..2000 {
        let (pictures, strings) = draw(data.train.as_ref(), &mut rng)?;
        let loss = trainer.train_batch(&pictures, &strings)?.loss;
        (step % 400 == 0).then(|| println!("{step}: loss {loss:.4} a character"));
    }
    let (mut wrong, mut all) = (0, 0);
    for _ in 0..10 {
        let (pictures, strings) = draw(data.validation.as_ref(), &mut rng)?;
        let logits = trainer.predict(&pictures)?.values;
        for (own, real) in logits.chunks(28 * 11).zip(strings.chunks(LENGTH)) {
            wrong += edit_distance(&greedy_ctc(own, 11, BLANK), real);
        }
        all += strings.len();
    }
    println!("{:.2} % of characters are wrong", 100.0 * wrong as f64 / all as f64);
    assert!(10 * wrong < all);
    Ok(())
}
