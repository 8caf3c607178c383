//! Text that a model writes, a token at a time.

use std::path::Path;

use onestep_data::{SampleRng, Vocabulary};
use onestep_engine::{DType, Mode, StepCounters};

use crate::TrainerError;
use crate::decoder::Decoder;
use crate::predictor::{Predictor, PredictorOptions, Weights};
use crate::program::TrainingProgram;
use crate::sampling::{Sampler, Sampling};
use crate::trainer::Trainer;

/// Continues texts with a model that says of each position what follows: its input is i32 `[context]`,
/// its output logits `[tokens, context]`, and no position looks at later ones.
///
/// Keys and values of the tokens so far stay on the device, so that one more token is one call for its
/// position alone. Where the context is full, its later half becomes the beginning of a new one. A model
/// with a layer that cannot work so ([`uncached`](Self::uncached) says which) is asked for its whole context
/// for each token: shorter texts are filled up behind their end, where nothing looks, and of longer ones the
/// last `context` tokens count, with a window that slides along by one.
///
/// ```
/// use onestep_layers::{ModelBuilder, Permute};
/// use onestep_trainer::{PredictorOptions, Sampling, Trainer, TrainerConfig};
///
/// let model = ModelBuilder::indices([8])
///     .embedding(5, 4, "embed")
///     .dense(5, true, "head")
///     .layer(Permute::new([0, 2, 1])) // classes in front of positions
///     .build()?;
/// let mut trainer = Trainer::new(model, TrainerConfig::default())?;
/// let mut generator = trainer.generator(&PredictorOptions::default())?;
/// let sampling = Sampling { temperature: 0.8, top_k: Some(3), ..Sampling::default() };
/// let tokens: Vec<i32> = generator.tokens(&[1, 2], 20, &sampling)?.collect::<Result<_, _>>()?;
/// assert_eq!(tokens.len(), 20);
/// let again: Vec<i32> = generator.tokens(&[1, 2], 20, &sampling)?.collect::<Result<_, _>>()?;
/// assert_eq!(tokens, again);
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
#[derive(Debug)]
pub struct Generator {
    reader: Reader,
    uncached: Option<String>,
    vocabulary: Option<Vocabulary>,
    context: usize,
    /// The tokens that may come: those of the vocabulary, where there is one.
    count: usize,
    window: Vec<i32>,
    answer: Vec<f32>,
    logits: Vec<f32>,
    /// Logits of one position, of all tokens.
    last: Vec<f32>,
    /// The tokens of which the device has keys and values.
    held: Vec<i32>,
    /// Where the first of them stands in the text.
    start: usize,
}

/// What is asked for logits.
#[derive(Debug)]
enum Reader {
    /// For the whole context.
    Whole(Box<Predictor>),
    /// For the whole context or one more position.
    Cached(Box<Decoder>),
}

impl Trainer {
    /// What continues texts with the weights in use; later training does not change them. The batch and
    /// the lanes of the options are 1.
    ///
    /// # Errors
    /// [`TrainerError::Mismatch`] for a model that does not say what follows each position, or whose
    /// positions look at later ones, and what [`Trainer::predictor`] refuses.
    pub fn generator(&mut self, options: &PredictorOptions) -> Result<Generator, TrainerError> {
        let (context, tokens) = next_token_form(self.learner().program())?;
        let options = PredictorOptions { batch: 1, lanes: 1, ..options.clone() };
        let vocabulary = self.record().text.as_ref().map(|form| form.vocabulary.clone());
        let known = vocabulary.as_ref().map_or(tokens, Vocabulary::len);
        let (reader, uncached) = match self.decoder(&options) {
            Ok(decoder) => (Reader::Cached(Box::new(decoder)), None),
            Err(error) => {
                (Reader::Whole(Box::new(self.predictor(&options)?)), Some(error.to_string()))
            }
        };
        let mut generator = Generator {
            reader,
            uncached,
            vocabulary,
            context,
            count: known.min(tokens),
            window: vec![0; context],
            answer: vec![0.0; context * tokens],
            logits: Vec::with_capacity(tokens),
            last: vec![0.0; tokens],
            held: Vec::with_capacity(context),
            start: 0,
        };
        generator.check_causal()?;
        generator.check_steps()?;
        Ok(generator)
    }

