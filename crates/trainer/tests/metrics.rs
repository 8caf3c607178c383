//! Metrics by name: several at a time, own ones, exact over any batches, watched and written.

mod support;

use std::fs;
use std::sync::Arc;

use onestep_base::Constructors;
use onestep_data::{DataError, Dataset, Field, Fields, SampleMut};
use onestep_engine::Graph;
use onestep_layers::{LayerError, ModelBuilder};
use onestep_trainer::{
    Better, Measured, Metric, MetricSpec, MetricsCsv, Monitor, Scored, TrainerBuilder,
    TrainerConfig, factory,
};
use support::{executor, plane, quadrants, small_config, trainer};

fn metrics(names: &[&str]) -> Vec<MetricSpec> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[test]
fn several_metrics_are_columns_keys_and_monitors() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("metrics.csv");
    let config = TrainerConfig {
        metrics: metrics(&["accuracy", "top1", "perplexity"]),
        monitor: "validation_top1".parse().unwrap(),
        ..small_config()
    };
    let mut trainer = trainer(factory::mlp([2], &[4], 2), config);
    let mut csv = MetricsCsv::new(&path);
    let history = trainer.fit(quadrants(30), Some(quadrants(23)), &mut [&mut csv]).unwrap();
    let last = history.last().unwrap().validation.clone().unwrap();
    // Of two classes the first of one is the accuracy, and cross-entropy is the perplexity's logarithm.
    assert_eq!(last.get("top1"), last.accuracy());
    assert!((last.get("perplexity").unwrap().ln() - last.loss).abs() < 1e-6, "{last:?}");
    let head = fs::read_to_string(&path).unwrap();
    assert!(head.contains("train_accuracy,train_top1,train_perplexity,validation_loss"), "{head}");
    assert!(Monitor::validation("top1").higher_is_better());
    let evaluated = trainer.evaluate(quadrants(23)).unwrap();
    assert_eq!(evaluated.metrics, last);
    let counted = evaluated.confusion.unwrap().accuracy();
    assert!((counted - last.accuracy().unwrap()).abs() < 1e-6, "shares of batches are f32");
    let json = serde_json::to_value(&history).unwrap();
    assert_eq!(json["epochs"][1]["validation"]["top1"].as_f64(), last.get("top1"));
}

#[test]
fn means_do_not_depend_on_how_the_data_is_cut() {
    let names = ["mean_absolute_error", "mean_squared_error", "root_mean_squared_error"];
    let figures = |batch_size: usize| {
        let config = TrainerConfig {
            batch_size,
            loss: "mse".parse().unwrap(),
            metrics: metrics(&names),
            ..small_config()
        };
        let mut trainer = trainer(factory::mlp([2], &[4], 1), config);
        let metrics = trainer.evaluate(plane(29)).unwrap().metrics;
        assert!((metrics.get(names[1]).unwrap() - metrics.loss).abs() < 1e-6);
        let root = metrics.get(names[2]).unwrap();
        assert!((root * root - metrics.loss).abs() < 1e-6, "{metrics:?}");
        names.map(|name| metrics.get(name).unwrap())
    };
    let whole = figures(29);
    for batch_size in [8, 3, 1] {
        for (got, wanted) in figures(batch_size).into_iter().zip(whole) {
            assert!((got - wanted).abs() < 1e-6 * wanted.abs(), "{batch_size}: {got} {wanted}");
        }
    }
}

/// Regions of logits against masks by hand, and two that are empty.
#[test]
fn regions_are_measured_by_what_they_have_in_common() {
    let inputs = vec![1.0, 1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0];
    let masks = vec![1.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];
    let shape = onestep_memory::Shape::from([1, 2, 2]);
    let data = onestep_data::InMemory::regression("regions", shape.clone(), inputs, shape, masks);
    let data: Arc<dyn onestep_data::Dataset> = Arc::new(data.unwrap());
    // What the model says is its input.
    let same = onestep_layers::ModelBuilder::new([1, 2, 2]).conv2d(1, 1, 1, 0, false, "same");
    let config = TrainerConfig {
        batch_size: 2,
        loss: "bce_with_logits".parse().unwrap(),
        metrics: metrics(&["iou"]),
        ..small_config()
    };
    let mut trainer = trainer(same.spec(), config);
    trainer.set_parameter("same.weight", &[2.0]).unwrap();
    let found = trainer.evaluate(data).unwrap().metrics.get("iou").unwrap();
    assert!((found - (1.0 / 3.0 + 1.0 + 1.0) / 3.0).abs() < 1e-6, "{found}");
}

