//! Recordings in WAV files: tones, chirps and noise, told apart by one-dimensional convolutions.
//!
//!     cargo run --release --example audio [SEED]

use std::f32::consts::TAU;
use std::path::PathBuf;

use onestep::layers::presets::Request;
use onestep::prelude::*;

const RATE: u32 = 8000;
const LENGTH: usize = 2000;

/// A quarter of a second of a class, of a pitch and a loudness of its own.
fn sound(class: &str, rng: &mut SampleRng) -> Vec<f32> {
    let (hertz, loud) = (200.0 + 1500.0 * rng.uniform(), 0.2 + 0.6 * rng.uniform());
    let mut phase = TAU * rng.uniform();
    let wave = |at| {
        let rise = if class == "chirp" { 1.0 + at as f32 / LENGTH as f32 } else { 1.0 };
        phase += TAU * hertz * rise / RATE as f32;
        let pure = if class == "noise" { 2.0 * rng.uniform() - 1.0 } else { phase.sin() };
        loud * (0.7 * pure + 0.3 * (2.0 * rng.uniform() - 1.0))
    };
    (0..LENGTH).map(wave).collect()
}

fn write(folder: PathBuf, count: usize, seed: u64) -> Result<(), hound::Error> {
    let mut rng = SampleRng::new(seed, 0, 0);
    let (sample_format, bits_per_sample) = (hound::SampleFormat::Float, 32);
    let spec = hound::WavSpec { channels: 1, sample_rate: RATE, bits_per_sample, sample_format };
    for class in ["chirp", "noise", "tone"] {
        std::fs::create_dir_all(folder.join(class))?;
        for number in 0..count {
            let path = folder.join(class).join(format!("{number:03}.wav"));
            let mut file = hound::WavWriter::create(path, spec)?;
            sound(class, &mut rng).into_iter().try_for_each(|sample| file.write_sample(sample))?;
            file.finalize()?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |seed| seed.parse())?;
    let folder = tempfile::tempdir()?;
    write(folder.path().join("train"), 100, 2 * seed + 1)?;
    write(folder.path().join("val"), 50, 2 * seed + 2)?;
    let data = open(&format!("wav:{}", folder.path().display()))?;
    let shape = data.train.input_shape();
    let (spec, _) = Request::parse("audio_cnn")?.for_data("sounds", shape.dims(), 3)?;
    // Mean and deviation of the samples, which the source has measured, are a part of the model.
    let (augmentation, schedule) = (data.augmentation.to_string(), "cosine".parse()?);
    let config = TrainerConfig { epochs: 10, schedule, augmentation, seed, ..Default::default() };
    let mut trainer = Trainer::new(spec.compile()?, config)?;
    trainer.fit(data.train, None, &mut [])?;
    let accuracy = trainer.evaluate(data.validation)?.metrics.accuracy();
    println!("{:.2} % of new recordings are told right", 100.0 * accuracy.unwrap_or(0.0));
    assert!(accuracy > Some(0.9));
    Ok(())
}
