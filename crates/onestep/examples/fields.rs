//! Data of one's own with several fields, two outputs with a loss each, and samples that count less:
//! which digit is it, and how much ink is there?
//!
//!     cargo run --release --example fields

use std::sync::Arc;

use onestep::data::Sample;
use onestep::layers::LossTerm;
use onestep::prelude::*;

/// The digits with how much ink each has, of which every other one is doubtful and counts half.
struct Inked(Arc<dyn Dataset>);

impl Dataset for Inked {
    fn name(&self) -> &str {
        "inked digits"
    }
    fn len(&self) -> usize {
        self.0.len()
    }
    fn fields(&self) -> Fields {
        let digits = (0..10).map(|digit| digit.to_string());
        let (picture, digit) =
            (Field::f32("picture", [1, 8, 8]), Field::labels("digit", [], digits));
        [picture, digit, Field::values("ink", [1]), Field::weight("trust")].into()
    }
    fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
        let digit = Sample::read(self.0.as_ref(), index)?;
        let pixels = digit.f32("input")?;
        sample.put("picture", pixels)?;
        sample.put("digit", digit.i32("target")?)?;
        sample.put("ink", &[pixels.iter().sum::<f32>() / 64.0])?;
        sample.put("trust", &[if index.is_multiple_of(2) { 1.0f32 } else { 0.5 }])
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let model = ModelBuilder::new([1, 8, 8]).flatten("flat").dense(64, true, "body").relu("relu");
    let model = model.dense(10, true, "class").dense(1, true, "amount").taking(["relu"]);
    let mut spec = model.spec();
    spec.outputs = [("digit".into(), "class".into()), ("ink".into(), "amount".into())].into();
    let term = |loss: &str, name: &str, weight: f32| -> Result<LossTerm, LayerError> {
        let (output, target) = (name.to_owned(), name.to_owned());
        Ok(LossTerm { output, target, weight, ..LossTerm::from(loss.parse::<LossSpec>()?) })
    };
    spec.losses = vec![term("cross_entropy", "digit", 1.0)?, term("mse", "ink", 10.0)?];
    let mut trainer = Trainer::new(spec, TrainerConfig { epochs: 12, ..Default::default() })?;
    trainer.fit(Arc::new(Inked(data.train)), None, &mut [])?;
    let measured = trainer.evaluate(Arc::new(Inked(data.validation)))?.metrics;
    println!("{:?}", measured.iter().collect::<Vec<_>>());
    assert!(measured.get("digit_accuracy") > Some(0.85));
    assert!(measured.get("ink_mean_absolute_error") < Some(0.05));
    Ok(())
}
