//! Sequence to sequence: an encoder reads three to nine digits, a decoder writes them backwards, one after the
//! other, each time the most probable. 10 stands before the first that is written, 11 behind the last.
//!
//!     cargo run --release --example reverse

use onestep::layers::presets;
use onestep::memory::HostData;
use onestep::prelude::*;

const PLACES: usize = 10;

/// Digits, and what is to be written, both filled up with what stands behind the end.
fn strings(seed: u64, count: usize) -> (Vec<i32>, Vec<i32>) {
    let mut draws = SampleRng::new(seed, 0, 0);
    let (mut source, mut next) = (vec![11; count * PLACES], vec![11; count * PLACES]);
    for string in 0..count {
        let (first, length) = (string * PLACES, 3 + draws.below(7));
        for place in 0..length {
            source[first + place] = draws.below(10) as i32;
            next[first + length - 1 - place] = source[first + place];
        }
    }
    (source, next)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (source, next) = strings(1, 6000);
    // What was written so far, of which each place sees what is before it.
    let so_far: Vec<_> = next.chunks(PLACES).flat_map(|row| [&[10], &row[..9]].concat()).collect();
    let data = InMemory::builder("strings")
        .field(Field::indices("source", [PLACES], 12), source)
        .field(Field::indices("so_far", [PLACES], 12), so_far)
        .field(Field::labels("next", [PLACES], (0..12).map(|token| token.to_string())), next);
    let mut config = TrainerConfig { steps: Some(1500), batch_size: 64, ..Default::default() };
    config.optimizer = "adamw".parse::<OptimizerSpec>()?.with_lr(2e-3);
    config.schedule = "warmup:100:0.01@step+cosine@step".parse()?;
    config.metrics = vec!["exact_match".parse()?];
    let mut trainer = Trainer::new(presets::parse("seq2seq")?, config)?;
    trainer.fit(std::sync::Arc::new(data.build()?), None, &mut [])?;

    // All new strings at once, a place at a time.
    let (source, wanted) = strings(2, 1000);
    let mut so_far = [10; PLACES].repeat(1000);
    let mut written = wanted.clone();
    for place in 0..PLACES {
        let inputs = [("source", HostData::I32(&source)), ("so_far", HostData::I32(&so_far))];
        for (string, row) in trainer.predict(&inputs[..])?.rows().enumerate() {
            let logit = |token: &usize| row[token * PLACES + place];
            let best = (0..12).max_by(|a, b| logit(a).total_cmp(&logit(b))).unwrap_or(11) as i32;
            written[string * PLACES + place] = best;
            if place + 1 < PLACES {
                so_far[string * PLACES + place + 1] = best;
            }
        }
    }
    let right = written.chunks(PLACES).zip(wanted.chunks(PLACES)).filter(|(a, b)| a == b).count();
    println!("{:.1} % of 1000 new strings are written backwards whole", right as f64 / 10.0);
    assert!(right > 990, "{right}");
    Ok(())
}
