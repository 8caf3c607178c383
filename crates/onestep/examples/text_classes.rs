//! Texts with a class each: a small transformer reads sentences in which one of two clauses decides, and a `not`
//! turns it around, so that the words alone do not say the mood.
//!
//!     cargo run --release --example text_classes [-- FILE.csv]   # the table is left there

use onestep::layers::presets::Request;
use onestep::prelude::*;

const THINGS: [&str; 6] = ["plot", "cast", "music", "ending", "first half", "dialogue"];
const WORDS: [&str; 8] =
    ["brilliant", "dull", "moving", "clumsy", "clever", "tiresome", "fresh", "hollow"];

/// A clause and whether it praises.
fn clause(draws: &mut SampleRng) -> (String, bool) {
    let thing = THINGS[draws.below(THINGS.len())];
    let (word, not) = (draws.below(WORDS.len()), draws.below(2) == 1);
    // Every other word praises.
    let good = (word % 2 == 0) != not;
    (format!("the {thing} was {}{}", if not { "not " } else { "" }, WORDS[word]), good)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut table = "text,mood\n".to_owned();
    let mut draws = SampleRng::new(0, 0, 0);
    for _ in 0..2400 {
        let ((one, first), (other, second)) = (clause(&mut draws), clause(&mut draws));
        // What stands behind `but` decides, and what stands in front of `although`.
        let (link, good) = [("but", second), ("although", first)][draws.below(2)];
        table += &format!("\"{one}, {link} {other}\",{}\n", if good { "praise" } else { "blame" });
    }
    let said = std::env::args().nth(1);
    let own = std::env::temp_dir().join(format!("onestep-moods-{}.csv", std::process::id()));
    let file = said.as_ref().map_or(own, Into::into);
    std::fs::write(&file, table)?;
    // Tokens i32 [24], 0 behind the end of a sentence; about a fifth of the lines is held out.
    let data = open(&format!("texts:{}?length=24&tokens=words", file.display()))?;
    let tokens = data.record.texts.as_ref().map_or(0, |texts| texts.encoding.count());
    let model = Request::parse(&format!("text_encoder:tokens={tokens},input=24"))?.spec();
    let config = TrainerConfig {
        epochs: 12,
        optimizer: "adamw".parse::<OptimizerSpec>()?.with_lr(5e-4),
        schedule: "one_cycle".parse()?,
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::builder(model).config(config).record(data.record.clone()).build()?;
    trainer.fit(data.train, None, &mut [])?;
    let right = trainer.evaluate(data.validation)?.metrics.accuracy().unwrap_or(0.0);
    println!("{:.1} % of the sentences held out are judged right", 100.0 * right);
    assert!(right > 0.97, "{right}");
    if said.is_none() {
        std::fs::remove_file(file)?;
    }
    Ok(())
}
