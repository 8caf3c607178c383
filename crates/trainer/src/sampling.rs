//! What comes next, drawn from a model's logits.

use std::cmp::Ordering;

use crate::TrainerError;

/// How the next token is drawn from a model's logits. The filters are those of Hugging Face's
/// `transformers`, applied in its order: temperature, `top_k`, `top_p`.
///
/// ```
/// use onestep_trainer::{Sampler, Sampling};
///
/// let sampling = Sampling { top_k: Some(2), ..Sampling::default() };
/// let mut sampler = Sampler::new(&sampling)?;
/// let half = sampler.probabilities(&[1.0, 3.0, 3.0, 2.0])?;
/// assert_eq!(half, [0.0, 0.5, 0.5, 0.0]);
/// // Temperature 0 takes the largest, the first of equals.
/// let mut greedy = Sampler::new(&Sampling { temperature: 0.0, ..sampling })?;
/// assert_eq!(greedy.draw(&[1.0, 3.0, 3.0, 2.0], 0.9)?, 1);
/// # Ok::<(), onestep_trainer::TrainerError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Logits are divided by it: below 1 what is probable becomes more so. 0 always takes the most
    /// probable token. Default 1.
    pub temperature: f32,
    /// Only so many of the most probable tokens are drawn from, and what is as probable as the last of
    /// them; default all.
    pub top_k: Option<usize>,
    /// Only the most probable tokens that together have at least this probability are drawn from; default
    /// all.
    pub top_p: Option<f32>,
    /// What is drawn depends on it, on [`sample`](Self::sample) and on the place of the token alone.
    pub seed: u64,
    /// Which of several texts by one seed.
    pub sample: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 1.0, top_k: None, top_p: None, seed: 0, sample: 0 }
    }
}

impl Sampling {
    /// Refuses what makes no sense.
    fn check(&self) -> Result<(), TrainerError> {
        let Sampling { temperature, top_k, top_p, .. } = *self;
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(TrainerError::option("temperature", "a number of at least 0", temperature));
        }
        if top_k == Some(0) {
            return Err(TrainerError::option("top_k", "at least 1", 0));
        }
        match top_p.filter(|top_p| !(*top_p > 0.0 && *top_p <= 1.0)) {
            Some(top_p) => Err(TrainerError::option("top_p", "above 0 and at most 1", top_p)),
            None => Ok(()),
        }
    }
}

/// Draws tokens by a [`Sampling`]; once it has seen logits it allocates nothing.
#[derive(Clone, Debug)]
pub struct Sampler {
    sampling: Sampling,
    probabilities: Vec<f32>,
    /// Tokens from the least to the most probable.
    order: Vec<usize>,
}

impl Sampler {
    /// A sampler by these settings.
    ///
    /// # Errors
    /// A negative temperature, `top_k` of 0, `top_p` that is not in (0, 1].
    pub fn new(sampling: &Sampling) -> Result<Self, TrainerError> {
        sampling.check()?;
        Ok(Sampler { sampling: sampling.clone(), probabilities: Vec::new(), order: Vec::new() })
    }

    /// The distribution that is drawn from: a probability for each token, 0 for those left out.
    ///
    /// # Errors
    /// No logits, logits that are NaN or positive infinity, and none that is finite.
    pub fn probabilities(&mut self, logits: &[f32]) -> Result<&[f32], TrainerError> {
        let largest = logits.iter().copied().max_by(f32::total_cmp).unwrap_or(f32::NAN);
        if !largest.is_finite() || logits.iter().any(|logit| logit.is_nan()) {
            let wanted = "numbers of which one at least is finite";
            let bad = logits.iter().find(|logit| !logit.is_finite()).copied();
            let got = bad.map_or("none".to_owned(), |bad| bad.to_string());
            return Err(TrainerError::mismatch("logits of the next token", wanted, got));
        }
        self.probabilities.clear();
        self.order.clear();
        if self.sampling.temperature == 0.0 {
            let first = logits.iter().position(|&logit| logit == largest);
            self.probabilities.resize(logits.len(), 0.0);
            self.probabilities[first.unwrap_or(0)] = 1.0;
            return Ok(&self.probabilities);
        }
        // In f64, so that a small temperature cannot make an infinite difference of finite logits.
        let (top, temperature) = (f64::from(largest), f64::from(self.sampling.temperature));
        let weight = |&logit: &f32| ((f64::from(logit) - top) / temperature).exp() as f32;
        self.probabilities.extend(logits.iter().map(weight));
        self.order.extend(0..logits.len());
        // By the logits themselves: what underflows is still in their order.
        let by_logit = |a: &usize, b: &usize| match logits[*a].total_cmp(&logits[*b]) {
            Ordering::Equal => b.cmp(a),
            other => other,
        };
        self.order.sort_unstable_by(by_logit);
        self.keep_top_k(logits);
        self.keep_top_p();
        let sum = self.sum();
        self.probabilities.iter_mut().for_each(|p| *p = (f64::from(*p) / sum) as f32);
        Ok(&self.probabilities)
    }

    fn sum(&self) -> f64 {
        self.probabilities.iter().copied().map(f64::from).sum()
    }

    /// Leaves out what is less probable than the last of the first k.
    fn keep_top_k(&mut self, logits: &[f32]) {
        let Some(k) = self.sampling.top_k.filter(|k| *k < logits.len()) else { return };
        let least = logits[self.order[logits.len() - k]];
        for (probability, &logit) in self.probabilities.iter_mut().zip(logits) {
            if logit < least {
                *probability = 0.0;
            }
        }
    }

    /// Leaves out the least probable that together have at most 1 - p, but never all.
    fn keep_top_p(&mut self) {
        let Some(top_p) = self.sampling.top_p.filter(|top_p| *top_p < 1.0) else { return };
        let room = (1.0 - f64::from(top_p)) * self.sum();
        let mut gone = 0.0;
        let Some((_, rest)) = self.order.split_last() else { return };
        for &token in rest {
            gone += f64::from(self.probabilities[token]);
            if gone > room {
                return;
            }
            self.probabilities[token] = 0.0;
        }
    }

    /// The token that a number from 0 to 1 (without 1) falls on, where the tokens lie side by side, each
    /// as wide as it is probable.
    ///
    /// # Errors
    /// Those of [`Sampler::probabilities`].
    pub fn draw(&mut self, logits: &[f32], uniform: f32) -> Result<usize, TrainerError> {
        let probabilities = self.probabilities(logits)?;
        let mut left = f64::from(uniform);
        let mut last = 0;
        for (token, &probability) in probabilities.iter().enumerate() {
            if probability > 0.0 {
                (left, last) = (left - f64::from(probability), token);
                if left < 0.0 {
                    break;
                }
            }
        }
        // Rounding may leave a crumb behind the last.
        Ok(last)
    }
}
