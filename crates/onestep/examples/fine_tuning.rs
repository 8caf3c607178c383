//! A trained model's body under a new head: what fits is taken, the body stays frozen at first, and
//! then all of it learns gently.
//!
//!     cargo run --release --example fine_tuning

use onestep::prelude::*;

fn network(hidden: usize, head: &str) -> Result<Model, LayerError> {
    ModelBuilder::new([1, 8, 8])
        .conv2d(8, 3, 1, 1, true, "body_conv")
        .batch_norm("body_norm")
        .relu("body_relu")
        .flatten("body_flat")
        .dense(hidden, true, "neck")
        .relu("neck_relu")
        .dense(10, true, head)
        .build()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let config = TrainerConfig { epochs: 3, threads: 1, ..TrainerConfig::default() };
    let mut old = Trainer::new(network(32, "head")?, config.clone())?;
    old.fit(data.train.clone(), None, &mut [])?;
    let folder = std::env::temp_dir().join(format!("onestep-tuned-{}", std::process::id()));
    old.save(&folder)?;

    let freeze = vec!["body*".to_owned()];
    let first = TrainerConfig { freeze, freeze_statistics: true, ..config.clone() };
    let mut new = Trainer::new(network(48, "new_head")?, first)?;
    let taken = new.init_from(&folder, None, false)?;
    println!("{taken}");
    assert_eq!(taken.taken.len(), 6); // the convolution and the normalisation with its statistics
    new.fit(data.train.clone(), None, &mut [])?;
    assert_eq!(new.parameter("body_conv.weight")?, old.parameter("body_conv.weight")?);

    let gentle = "adam".parse::<OptimizerSpec>()?.with_lr(1e-4);
    let config = TrainerConfig { optimizer: gentle, ..config };
    let mut whole = Trainer::new(network(48, "new_head")?, config)?;
    new.save(&folder)?;
    assert!(whole.init_from(&folder, None, true)?.is_complete()); // `true` refuses anything less
    whole.fit(data.train, None, &mut [])?;
    let accuracy = whole.evaluate(data.validation)?.metrics.accuracy().unwrap_or(0.0);
    println!("accuracy {accuracy:.4}");
    assert!(accuracy > 0.95);
    std::fs::remove_dir_all(folder)?;
    Ok(())
}
