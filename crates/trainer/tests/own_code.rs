//! Code of one's own in a run: a checkpoint remembers it, or refuses to go on without it.

mod support;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use onestep_base::Constructors;
use onestep_data::{DataError, Normalise, Pipeline, SampleRng, Transform};
use onestep_engine::{Graph, GraphError, Value};
use onestep_layers::{
    BuildContext, Custom, CustomLoss, LayerError, LossValues, ModelBuilder, ModelSpec, Registry,
};
use onestep_memory::Shape;
use onestep_optimizer::{
    Clip, GroupLeaves, Grouping, Optimizer, Sgd, StateKind, UpdateRule, Updated,
};
use onestep_trainer::{Trainer, TrainerBuilder, TrainerConfig, TrainerError, factory};
use support::{executor, quadrants, small_config};

fn model() -> ModelSpec {
    factory::mlp([2], &[4], 2)
}

fn builder() -> TrainerBuilder {
    Trainer::builder(model()).config(small_config()).executor(executor())
}

fn load(folder: &Path) -> TrainerBuilder {
    TrainerBuilder::load(folder).unwrap().executor(executor())
}

#[test]
fn transforms_come_back() {
    let root = tempfile::tempdir().unwrap();
    let normalise = Normalise::new(&[10.0, -3.0], &[0.125, 7.0]).unwrap();
    let mut trainer = builder().pipeline(Pipeline::new().always(normalise)).build().unwrap();
    trainer.fit(quadrants(32), None, &mut []).unwrap();
    let before = trainer.evaluate(quadrants(32)).unwrap();
    trainer.save(root.path()).unwrap();
    let mut loaded = load(root.path()).build().unwrap();
    assert_eq!(loaded.config().augmentation, "+normalise=10/-3:0.125/7");
    assert_eq!(loaded.evaluate(quadrants(32)).unwrap(), before);
}

/// A transform that has no text form.
#[derive(Debug)]
struct Twice;

impl fmt::Display for Twice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("twice")
    }
}

impl Transform for Twice {
    fn check(&self, _: &Shape) -> Result<(), DataError> {
        Ok(())
    }
    fn apply(
        &self,
        input: &mut [f32],
        _: &Shape,
        _: &mut SampleRng,
        _: &mut Vec<f32>,
    ) -> Result<(), DataError> {
        input.iter_mut().for_each(|value| *value *= 2.0);
        Ok(())
    }
}

#[test]
fn transforms_without_a_text_form_must_be_given_again() {
    let root = tempfile::tempdir().unwrap();
    let mut trainer = builder().pipeline(Pipeline::new().always(Twice)).build().unwrap();
    trainer.fit(quadrants(32), None, &mut []).unwrap();
    let before = trainer.evaluate(quadrants(32)).unwrap();
    trainer.save(root.path()).unwrap();
    let error = load(root.path()).build().unwrap_err().to_string();
    assert!(error.contains("+twice") && error.contains("TrainerBuilder::pipeline"), "{error}");
    let mut loaded = load(root.path()).pipeline(Pipeline::new().always(Twice)).build().unwrap();
    assert_eq!(loaded.evaluate(quadrants(32)).unwrap(), before);
    // Still known after another save.
    loaded.save(root.path()).unwrap();
    assert!(load(root.path()).build().is_err());
}

#[test]
fn a_built_in_optimizer_comes_back_with_all_its_options() {
    let root = tempfile::tempdir().unwrap();
    let sgd = Sgd { momentum: 0.9, weight_decay: 0.01, ..Sgd::default() };
    let optimizer = Optimizer::new(sgd, 0.03)
        .and_then(|o| o.with_grouping(Grouping::single()))
        .and_then(|o| o.with_clip(Clip::Norm(0.5)))
        .unwrap();
    let train = |trainer: &mut Trainer| trainer.fit(quadrants(32), None, &mut []).unwrap();
    let mut whole = builder().optimizer(optimizer).build().unwrap();
    train(&mut whole);
    whole.save(root.path()).unwrap();
    let mut loaded = load(root.path()).build().unwrap();
    assert_eq!((loaded.optimizer().lr(), loaded.config().clip), (0.03, Some(Clip::Norm(0.5))));
    for trainer in [&mut whole, &mut loaded] {
        trainer.set_epochs(4).unwrap();
        train(trainer);
    }
    assert_eq!(loaded.snapshot().unwrap(), whole.snapshot().unwrap());
}

/// Momentum under another name.
#[derive(Debug)]
struct Own;

impl UpdateRule for Own {
    fn name(&self) -> &str {
        "own"
    }
    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros("velocity")]
    }
    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let velocity = g.scale(leaves.state("velocity")?, 0.9)?;
        let velocity = g.add(velocity, leaves.gradient)?;
        let change = g.mul(velocity, leaves.lr)?;
        let parameter = g.sub(leaves.parameter, change)?;
        Ok(Updated { parameter, states: vec![velocity] })
    }
}

#[test]
fn an_update_rule_of_ones_own_must_be_given_again() {
    let root = tempfile::tempdir().unwrap();
    let own = || Optimizer::new(Own, 0.1).unwrap();
    let mut trainer = builder().optimizer(own()).build().unwrap();
    trainer.fit(quadrants(32), None, &mut []).unwrap();
    trainer.save(root.path()).unwrap();
    let error = load(root.path()).build().unwrap_err().to_string();
    assert!(error.contains("`own`") && error.contains("TrainerBuilder::optimizer"), "{error}");
    let mut loaded = load(root.path()).optimizer(own()).build().unwrap();
    for trainer in [&mut trainer, &mut loaded] {
        trainer.set_epochs(3).unwrap();
        trainer.fit(quadrants(32), None, &mut []).unwrap();
    }
    assert_eq!(loaded.snapshot().unwrap(), trainer.snapshot().unwrap());
}

