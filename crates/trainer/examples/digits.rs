//! Trains the default convolutional network on the embedded digits, or on other data:
//! `cargo run --release -p onestep-trainer --example digits -- [DATA] [EPOCHS] [SEED]`, where DATA
//! is `digits`, `mnist:DIR` or `cifar10:DIR`.

use onestep_data::open;
use onestep_trainer::{Monitor, Progress, ProgressEvent, Trainer, TrainerError, factory};

fn main() -> Result<(), TrainerError> {
    let mut arguments = std::env::args().skip(1);
    let data = open(&arguments.next().unwrap_or_else(|| "digits".to_owned()))?;
    let mut config = factory::cnn_config();
    config.augmentation = data.augmentation.to_string();
    if let Some(epochs) = arguments.next().and_then(|text| text.parse().ok()) {
        config.epochs = epochs;
    }
    if let Some(seed) = arguments.next().and_then(|text| text.parse().ok()) {
        config.seed = seed;
    }
    let shape = data.train.input_shape();
    let classes = data.train.target().class_count().unwrap_or(1);
    let mut trainer = Trainer::new(factory::cnn(shape.dims(), classes), config)?;
    println!("{}\n{}", trainer.model().summary(32), trainer.device_name());

    let mut progress = Progress::new(|event| {
        if let ProgressEvent::EpochEnd(epoch) = event {
            let validation = epoch.validation.clone().unwrap_or_default();
            println!(
                "epoch {:2}: loss {:.4}, validation loss {:.4}, accuracy {:.2} %, {:.0} steps/s",
                epoch.epoch,
                epoch.train.loss,
                validation.loss,
                validation.accuracy().unwrap_or(0.0) * 100.0,
                epoch.steps_per_second()
            );
        }
    });
    let history = trainer.fit(data.train, Some(data.validation.clone()), &mut [&mut progress])?;
    let evaluation = trainer.evaluate(data.validation)?;
    if let Some(confusion) = &evaluation.confusion {
        println!("{confusion}");
    }
    if let Some(best) =
        history.best(&Monitor::validation("accuracy")).and_then(|e| e.validation.clone())
    {
        println!("best accuracy {:.2} %", best.accuracy().unwrap_or(0.0) * 100.0);
    }
    println!(
        "{} steps in {:.1} s: {:.0} steps/s, {:.0} samples/s, {:?}",
        history.steps,
        history.train_seconds,
        history.steps_per_second(),
        history.samples_per_second(),
        history.per_step
    );
    Ok(())
}
