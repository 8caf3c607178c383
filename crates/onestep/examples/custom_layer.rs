//! A layer of one's own: a composition of graph ops with a learned parameter. The engine finds its
//! gradient and fuses it with what stands around it.
//!
//! `y = s * tanh(x)` with one learned scale a feature.

use onestep::prelude::*;

struct ScaledTanh;

impl Layer for ScaledTanh {
    fn build(&self, cx: &mut BuildContext, x: Value) -> Result<Value, LayerError> {
        let features = cx.dims(x)[1];
        let scale = cx.parameter("scale", &[features], Initializer::Ones, Fan::NONE)?;
        let squashed = cx.graph.tanh(x)?;
        Ok(cx.graph.mul(squashed, scale)?)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let model = ModelBuilder::new([1, 8, 8])
        .flatten("flat")
        .dense(64, true, "fc1")
        .custom("squash", ScaledTanh)
        // A closure is a layer too: here one without parameters.
        .custom("half", |cx: &mut BuildContext, x| Ok(cx.graph.scale(x, 0.5)?))
        .dense(10, true, "fc2")
        .build()?;
    println!("{}", model.summary(32));

    let config = TrainerConfig { epochs: 5, ..Default::default() };
    let mut trainer = Trainer::new(model, config)?;
    let history = trainer.fit(data.train, Some(data.validation), &mut [])?;
    for epoch in &history.epochs {
        let accuracy = epoch.validation.and_then(|v| v.accuracy).unwrap_or_default();
        println!("epoch {}: loss {:.4}, accuracy {accuracy:.4}", epoch.epoch, epoch.train.loss);
    }
    let scales = trainer.parameter("squash.scale")?;
    println!("the first learned scales: {:?}", &scales[..4]);
    Ok(())
}
