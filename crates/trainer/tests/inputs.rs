//! Steps and answers on host data of several inputs and targets by name; what is missing, too much or
//! of another form is named.

mod support;

use onestep_layers::{InputSpec, LossTerm, ModelBuilder, ModelSpec, Sum};
use onestep_trainer::{
    HostData, HostFields, PredictorOptions, Trainer, TrainerConfig, TrainerError,
};
use support::{cpu, noise, small_config};

fn make(model: ModelSpec, config: TrainerConfig) -> Trainer {
    Trainer::builder(model).config(config).executor(cpu()).build().unwrap()
}

/// A picture and three words.
fn mixed() -> ModelSpec {
    ModelBuilder::with_inputs([
        ("picture", InputSpec::new([1, 2, 2])),
        ("words", InputSpec::indices([3])),
    ])
    .flatten("pixels")
    .taking(["picture"])
    .dense(12, true, "look")
    .embedding(5, 4, "embed")
    .taking(["words"])
    .flatten("read")
    .multiply(["look", "read"], "both")
    .dense(2, true, "fc")
    .spec()
}

/// Pictures and words of so many samples.
fn samples(count: usize) -> (Vec<f32>, Vec<i32>) {
    ((0..count * 4).map(noise).collect(), (0..count * 3).map(|i| (i * i % 5) as i32).collect())
}

fn text<T: std::fmt::Debug>(result: Result<T, TrainerError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn each_input_counts_by_its_name_in_any_order() {
    let mut trainer =
        make(mixed(), TrainerConfig { evaluation_batch_size: Some(3), ..small_config() });
    let (pictures, words) = samples(7);
    let fields = [("words", HostData::from(&words)), ("picture", HostData::from(&pictures))];
    let all = trainer.predict(&fields).unwrap();
    assert_eq!(all.rows().count(), 7);
    // Each sample by itself says the same, in whatever order its inputs come.
    for index in 0..7 {
        let picture = HostData::from(&pictures[4 * index..][..4]);
        let words = HostData::from(&words[3 * index..][..3]);
        let one = trainer.predict(&[("picture", picture), ("words", words)]).unwrap();
        let pairs = one.values.iter().zip(&all.values[2 * index..]);
        assert!(pairs.into_iter().all(|(a, b)| (a - b).abs() < 1e-5));
    }
    // Other words, another answer.
    let others = words.iter().map(|word| (word + 1) % 5).collect::<Vec<_>>();
    let fields = [("words", HostData::from(&others)), fields[1]];
    assert_ne!(trainer.predict(&fields).unwrap(), all);
}

#[test]
fn a_predictor_of_two_inputs_says_what_the_trainer_says() {
    let mut trainer = make(mixed(), small_config());
    let (pictures, words) = samples(11);
    let fields = [("picture", HostData::from(&pictures)), ("words", HostData::from(&words))];
    let wanted = trainer.predict(&fields).unwrap();
    let options = PredictorOptions { batch: 4, lanes: 2, ..Default::default() };
    let predictor = trainer.predictor(&options).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let got = predictor.predict(&fields).unwrap();
                let mut pairs = got.values.iter().zip(&wanted.values);
                assert!(pairs.all(|(a, b)| (a - b).abs() < 1e-5));
            });
        }
    });
    assert!(text(predictor.predict(&fields[..1])).contains("`words` (i32 [3])"));
}

