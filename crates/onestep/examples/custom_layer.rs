//! A layer of one's own: a composition of graph ops with a learned parameter. The engine finds its
//! gradient and fuses it with what stands around it.
//!
//! `y = s * tanh(x)` with one learned scale a feature.
//!
//! A model file has a layer's name and options, a registry the code: a layer that is to be saved is
//! registered.

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

/// The code behind the names of layers in files.
fn registry() -> Registry {
    Registry::new().layer("scaled_tanh", |_| Ok(ScaledTanh)).layer("times", |options| {
        let factor = options.get("factor").and_then(|f| f.as_f64()).ok_or("`factor` is missing")?;
        // A closure is a layer too: here one without parameters.
        Ok(move |cx: &mut BuildContext, x: Value| -> Result<Value, LayerError> {
            Ok(cx.graph.scale(x, factor as f32)?)
        })
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let model = ModelBuilder::new([1, 8, 8])
        .flatten("flat")
        .dense(64, true, "fc1")
        .layer(Custom::registered("scaled_tanh", Default::default()))
        .layer(Custom::registered(
            "times",
            [("factor".to_owned(), 0.5.into())].into_iter().collect(),
        ))
        .dense(10, true, "fc2")
        .spec()
        .resolve(&registry())?
        .compile()?;
    let config = TrainerConfig { epochs: 5, ..Default::default() };
    let mut trainer = Trainer::new(model, config)?;
    let history = trainer.fit(data.train, Some(data.validation.clone()), &mut [])?;
    let trained = history.last().and_then(|epoch| epoch.validation.as_ref()?.accuracy());

    let folder = std::env::temp_dir().join(format!("onestep-custom-layer-{}", std::process::id()));
    trainer.save(&folder)?;
    let mut loaded = Trainer::load_with(&folder, &registry())?;
    let accuracy = loaded.evaluate(data.validation)?.metrics.accuracy();
    println!("accuracy {trained:.4?}, loaded again {accuracy:.4?}");
    assert!(accuracy == trained && accuracy > Some(0.8));
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
