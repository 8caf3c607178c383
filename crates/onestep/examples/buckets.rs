//! Sequences of different lengths: buckets pad them no further than they must, and what is padded is
//! neither learnt nor measured (padded labels are -100, which cross-entropy ignores).
//!
//!     cargo run --release --example buckets

use std::sync::Arc;

use onestep::data::{DataError, Field, Fields, SampleMut};
use onestep::layers::Permute;
use onestep::prelude::*;
use onestep::trainer::Buckets;

/// From 3 to 8 tokens of five; the label of each is the token after next in their circle.
struct Words(usize);

impl Dataset for Words {
    fn name(&self) -> &str {
        "words"
    }
    fn len(&self) -> usize {
        self.0
    }
    fn fields(&self) -> Fields {
        let names: Vec<String> = (0..5).map(|token| token.to_string()).collect();
        let next = Field::labels("next", [8], names).ignoring().varying();
        [Field::indices("tokens", [8], 5).varying(), next].into()
    }
    fn length(&self, index: usize) -> Option<usize> {
        Some(3 + index % 6)
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let tokens = |places| (0..places).map(|place| ((index * 3 + place * place) % 5) as i32);
        let tokens: Vec<i32> = tokens(3 + index % 6).collect();
        sample.i32("tokens")?.copy_from_slice(&tokens);
        sample.put("next", &tokens.iter().map(|token| (token + 2) % 5).collect::<Vec<_>>())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = ModelBuilder::indices([8])
        .embedding(5, 6, "embed")
        .dense(5, true, "head")
        .layer(Permute::new([0, 2, 1]).named("classes_first"))
        .build()?;
    let buckets = Buckets { bounds: vec![4, 6], ..Buckets::default() };
    let optimizer = r#"{"type": "adam", "lr": 0.05}"#.parse()?;
    let config = TrainerConfig {
        epochs: 12,
        batch_size: 4,
        buckets: Some(buckets),
        optimizer,
        ..Default::default()
    };
    let mut trainer = Trainer::new(model, config)?;
    trainer.fit(Arc::new(Words(60)), None, &mut [])?;
    let right = trainer.evaluate(Arc::new(Words(18)))?.metrics.accuracy().unwrap_or(0.0);
    println!("{:.1} % of the labels are right", 100.0 * right);
    assert!(right > 0.99, "{right}");
    Ok(())
}