#[test]
fn metrics_that_cannot_be_measured_are_refused_by_name() {
    let build = |loss: &str, names: &[&str]| {
        let config = TrainerConfig {
            loss: loss.parse().unwrap(),
            metrics: metrics(names),
            ..small_config()
        };
        let builder = onestep_trainer::Trainer::builder(factory::mlp([2], &[], 2));
        builder.config(config).executor(executor()).build().map(|_| ()).unwrap_err().to_string()
    };
    for (error, wanted) in [
        (build("mse", &["accuracy"]), "metrics that are defined for the loss mse, got accuracy"),
        (build("bce_with_logits", &["iou"]), "bce_with_logits, got iou"),
        (build("cross_entropy", &["f1"]), "no custom metric `f1` is registered"),
        (build("cross_entropy", &["top2", "top2"]), "each name once, got top2 twice"),
        (build("cross_entropy", &["top0"]), "metric `top0`"),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}

/// The share of outputs within a distance of their targets.
struct Close(f32);

impl Metric for Close {
    fn name(&self) -> String {
        "close".to_owned()
    }
    fn better(&self) -> Better {
        Better::Higher
    }
    fn report(&self, g: &mut Graph, scored: &Scored) -> Result<Option<Measured>, LayerError> {
        let Some(target) = scored.loss.target else { return Ok(None) };
        let error = g.sub(scored.output, target)?;
        let error = g.abs(error)?;
        let most = g.constant(self.0)?;
        let close = g.lt(error, most)?;
        Ok(Some(Measured::over_samples(g.mean_all(close)?)))
    }
}

#[test]
fn a_metric_of_ones_own_is_watched_and_kept_by_its_name() {
    let root = tempfile::tempdir().unwrap();
    let config = TrainerConfig { loss: "mse".parse().unwrap(), ..small_config() };
    let config =
        TrainerConfig { monitor: Monitor::train("close"), ..config.with_metric(Close(0.5)) };
    let mut first = trainer(factory::mlp([2], &[4], 1), config);
    let history = first.fit(plane(32), None, &mut []).unwrap();
    let share = history.last().unwrap().train.get("close").unwrap();
    assert!((0.0..=1.0).contains(&share), "{share}");
    first.save(root.path()).unwrap();

    let error = TrainerBuilder::load(root.path()).unwrap().executor(executor()).build();
    let error = error.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("no custom metric `close` is registered"), "{error}");
    let mut own = Constructors::default();
    own.add::<dyn Metric>("close", |_| Ok(Arc::new(Close(0.5))));
    let builder = TrainerBuilder::load(root.path()).unwrap().own(&own).unwrap();
    let mut resumed =
        builder.configure(|config| config.epochs = 3).executor(executor()).build().unwrap();
    let history = resumed.fit(plane(32), None, &mut []).unwrap();
    assert!(history.last().unwrap().train.get("close").is_some());
}

/// What `docs/adding-a-metric.md` says of where a metric stands is so for every metric there is.
#[test]
fn every_metric_is_what_the_document_says() {
    let read = |path: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let guide = read("docs/adding-a-metric.md");
    let named = |path: &str| {
        assert!(guide.contains(path), "docs/adding-a-metric.md does not name {path}");
        read(path)
    };
    let list = named("crates/trainer/src/metrics/spec.rs");
    let code = named("crates/trainer/src/metrics/builtin.rs");
    let tests = named("crates/trainer/tests/metrics.rs");
    for &name in MetricSpec::TYPES.iter().filter(|&&name| name != "custom") {
        let line = format!(" = \"{name}\",\n");
        let found = list.lines().find_map(|l| l.trim().strip_suffix(line.trim_end())).unwrap();
        let taken = found.trim_end_matches(')').split_once('(').unwrap().1;
        assert!(code.contains(&format!("impl Metric for {taken} ")), "builtin.rs lacks {taken}");
        let tested = if name == "top_k" { "top1" } else { name };
        assert!(tests.contains(&format!("\"{tested}\"")), "no test measures {name}");
    }
}

#[test]
fn a_sample_matches_where_all_its_labels_that_count_are_right() {
    /// Three labels a sample; the last of every other sample stands for nothing.
    struct Rows;
    impl Dataset for Rows {
        fn name(&self) -> &str {
            "rows"
        }
        fn len(&self) -> usize {
            7
        }
        fn fields(&self) -> Fields {
            let names = ["a", "b"];
            [Field::indices("tokens", [3], 2), Field::labels("next", [3], names).ignoring()].into()
        }
        fn read(&self, index: usize, sample: &mut SampleMut<'_>) -> Result<(), DataError> {
            // The model below says of each token that it is the token.
            let tokens = [[0, 1, 0], [1, 1, 0], [0, 0, 0]][index % 3];
            let mut labels = tokens;
            if index % 3 == 1 {
                labels[0] = 0;
            }
            if index % 2 == 1 {
                labels[2] = -100;
            }
            sample.put("tokens", &tokens)?;
            sample.put("next", &labels)
        }
    }
    let model = ModelBuilder::indices([3])
        .embedding(2, 2, "embed")
        .layer(onestep_layers::Permute::new([0, 2, 1]).named("classes_first"))
        .spec();
    for batch_size in [7, 2] {
        let names = metrics(&["exact_match", "accuracy"]);
        let mut trainer =
            trainer(model.clone(), TrainerConfig { batch_size, metrics: names, ..small_config() });
        trainer.set_parameter("embed.weight", &[1.0, 0.0, 0.0, 1.0]).unwrap();
        let figures = trainer.evaluate(Arc::new(Rows)).unwrap().metrics;
        // Samples 1 and 4 have a wrong first label, and those of odd number two that count.
        assert!((figures.get("exact_match").unwrap() - 5.0 / 7.0).abs() < 1e-6, "{figures:?}");
        assert!((figures.accuracy().unwrap() - 16.0 / 18.0).abs() < 1e-6, "{figures:?}");
    }
}