    fn decoder(&mut self, options: &PredictorOptions) -> Result<Decoder, TrainerError> {
        self.collect(true)?;
        let averaged = self.learner().averaged()?;
        let weights = Weights { trained: self.learner().state(), averaged: averaged.as_ref() };
        Decoder::new(self.learner().program(), weights, options)
    }
}

impl Generator {
    /// The generator of a checkpoint, with the weights that it was saved with in use.
    ///
    /// # Errors
    /// Those of [`Trainer::load`] and of [`Trainer::generator`].
    pub fn load(
        folder: impl AsRef<Path>,
        options: &PredictorOptions,
    ) -> Result<Self, TrainerError> {
        Trainer::load(folder)?.generator(options)
    }

    /// How many tokens the model looks back at.
    pub fn context(&self) -> usize {
        self.context
    }

    /// Why the model is asked for its whole context for each token; `None` where it is not.
    pub fn uncached(&self) -> Option<&str> {
        self.uncached.as_deref()
    }

    /// Asks for the whole context for each token, although the model could do without.
    pub fn without_cache(&mut self) {
        self.uncached.get_or_insert_with(|| "it was asked for so".to_owned());
    }

    /// What the device has done so far to write; `None` where nothing is kept there.
    pub fn counters(&self) -> Option<StepCounters> {
        match &self.reader {
            Reader::Cached(decoder) => Some(decoder.counters()),
            Reader::Whole(_) => None,
        }
    }