fn doubled(g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
    let mut values = onestep_layers::LossSpec::default().build(g, output)?;
    values.loss = g.scale(values.loss, 2.0)?;
    Ok(values)
}

fn registry() -> Registry {
    Registry::new()
        .layer("scale", |options| {
            let factor = options.get("factor").and_then(|f| f.as_f64()).ok_or("no factor")?;
            Ok(move |cx: &mut BuildContext, x: Value| -> Result<Value, LayerError> {
                Ok(cx.graph.scale(x, factor as f32)?)
            })
        })
        .loss("doubled", |_| Ok(doubled))
}

#[test]
fn registered_layers_and_losses_are_saved_and_loaded() {
    let root = tempfile::tempdir().unwrap();
    let options = serde_json::from_str(r#"{"factor": 3.0}"#).unwrap();
    let custom = Custom::registered("scale", options);
    let spec = ModelBuilder::new([2]).layer(custom).dense(2, true, "fc").spec();
    let loss = CustomLoss::registered("doubled", serde_json::Map::new());
    let loss = onestep_layers::LossSpec::from(loss).resolve(&registry()).unwrap();
    let early_stopping = Some(onestep_trainer::EarlyStoppingConfig::default());
    let config = TrainerConfig { loss, early_stopping, ..small_config() };
    let spec = spec.resolve(&registry()).unwrap();
    let mut trainer = Trainer::builder(spec).config(config).executor(executor()).build().unwrap();
    trainer.fit(quadrants(32), None, &mut []).unwrap();
    let before = trainer.evaluate(quadrants(32)).unwrap();
    trainer.save(root.path()).unwrap();

    let loaded = TrainerBuilder::load_with(root.path(), &registry()).unwrap();
    let mut loaded = loaded.executor(executor()).build().unwrap();
    assert_eq!(loaded.evaluate(quadrants(32)).unwrap(), before);
    let memory =
        |trainer: &Trainer| trainer.recall::<serde_json::Value>("early_stopping").unwrap().unwrap();
    assert_eq!(memory(&loaded), memory(&trainer), "the loss is the same one");
    let error = TrainerBuilder::load(root.path()).err().unwrap().to_string();
    assert!(error.contains("no custom layer `scale` is registered"), "{error}");
    assert!(Trainer::load_with(root.path(), &registry()).is_ok());
}

#[test]
fn a_model_that_cannot_be_saved_is_refused_before_it_is_trained() {
    let root = tempfile::tempdir().unwrap();
    let code = |cx: &mut BuildContext, x: Value| -> Result<Value, LayerError> {
        Ok(cx.graph.scale(x, 2.0)?)
    };
    let spec = ModelBuilder::new([2]).custom("twice", code).dense(2, true, "fc").spec();
    let mut trainer =
        Trainer::builder(spec).config(small_config()).executor(executor()).build().unwrap();
    let mut last = onestep_trainer::Checkpoints::new(root.path().join("last"));
    let error: TrainerError = trainer.fit(quadrants(32), None, &mut [&mut last]).unwrap_err();
    assert!(error.to_string().contains("Custom::registered"), "{error}");
    assert_eq!(trainer.progress().step, 0);
}

fn times() -> Constructors {
    let mut own = Constructors::default();
    own.add::<dyn Transform>("times", |options| match options.get("factor") {
        Some(factor) if factor.as_f64() == Some(2.0) => Ok(Arc::new(Twice)),
        _ => Err("`factor` must be 2".to_owned()),
    });
    own
}

#[test]
fn transforms_by_a_registered_name_are_saved_and_need_their_code() {
    let root = tempfile::tempdir().unwrap();
    let text = r#"+times={"factor":2},+normalise=1:2"#;
    let config = TrainerConfig { augmentation: text.to_owned(), ..small_config() };
    let make = || Trainer::builder(model()).config(config.clone()).executor(executor());
    let absent = "no custom transform `times` is registered (registered: none)";
    let error = make().build().err().unwrap().to_string();
    assert!(error.contains(absent), "{error}");
    let mut trainer = make().own(&times()).unwrap().build().unwrap();
    assert_eq!(trainer.config().augmentation, text);
    trainer.fit(quadrants(32), None, &mut []).unwrap();
    let before = trainer.evaluate(quadrants(32)).unwrap();
    trainer.save(root.path()).unwrap();

    let error = load(root.path()).build().err().unwrap().to_string();
    assert!(error.contains(absent), "{error}");
    let mut loaded = load(root.path()).own(&times()).unwrap().build().unwrap();
    assert_eq!(loaded.config().augmentation, text);
    assert_eq!(loaded.evaluate(quadrants(32)).unwrap(), before);
    // Its code is used: the same weights without it say something else.
    let other = Pipeline::new().always(Normalise::new(&[1.0], &[2.0]).unwrap());
    let mut plain = load(root.path()).pipeline(other).build().unwrap();
    assert_ne!(plain.evaluate(quadrants(32)).unwrap(), before);

    let wrong = TrainerConfig { augmentation: r#"times={"factor":3}"#.into(), ..small_config() };
    let error = Trainer::builder(model()).config(wrong).own(&times()).err().unwrap().to_string();
    assert!(
        error.contains("the options of the custom transform `times`: `factor` must be 2"),
        "{error}"
    );
}
