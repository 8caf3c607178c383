//! A transform of one's own: it changes samples on the loader's threads, here in training alone.
//!
//!     cargo run --release --example custom_transform

use onestep::prelude::*;

/// Hides a square of each picture, at a place that is drawn (DeVries and Taylor, 2017, "Improved
/// Regularization of Convolutional Neural Networks with Cutout").
#[derive(Debug)]
struct Cutout {
    side: usize,
}

impl std::fmt::Display for Cutout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cutout={}", self.side)
    }
}

impl Transform for Cutout {
    fn check(&self, shape: &Shape) -> Result<(), DataError> {
        match shape.dims() {
            [_, height, width] if self.side <= *height.min(width) => Ok(()),
            _ => Err(DataError::other(format!("cutout: expected pictures, got {shape}"))),
        }
    }

    fn apply(
        &self,
        input: &mut [f32],
        shape: &Shape,
        rng: &mut SampleRng, // follows from seed, epoch and sample: a resumed run draws the same
        _scratch: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        let (height, width) = (shape[1], shape[2]);
        let top = rng.below(height - self.side + 1);
        let left = rng.below(width - self.side + 1);
        for plane in input.chunks_mut(height * width) {
            for row in plane.chunks_mut(width).skip(top).take(self.side) {
                row[left..left + self.side].fill(0.0);
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let mut trainer = Trainer::builder(factory::cnn([1, 8, 8], 10))
        .config(TrainerConfig { epochs: 6, ..factory::cnn_config() })
        .pipeline(Pipeline::new().training(Cutout { side: 3 }))
        .build()?;
    let history = trainer.fit(data.train, Some(data.validation.clone()), &mut [])?;
    let accuracy = trainer.evaluate(data.validation)?.metrics.accuracy();
    println!("accuracy {accuracy:.4?}, loss {:.4}", history.last().unwrap().train.loss);
    assert!(accuracy > Some(0.9));
    Ok(())
}