    /// The vocabulary of the text that the model was trained on.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        self.vocabulary.as_ref()
    }

    /// The logits of what follows some tokens, of which the last [`context`](Self::context) count: a
    /// number for each token that may come. Once it is warm this allocates nothing.
    ///
    /// # Errors
    /// No tokens, tokens that the model does not have, and the device's errors.
    pub fn logits(&mut self, tokens: &[i32]) -> Result<&[f32], TrainerError> {
        self.logits_from(tokens, tokens.len().saturating_sub(self.context))
    }

    /// As [`Self::logits`] of a text that grows by a token a time: a window goes on as long as there is
    /// room, then begins anew with half of it.
    fn next_logits(&mut self, tokens: &[i32]) -> Result<&[f32], TrainerError> {
        let longest = tokens.len().saturating_sub(self.context);
        let first = match self.uncached.is_none() && !self.held.is_empty() {
            true if self.start >= longest => self.start,
            true => tokens.len() - self.context.div_ceil(2),
            false => longest,
        };
        self.logits_from(tokens, first)
    }

    /// The logits of what follows tokens of which those from the first on are seen.
    fn logits_from(&mut self, tokens: &[i32], first: usize) -> Result<&[f32], TrainerError> {
        let seen = &tokens[first..];
        let Some(last) = seen.len().checked_sub(1) else {
            return Err(TrainerError::mismatch("prompt", "at least one token", "none"));
        };
        let known = 0..i32::try_from(self.count).unwrap_or(i32::MAX);
        if let Some(token) = seen.iter().find(|token| !known.contains(*token)) {
            let wanted = format!("tokens from 0 to {}", known.end - 1);
            return Err(TrainerError::mismatch("prompt", wanted, token));
        }
        let goes_on = last > 0 && self.start == first && self.held == seen[..last];
        if let (true, Reader::Cached(decoder), None) = (goes_on, &mut self.reader, &self.uncached) {
            // Until it is done nothing is known of what the device holds.
            self.held.clear();
            decoder.step(seen[last], last, &mut self.last)?;
            self.held.extend_from_slice(seen);
            self.logits.clear();
            self.logits.extend_from_slice(&self.last[..self.count]);
            return Ok(&self.logits);
        }
        self.window[..seen.len()].copy_from_slice(seen);
        self.window[seen.len()..].fill(0);
        self.read_logits(last)?;
        self.held.extend_from_slice(seen);
        self.start = first;
        Ok(&self.logits)
    }

    /// The logits at a position of the window.
    fn read_logits(&mut self, position: usize) -> Result<&[f32], TrainerError> {
        self.held.clear();
        match &mut self.reader {
            Reader::Whole(predictor) => {
                predictor.predict_into(self.window.as_slice(), &mut self.answer)?;
            }
            Reader::Cached(decoder) => decoder.prefill(&self.window, &mut self.answer)?,
        }
        let (context, count) = (self.context, self.count);
        self.logits.clear();
        self.logits.extend(self.answer.iter().skip(position).step_by(context).take(count));
        Ok(&self.logits)
    }

    /// The tokens that follow a prompt, as they are drawn.
    ///
    /// # Errors
    /// An empty prompt, and settings that make no sense. Each token may fail as [`Generator::logits`]
    /// does.
    pub fn tokens(
        &mut self,
        prompt: &[i32],
        count: usize,
        sampling: &Sampling,
    ) -> Result<Tokens<'_>, TrainerError> {
        let sampler = Sampler::new(sampling)?;
        if prompt.is_empty() {
            return Err(TrainerError::mismatch("prompt", "at least one token", "none"));
        }
        let mut written = Vec::with_capacity(prompt.len() + count);
        written.extend_from_slice(prompt);
        // What is written follows from the settings alone, not from what was written before.
        self.held.clear();
        let (seed, sample) = (sampling.seed, sampling.sample);
        Ok(Tokens { generator: self, sampler, written, left: count, seed, sample, place: 0 })
    }

    /// The text that follows a prompt, in pieces as it is written: a token, or as many as make whole
    /// characters.
    ///
    /// # Errors
    /// A model that was not trained on a text, an empty prompt, characters that the model does not know,
    /// settings that make no sense. Each piece may fail as [`Generator::logits`] does.
    pub fn text(
        &mut self,
        prompt: &str,
        count: usize,
        sampling: &Sampling,
    ) -> Result<Pieces<'_>, TrainerError> {
        let Some(vocabulary) = self.vocabulary.clone() else {
            let wanted =
                "a model that was trained on a text (`text:FILE`), whose vocabulary it has";
            return Err(TrainerError::mismatch("model", wanted, "one without a vocabulary"));
        };
        let prompt = vocabulary.encode_called("prompt", prompt)?;
        let read = prompt.len();
        Ok(Pieces { tokens: self.tokens(&prompt, count, sampling)?, vocabulary, read, told: read })
    }

    /// Refuses a model whose positions look at later ones: at the time of writing there are none.
    fn check_causal(&mut self) -> Result<(), TrainerError> {
        if self.context < 2 || self.count < 2 {
            return Ok(());
        }
        let end = self.context - 1;
        self.window.fill(0);
        let before = self.read_logits(0)?.to_vec();
        self.window[end] = 1;
        let after = self.read_logits(0)?;
        let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-4 * (1.0 + a.abs());
        if before.iter().zip(after).any(differs) {
            let wanted = "one whose positions look at no later ones (a causal mask), to write with";
            return Err(TrainerError::mismatch("model", wanted, "one that looks ahead"));
        }
        Ok(())
    }

    /// Whether steps give what the whole context gives, of a few tokens; where not, they are not taken.
    fn check_steps(&mut self) -> Result<(), TrainerError> {
        const FEW: usize = 6;
        let count = self.count.max(1);
        let tokens: Vec<i32> = (0..self.context.min(FEW)).map(|i| (i * 5 % count) as i32).collect();
        for end in 2..=tokens.len() {
            self.held.clear();
            let wanted = self.logits(&tokens[..end])?.to_vec();
            self.held.clear();
            self.logits(&tokens[..end - 1])?;
            let got = self.logits(&tokens[..end])?;
            let differs = |(a, b): (&f32, &f32)| (a - b).abs() > 1e-3 * (1.0 + a.abs());
            if wanted.iter().zip(got).any(differs) {
                let reason = "a position by itself gives other numbers than among all";
                self.uncached = Some(reason.to_owned());
                break;
            }
        }
        self.held.clear();
        Ok(())
    }
}

