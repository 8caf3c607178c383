//! The next character of a text: an embedding, a dense head, a label for each position.
//!
//!     cargo run --release --example next_char [-- FILE]

use onestep::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let verse = std::env::temp_dir().join(format!("onestep-next-char-{}.txt", std::process::id()));
    let file = match std::env::args().nth(1) {
        Some(file) => file.into(),
        None => {
            std::fs::write(
                &verse,
                "a rose is a rose is a rose; the rest is silence. ".repeat(200),
            )?;
            verse.clone()
        }
    };
    // Tokens i32 [32], and as labels i32 [32] the characters behind each.
    let data = open(&format!("text:{}?length=32", file.display()))?;
    let count = data.record.text.as_ref().map_or(0, |text| text.vocabulary.len());
    let model = ModelBuilder::indices([32])
        .embedding(count, 32, "embed")
        .dense(count, true, "head")
        .layer(onestep::layers::Permute::new([0, 2, 1])) // classes in front of positions
        .build()?;
    let optimizer = "adam".parse::<OptimizerSpec>()?.with_lr(0.01);
    let metrics = vec!["accuracy".parse()?, "perplexity".parse()?];
    let config = TrainerConfig { epochs: 6, optimizer, metrics, ..TrainerConfig::default() };
    let mut trainer = Trainer::new(model, config)?;
    let history = trainer.fit(data.train, Some(data.validation), &mut [])?;
    let last = history.last().and_then(|epoch| epoch.validation.clone()).unwrap_or_default();
    println!("{last:?}, of {count} characters");
    assert!(last.get("perplexity").is_some_and(|p| p < count as f64 / 4.0));
    let _ = std::fs::remove_file(verse);
    Ok(())
}
