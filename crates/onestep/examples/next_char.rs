//! The next character of a text: an embedding, a dense head, a label for each position.
//!
//!     cargo run --release --example next_char [-- FILE]

use onestep::prelude::*;
use std::sync::Arc;

const LENGTH: usize = 32;

/// Pieces of a text, a character a token, and what follows each.
struct Text {
    characters: Vec<char>,
    tokens: Vec<i32>,
}

impl Dataset for Text {
    fn name(&self) -> &str {
        "text"
    }
    fn len(&self) -> usize {
        (self.tokens.len() - 1) / LENGTH
    }
    fn fields(&self) -> Fields {
        let tokens = Field::indices("tokens", [LENGTH], self.characters.len());
        [tokens, Field::labels("next", [LENGTH], self.characters.iter().copied())].into()
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let start = index * LENGTH;
        sample.put("tokens", &self.tokens[start..start + LENGTH])?;
        sample.put("next", &self.tokens[start + 1..start + LENGTH + 1])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = match std::env::args().nth(1) {
        Some(file) => std::fs::read_to_string(file)?,
        None => "a rose is a rose is a rose; the rest is silence. ".repeat(200),
    };
    let mut characters: Vec<char> = text.chars().collect();
    characters.sort_unstable();
    characters.dedup();
    let token = |c: char| characters.binary_search(&c).unwrap_or(0) as i32;
    let tokens = text.chars().map(token).collect();
    let count = characters.len();
    let (train, validation) = split(Arc::new(Text { characters, tokens }), 0.1, 0)?;
    let model = ModelBuilder::indices([LENGTH])
        .embedding(count, 32, "embed")
        .dense(count, true, "head")
        .layer(onestep::layers::Permute::new([0, 2, 1])) // classes in front of positions
        .build()?;
    let optimizer = "adam".parse::<OptimizerSpec>()?.with_lr(0.01);
    let metrics = vec!["accuracy".parse()?, "perplexity".parse()?];
    let config = TrainerConfig { epochs: 6, optimizer, metrics, ..TrainerConfig::default() };
    let mut trainer = Trainer::new(model, config)?;
    let history = trainer.fit(Arc::new(train), Some(Arc::new(validation)), &mut [])?;
    let last = history.last().and_then(|epoch| epoch.validation.clone()).unwrap_or_default();
    println!("{last:?}, of {count} characters");
    assert!(last.get("perplexity").is_some_and(|p| p < count as f64 / 4.0));
    Ok(())
}