/// The context of a model that says what follows each position, and how many tokens it knows.
fn next_token_form(program: &TrainingProgram) -> Result<(usize, usize), TrainerError> {
    let output = program.output_shape();
    let inputs = program.asked(Mode::Predict);
    if let ([input], [tokens, positions]) = (inputs, output.dims())
        && let ([context], DType::I32) = (input.shape.dims(), input.dtype)
        && context == positions
    {
        return Ok((*context, *tokens));
    }
    let got: Vec<String> = inputs
        .iter()
        .map(|input| format!("`{}` {} {}", input.name, input.dtype, input.shape))
        .collect();
    Err(TrainerError::mismatch(
        "model",
        "one that says what follows each token: an input i32 [length] and an output [tokens, length]",
        format!("inputs {}, an output {output}", got.join(", ")),
    ))
}

/// Tokens as they are drawn: see [`Generator::tokens`].
#[derive(Debug)]
pub struct Tokens<'a> {
    generator: &'a mut Generator,
    sampler: Sampler,
    /// The prompt and what followed.
    written: Vec<i32>,
    left: usize,
    seed: u64,
    sample: u64,
    place: usize,
}

impl Tokens<'_> {
    /// The prompt's tokens and those that have followed.
    pub fn written(&self) -> &[i32] {
        &self.written
    }

    fn draw(&mut self) -> Result<i32, TrainerError> {
        let uniform = SampleRng::new(self.seed, self.sample, self.place as u64).uniform();
        let token = self.sampler.draw(self.generator.next_logits(&self.written)?, uniform)?;
        let token = i32::try_from(token).unwrap_or(i32::MAX);
        self.written.push(token);
        self.place += 1;
        Ok(token)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<i32, TrainerError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let token = self.draw();
        if token.is_err() {
            self.left = 0;
        }
        Some(token)
    }
}

/// A text as it is written: see [`Generator::text`].
#[derive(Debug)]
pub struct Pieces<'a> {
    tokens: Tokens<'a>,
    vocabulary: Vocabulary,
    /// Tokens from here on are decoded together, so that what a token means beside others is kept.
    told: usize,
    /// Tokens whose text was given out.
    read: usize,
}

/// A character has at most so many bytes, and a token one at least.
const LONGEST_CHARACTER: usize = 4;

impl Pieces<'_> {
    /// The prompt's tokens and those that have followed.
    pub fn tokens(&self) -> &[i32] {
        self.tokens.written()
    }

    /// What the last tokens add to the text; none while they end within a character.
    fn added(&mut self, is_last: bool) -> Option<String> {
        let written = self.tokens.written();
        let before = self.vocabulary.decode(&written[self.told..self.read]);
        let all = self.vocabulary.decode(&written[self.told..]);
        let is_whole = !all.ends_with(char::REPLACEMENT_CHARACTER)
            || written.len() - self.read >= LONGEST_CHARACTER
            || is_last;
        let added =
            all.get(before.len()..).filter(|added| is_whole && !added.is_empty())?.to_owned();
        (self.told, self.read) = (self.read, written.len());
        Some(added)
    }
}

impl Iterator for Pieces<'_> {
    type Item = Result<String, TrainerError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Err(error) = self.tokens.next()? {
                return Some(Err(error));
            }
            if let Some(added) = self.added(self.tokens.left == 0) {
                return Some(Ok(added));
            }
        }
    }
}
