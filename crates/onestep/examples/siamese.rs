//! Two pictures through the same weights: do they show the same digit?
//!
//!     cargo run --release --example siamese

use onestep::data::Sample;
use onestep::layers::{InputSpec, Sum};
use onestep::prelude::*;
use std::sync::Arc;

/// Pairs of digits, half of them of one class.
struct Pairs(Arc<dyn Dataset>, Vec<[usize; 2]>);

impl Dataset for Pairs {
    fn name(&self) -> &str {
        "pairs"
    }
    fn len(&self) -> usize {
        self.1.len()
    }
    fn fields(&self) -> Fields {
        let pictures = [Field::f32("left", [64]), Field::f32("right", [64])];
        pictures.into_iter().chain([Field::labels("same", [], ["other", "same"])]).collect()
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let [left, right] = self.1[index];
        sample.put("left", Sample::read(self.0.as_ref(), left)?.f32("input")?)?;
        sample.put("right", Sample::read(self.0.as_ref(), right)?.f32("input")?)?;
        sample.put("same", &[i32::from(self.0.class(left) == self.0.class(right))])
    }
}

fn pairs(digits: Arc<dyn Dataset>, count: usize) -> Arc<dyn Dataset> {
    let mut rng = SampleRng::new(7, 0, 0);
    let mut pairs = Vec::new();
    while pairs.len() < count {
        let pair = [rng.below(digits.len()), rng.below(digits.len())];
        let same = digits.class(pair[0]) == digits.class(pair[1]);
        pairs.extend((same == (pairs.len() % 2 == 1)).then_some(pair));
    }
    Arc::new(Pairs(digits, pairs))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inputs = [("left", InputSpec::new([64])), ("right", InputSpec::new([64]))];
    let left = ModelBuilder::with_inputs(inputs).dense(256, true, "left_1").taking(["left"]);
    let right = left.relu("left_relu").dense(32, true, "left_2").dense(256, true, "right_1");
    let right = right.taking(["right"]).sharing("left_1").relu("right_relu");
    let apart = right.dense(32, true, "right_2").sharing("left_2");
    let apart =
        apart.layer(Sum::weighted([1.0, -1.0]).named("apart")).taking(["left_2", "right_2"]);
    let model = apart.multiply(["apart", "apart"], "squares").dense(2, true, "same").build()?;
    let data = open("digits")?;
    let smoothed = r#"{"type": "cross_entropy", "label_smoothing": 0.1}"#;
    let config = TrainerConfig {
        loss: smoothed.parse()?,
        schedule: "cosine".parse()?,
        batch_size: 64,
        epochs: 15,
        ..Default::default()
    };
    let mut trainer = Trainer::new(model, config)?;
    trainer.fit(pairs(data.train, 80_000), None, &mut [])?;
    let accuracy = trainer.evaluate(pairs(data.validation, 2_000))?.metrics.accuracy();
    println!("{:.2} % of new pairs are judged right", 100.0 * accuracy.unwrap_or(0.0));
    assert!(accuracy > Some(0.97));
    Ok(())
}
