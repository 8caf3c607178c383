//! A metric of one's own beside two built-in ones: its name is the column, the key, the curve, and
//! what training watches.
//!
//!     cargo run --release --example custom_metric

use onestep::prelude::*;
use onestep::trainer::{Better, Measured, Scored};

/// How sure the model is of what it says: the mean of the largest probability.
struct Confidence;

impl Metric for Confidence {
    fn name(&self) -> String {
        "confidence".to_owned()
    }
    fn better(&self) -> Better {
        Better::Higher
    }
    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let shares = g.softmax(scored.output, 1)?;
        let largest = g.max_over(shares, &[1], false)?;
        Ok(Some(Measured::over_samples(g.mean_all(largest)?)))
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let model = ModelBuilder::new([1, 8, 8]).flatten("flat").dense(10, true, "fc").build()?;
    let config = TrainerConfig {
        epochs: 8,
        threads: 1,
        metrics: vec!["accuracy".parse()?, "top3".parse()?],
        monitor: Monitor::validation("confidence"),
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::new(model, config.with_metric(Confidence))?;
    let history = trainer.fit(data.train, Some(data.validation), &mut [])?;
    for epoch in &history.epochs {
        let figures: Vec<String> =
            epoch.train.iter().map(|(name, value)| format!("{name} {value:.3}")).collect();
        println!("epoch {}: {}", epoch.epoch, figures.join(", "));
    }
    let best = history.best(&Monitor::validation("top3")).unwrap();
    assert!(best.validation.as_ref().unwrap().get("top3").unwrap() > 0.9);
    let confidence = |epoch: &EpochRecord| epoch.train.get("confidence");
    assert!(confidence(history.last().unwrap()) > confidence(&history.epochs[0]));
    Ok(())
}
