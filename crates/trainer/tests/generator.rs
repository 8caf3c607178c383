//! Text that a model writes: by its own predictions, past its context, and refused where it cannot.

mod support;

use onestep_data::{TextOptions, text_splits};
use onestep_layers::{
    Dense, Embedding, LayerSpec, LearnedPositions, Model, ModelBuilder, Permute, Residual, Rotary,
    SinusoidalPositions, TransformerEncoder, TransformerEncoderLayer,
};
use onestep_optimizer::OptimizerSpec;
use onestep_trainer::{Generator, PredictorOptions, Sampling, Trainer, TrainerConfig};
use support::small_config;

/// What follows each token depends on it alone.
fn next_char(context: usize, tokens: usize) -> Model {
    let layers = ModelBuilder::indices([context]).embedding(tokens, 16, "embed");
    let layers = layers.dense(tokens, true, "head").layer(Permute::new([0, 2, 1]));
    layers.build().unwrap()
}

fn greedy() -> Sampling {
    Sampling { temperature: 0.0, ..Sampling::default() }
}

/// A model that has learnt `abcdefghij\n` by heart.
fn alphabet(folder: &std::path::Path) -> Trainer {
    let file = folder.join("letters.txt");
    std::fs::write(&file, "abcdefghij\n".repeat(60)).unwrap();
    let data = text_splits(&file, &TextOptions { length: 8, ..TextOptions::default() }).unwrap();
    let optimizer = "adam".parse::<OptimizerSpec>().unwrap().with_lr(0.05);
    let config = TrainerConfig { epochs: 20, batch_size: 8, optimizer, ..small_config() };
    let mut trainer = Trainer::new(next_char(8, 11), config).unwrap();
    trainer.set_record(data.record.clone()).unwrap();
    trainer.fit(data.train, Some(data.validation), &mut []).unwrap();
    trainer
}

fn text(generator: &mut Generator, prompt: &str, count: usize, sampling: &Sampling) -> String {
    generator.text(prompt, count, sampling).unwrap().map(Result::unwrap).collect()
}

#[test]
fn text_goes_on_past_the_context_and_from_a_checkpoint() {
    let root = tempfile::tempdir().unwrap();
    let mut trainer = alphabet(root.path());
    let options = PredictorOptions { threads: 1, ..PredictorOptions::default() };
    let mut generator = trainer.generator(&options).unwrap();
    assert_eq!(generator.context(), 8);
    assert_eq!(text(&mut generator, "c", 20, &greedy()), "defghij\nabcdefghij\na");
    // The end of a prompt that is longer than the context counts.
    assert_eq!(text(&mut generator, "abcdefghij\nabcd", 3, &greedy()), "efg");
    assert_eq!(text(&mut generator, "a", 0, &greedy()), "");
    trainer.save(root.path().join("run")).unwrap();
    let mut loaded = Generator::load(root.path().join("run"), &options).unwrap();
    let hot = Sampling { temperature: 4.0, seed: 3, ..Sampling::default() };
    let first = text(&mut loaded, "a", 40, &hot);
    assert_eq!(first, text(&mut generator, "a", 40, &hot));
    assert_ne!(first, text(&mut generator, "a", 40, &Sampling { sample: 1, ..hot.clone() }));
    assert_ne!(first, text(&mut generator, "a", 40, &Sampling { seed: 4, ..hot.clone() }));
    // Only the first k are drawn from: with one it is the most probable.
    let one = Sampling { top_k: Some(1), ..hot };
    assert_eq!(text(&mut generator, "c", 9, &one), "defghij\na");
}

#[test]
fn logits_are_those_of_the_whole_model() {
    let root = tempfile::tempdir().unwrap();
    let mut trainer = alphabet(root.path());
    let mut generator = trainer.generator(&PredictorOptions::default()).unwrap();
    let window = [3, 1, 4, 1, 5, 9, 2, 6];
    let whole = trainer.predict(&window).unwrap();
    for end in 1..=8 {
        let got = generator.logits(&window[..end]).unwrap();
        let wanted = whole.values.iter().skip(end - 1).step_by(8);
        assert_eq!(got.len(), 11);
        assert!(got.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-5), "{end}");
    }
}

#[test]
fn what_cannot_write_is_refused_by_name() {
    let root = tempfile::tempdir().unwrap();
    let mut trainer = alphabet(root.path());
    let mut generator = trainer.generator(&PredictorOptions::default()).unwrap();
    let error = generator.text("ab?", 3, &greedy()).unwrap_err().to_string();
    assert!(error.contains("prompt: line 1, column 3") && error.contains("'?'"), "{error}");
    let error = generator.text("", 3, &greedy()).unwrap_err().to_string();
    assert!(error.contains("at least one token"), "{error}");
    let error = generator.logits(&[11]).unwrap_err().to_string();
    assert!(error.contains("tokens from 0 to 10") && error.contains("11"), "{error}");

    let refused = |model: Model| {
        let mut trainer = Trainer::new(model, TrainerConfig::default()).unwrap();
        trainer.generator(&PredictorOptions::default()).unwrap_err().to_string()
    };
    let classifier = ModelBuilder::new([4]).dense(3, true, "fc").build().unwrap();
    let error = refused(classifier);
    assert!(error.contains("what follows each token") && error.contains("f32 [4]"), "{error}");
    // Each position sees all others.
    let mixing = ModelBuilder::indices([8]).embedding(5, 4, "embed").layer(Permute::new([0, 2, 1]));
    let error = refused(mixing.dense(8, true, "mix").build().unwrap());
    assert!(error.contains("looks ahead"), "{error}");
    // It has no vocabulary, but tokens.
    let mut trainer = Trainer::new(next_char(4, 5), TrainerConfig::default()).unwrap();
    let mut generator = trainer.generator(&PredictorOptions::default()).unwrap();
    assert_eq!(generator.tokens(&[1], 6, &greedy()).unwrap().count(), 6);
    let error = generator.text("a", 3, &greedy()).unwrap_err().to_string();
    assert!(error.contains("trained on a text"), "{error}");
}