#[test]
fn what_does_not_fit_is_named() {
    let mut trainer = make(mixed(), small_config());
    let predictor = trainer.predictor(&PredictorOptions::default()).unwrap();
    let (pictures, words) = samples(2);
    let (picture, word) = (HostData::from(&pictures), HostData::from(&words));
    let far = [0, 1, 2, 3, 5, 0];
    let one = "inputs: expected `picture`, `words` by name, got one without a name";
    assert_eq!(text(trainer.predict(picture)), one);
    let cases: [(Vec<(&str, HostData<'_>)>, &str); 7] = [
        (vec![("picture", picture)], "inputs: expected `words` (i32 [3]), got picture"),
        (
            vec![("picture", picture), ("words", word), ("more", word)],
            "inputs: expected `picture`, `words`, got `more` besides",
        ),
        (
            vec![("picture", picture), ("words", word), ("words", word)],
            "inputs: expected each name once, got `words` twice",
        ),
        (
            vec![("picture", picture.part(0..7)), ("words", word)],
            "picture: expected one or more samples of [1, 2, 2], 4 elements each, got 7 elements",
        ),
        (
            vec![("picture", picture), ("words", word.part(0..3))],
            "words: expected 2 samples, as many as `picture` has, got 1",
        ),
        (vec![("picture", picture), ("words", picture)], "words: expected i32, got f32"),
        (
            vec![("picture", picture), ("words", HostData::from(&far))],
            "words: sample 1, position [1]: expected an index from 0 to 4 for `embed`, got 5",
        ),
    ];
    for (given, wanted) in &cases {
        let wanted = *wanted;
        assert_eq!(text(trainer.predict(given)), wanted);
        assert_eq!(text(predictor.predict(given)), wanted);
        assert_eq!(text(trainer.train_batch(given, &[0, 1])), wanted);
    }
}

/// A class and a number, both told.
fn two_losses() -> ModelSpec {
    let mut spec =
        ModelBuilder::with_inputs([("a", InputSpec::new([2])), ("b", InputSpec::new([2]))])
            .layer(Sum::default().named("sum"))
            .taking(["a", "b"])
            .dense(2, true, "class")
            .dense(1, true, "number")
            .taking(["sum"])
            .spec();
    spec.outputs = ["class", "number"].map(|name| (name.into(), name.into())).into();
    let term = |loss: &str, output: &str, target: &str| LossTerm {
        output: output.into(),
        target: target.into(),
        ..LossTerm::from(loss.parse::<onestep_layers::LossSpec>().unwrap())
    };
    spec.losses = vec![term("cross_entropy", "class", "kind"), term("mse", "number", "size")];
    spec
}

#[test]
fn several_targets_are_given_by_name_and_weights_beside_them() {
    let config = || TrainerConfig { keep_gradients: true, ..small_config() };
    let (a, b) = ([1.0, 0.0, 0.0, 1.0], [0.5; 4]);
    let inputs = [("a", HostData::from(&a)), ("b", HostData::from(&b))];
    let targets = [("kind", HostData::from(&[0, 1])), ("size", HostData::from(&[1.0, -1.0]))];
    let mut trainer = make(two_losses(), config());
    let first = trainer.train_batch(&inputs, &targets).unwrap();
    for _ in 0..20 {
        trainer.train_batch(&inputs, &targets).unwrap();
    }
    assert!(trainer.train_batch(&inputs, &targets).unwrap().loss < first.loss);
    let refused = |trainer: &mut Trainer, targets: HostFields<'_>| {
        text(trainer.train_batch(&inputs, targets))
    };
    assert_eq!(
        refused(&mut trainer, (&targets[..1]).into()),
        "targets: expected `size` (f32 [1]), got kind"
    );
    assert_eq!(
        refused(&mut trainer, (&[targets[0], ("size", HostData::from(&[1.0; 3]))]).into()),
        "size: expected [2, 1] for 2 samples, got 3 elements"
    );
    assert_eq!(
        refused(
            &mut trainer,
            (&[targets[0], targets[1], ("weight", HostData::from(&[1.0]))]).into()
        ),
        "weight: expected one for each of 2 samples, got 1"
    );
    assert_eq!(
        refused(&mut trainer, HostFields::NONE),
        "targets: expected `kind` (i32 []), got none"
    );
    // A sample of weight 0 is as good as none.
    let weighted = [targets[0], targets[1], ("weight", HostData::from(&[1.0, 0.0]))];
    let (mut one, mut two) = (make(two_losses(), config()), make(two_losses(), config()));
    let with = one.train_batch(&inputs, &weighted).unwrap();
    let inputs = [("a", HostData::from(&a[..2])), ("b", HostData::from(&b[..2]))];
    let targets = [("kind", HostData::from(&[0])), ("size", HostData::from(&[1.0]))];
    let without = two.train_batch(&inputs, &targets).unwrap();
    assert!((with.loss - without.loss).abs() < 1e-6, "{with:?} {without:?}");
    let (with, without) = (one.gradient("class.weight"), two.gradient("class.weight"));
    let (with, without) = (with.unwrap(), without.unwrap());
    assert!(with.iter().zip(&without).all(|(a, b)| (a - b).abs() < 1e-6), "{with:?} {without:?}");
}

#[test]
fn a_transform_of_one_input_leaves_the_other() {
    let model = || {
        ModelBuilder::with_inputs([
            ("a", InputSpec::new([1, 1, 2])),
            ("b", InputSpec::new([1, 1, 2])),
        ])
        .layer(Sum::weighted([1.0, 2.0]).named("sum"))
        .taking(["a", "b"])
        .flatten("flat")
        .dense(2, true, "fc")
        .spec()
    };
    let config = TrainerConfig { augmentation: "+normalise@b=1:2".into(), ..small_config() };
    let (mut with, mut plain) = (make(model(), config), make(model(), small_config()));
    let (a, b) = ([0.1, 0.2], [3.0, 5.0]);
    let normal = b.map(|value| (value - 1.0) / 2.0);
    let raw = [("a", HostData::from(&a)), ("b", HostData::from(&b))];
    let wanted = plain.predict(&[raw[0], ("b", HostData::from(&normal))]).unwrap();
    assert_eq!(with.predict(&raw).unwrap(), wanted);
    let predictor = with.predictor(&PredictorOptions::default()).unwrap();
    let got = predictor.predict(&raw).unwrap();
    assert!(got.values.iter().zip(&wanted.values).all(|(a, b)| (a - b).abs() < 1e-5));
}
