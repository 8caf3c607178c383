//! `onestep generate`: text that a trained model writes.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use onestep::trainer::{Generator, Sampling};
use serde::Serialize;

use crate::cli::checkpoint::ModelFlags;
use crate::cli::console::{Console, printable};

/// Continue a text with a trained model
///
/// The model must be one that was trained on a text (`text:FILE`) to say what follows each position, and
/// the checkpoint is all that is needed: it has the vocabulary. The text is written to standard output
/// as it comes, behind the prompt, and how fast it came to standard error. The model sees as many of the
/// last tokens as its context is long, of a longer prompt the end; where the context is full, its later half
/// becomes the beginning of a new one. The same seed, settings and machine write the same text.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Generate {
    #[command(flatten)]
    model: ModelFlags,
    /// What is continued [default: the end of a line]
    #[arg(long, value_name = "TEXT", default_value = "\n", hide_default_value = true)]
    prompt: String,
    /// How many tokens are written
    #[arg(long, value_name = "N", default_value_t = 256)]
    tokens: usize,
    /// What logits are divided by: less is more predictable, and 0 always takes the most probable token
    #[arg(long, value_name = "T", default_value_t = 1.0)]
    temperature: f32,
    /// Draw from the K most probable tokens only
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Draw from the most probable tokens that have this probability together
    #[arg(long, value_name = "P")]
    top_p: Option<f32>,
    /// What is drawn follows from it
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// How many texts are written, each with other draws
    #[arg(long, value_name = "N", default_value_t = 1)]
    num_samples: u64,
    /// Ask the model for its whole context for each token, where it could keep keys and values
    #[arg(long)]
    no_cache: bool,
    /// Print one JSON object on standard output, when all is written
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep train --data text:verse.txt --model next_char --out runs/verse
  onestep generate --checkpoint runs/verse --prompt \"a rose\" --tokens 200
  onestep generate --checkpoint runs/verse --temperature 0.8 --top-k 10 --seed 7 --num-samples 3";

/// A text that was written.
#[derive(Debug, Serialize)]
struct Written {
    /// Without the prompt.
    text: String,
    /// Without the prompt's.
    tokens: Vec<i32>,
}

impl Generate {
    pub(crate) fn run(self) -> Result<()> {
        ensure!(self.num_samples > 0, "--num-samples: expected at least 1, got 0");
        let mut trainer = self.model.load(None)?;
        let mut generator = trainer.generator(&self.model.predictor_options())?;
        drop(trainer);
        if self.no_cache {
            generator.without_cache();
        } else if let Some(why) = generator.uncached() {
            eprintln!(
                "note: the whole context is computed for each token, since {}",
                printable(why)
            );
        }
        let mut all = Vec::new();
        let start = Instant::now();
        for sample in 0..self.num_samples {
            if sample > 0 && !self.json {
                self.stream("\n---\n")?;
            }
            all.push(self.write(&mut generator, sample)?);
        }
        let seconds = start.elapsed().as_secs_f64();
        let count: usize = all.iter().map(|written| written.tokens.len()).sum();
        let per_second = count as f64 / seconds.max(1e-9);
        eprintln!("{count} tokens in {seconds:.2} s ({per_second:.0} tokens/s)");
        Console::new(self.json).object(&serde_json::json!({
            "prompt": self.prompt,
            "context": generator.context(),
            "samples": all,
            "tokens_per_second": per_second,
        }))
    }

    fn write(&self, generator: &mut Generator, sample: u64) -> Result<Written> {
        let Generate { temperature, top_k, top_p, seed, .. } = *self;
        let sampling = Sampling { temperature, top_k, top_p, seed, sample };
        let mut pieces = generator.text(&self.prompt, self.tokens, &sampling)?;
        let before = pieces.tokens().len();
        self.stream(&self.prompt)?;
        let mut text = String::new();
        for piece in pieces.by_ref() {
            let piece = piece?;
            self.stream(&piece)?;
            text += &piece;
        }
        self.stream("\n")?;
        Ok(Written { text, tokens: pieces.tokens()[before..].to_vec() })
    }

    /// Shows a piece at once.
    fn stream(&self, piece: &str) -> Result<()> {
        if self.json {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        let written = out.write_all(printable(piece).as_bytes()).and_then(|()| out.flush());
        written.context("standard output is closed")
    }
}