/// A transformer whose positions are said by a layer behind the embedding or by its attention.
fn transformer(positions: Option<LayerSpec>, layer: TransformerEncoderLayer) -> Model {
    let layer =
        TransformerEncoderLayer { dim_feedforward: 24, dropout: 0.3, causal: true, ..layer };
    let mut model = ModelBuilder::indices([CONTEXT]).layer(Embedding::new(11, 16).named("embed"));
    if let Some(positions) = positions {
        model = model.layer(positions);
    }
    let head = Dense { bias: false, ..Dense::new(11) }.named("head");
    let model = model.layer(TransformerEncoder::new(2, layer)).layer(head).sharing("embed");
    model.layer(Permute::new([0, 2, 1])).build().unwrap()
}

const CONTEXT: usize = 8;

fn transformers() -> Vec<Model> {
    let layer = || TransformerEncoderLayer::new(4);
    let rotary = |dims, interleaved| TransformerEncoderLayer {
        rotary: Some(Rotary { dims, interleaved, ..Rotary::new() }),
        ..layer()
    };
    let learned = LayerSpec::from(LearnedPositions::new(CONTEXT + 2));
    let normed = TransformerEncoderLayer { norm_first: true, kv_heads: Some(2), ..layer() };
    vec![
        transformer(Some(learned), normed),
        transformer(Some(SinusoidalPositions::new().into()), layer()),
        transformer(None, rotary(None, false)),
        transformer(None, rotary(Some(2), true)),
        transformer(None, TransformerEncoderLayer { alibi: true, ..layer() }),
    ]
}

fn generator(model: Model) -> Generator {
    let mut trainer = Trainer::new(model, small_config()).unwrap();
    trainer.generator(&PredictorOptions::default()).unwrap()
}

/// The logits of all beginnings of a text, one after the other.
fn all_logits(generator: &mut Generator, tokens: &[i32]) -> Vec<Vec<f32>> {
    (1..=tokens.len()).map(|end| generator.logits(&tokens[..end]).unwrap().to_vec()).collect()
}

#[test]
fn what_is_kept_of_earlier_positions_changes_no_number() {
    let tokens = [3, 1, 4, 1, 5, 9, 2, 6];
    let hot = Sampling { temperature: 2.0, seed: 5, ..Sampling::default() };
    for (which, model) in transformers().into_iter().enumerate() {
        let mut cached = generator(model.clone());
        assert_eq!(cached.uncached(), None, "{which}");
        let mut whole = generator(model);
        whole.without_cache();
        let got = all_logits(&mut cached, &tokens);
        for (got, wanted) in got.iter().zip(all_logits(&mut whole, &tokens)) {
            let close = |(a, b): (&f32, &f32)| (a - b).abs() < 2e-5 * (1.0 + b.abs());
            assert!(got.iter().zip(&wanted).all(close), "{which}: {got:?}, wanted {wanted:?}");
        }
        let draw = |generator: &mut Generator| -> Vec<i32> {
            generator.tokens(&[7], CONTEXT, &hot).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(draw(&mut cached), draw(&mut whole), "{which}");
    }
}

#[test]
fn a_full_context_begins_anew_with_its_later_half() {
    let model = transformers().swap_remove(0);
    let mut whole = generator(model.clone());
    whole.without_cache();
    let mut cached = generator(model);
    let written: Vec<i32> = {
        let mut tokens = cached.tokens(&[7, 2], 20, &greedy()).unwrap();
        tokens.by_ref().for_each(|token| assert!(token.is_ok()));
        tokens.written().to_vec()
    };
    // With 9 tokens the first window of 8 is full: the last 4 go on, until those are 8.
    let mut start = 0;
    for end in 2..written.len() {
        if end - start > CONTEXT {
            start = end - CONTEXT / 2;
        }
        let logits = whole.logits(&written[start..end]).unwrap();
        let most = (0..11).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        assert_eq!(written[end], most as i32, "token {end}");
    }
}

#[test]
fn what_cannot_go_on_from_one_position_to_the_next_says_which_layer() {
    let embedded = || ModelBuilder::indices([4]).embedding(5, 8, "embed");
    let head = |model: ModelBuilder| {
        let model = model.dense(5, true, "head").layer(Permute::new([0, 2, 1]));
        generator(model.build().unwrap())
    };
    let own = |cx: &mut onestep_layers::BuildContext, x| Ok(cx.graph.tanh(x)?);
    let custom = head(embedded().custom("mine", own));
    assert!(custom.uncached().is_some_and(|why| why.contains("mine")), "{:?}", custom.uncached());
    let inner = vec![Dense::new(8).named("fc").into()];
    assert_eq!(head(embedded().layer(Residual::new(inner))).uncached(), None);
}
