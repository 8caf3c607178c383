//! `onestep tokenizer`: the pieces that texts are made of.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use onestep::data::{TokenizerOptions, TrainingPhase, train_tokenizer};
use onestep::trainer::write_atomically;

use crate::cli::console::Console;

/// Tokenizers: the pieces that texts are made of
#[derive(Debug, Args)]
pub(crate) struct TokenizerCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Train(TrainTokenizer),
}

/// Train a tokenizer on texts, for `--data text:FILE?tokenizer=PATH`
///
/// By character a text has as many tokens as characters. A tokenizer joins what often comes together into
/// one token, so that a window of the same length sees more of the text. This one is byte-level byte-pair
/// encoding as GPT-2 has it: no text is refused, and every text leads back to itself. The file is of the form of
/// Hugging Face's `tokenizers`, which reads it too; other tokenizers of that form work as well. A model keeps its
/// tokenizer in its checkpoint. Larger vocabularies make larger embeddings and heads: some thousands suit a
/// text of a megabyte. It needs a build with `--features bpe`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct TrainTokenizer {
    /// The texts, UTF-8
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// How many pieces there are at most, from 256: one for each byte, and those that are joined
    #[arg(long, visible_alias = "vocab", value_name = "N", default_value_t = 1000)]
    vocab_size: usize,
    /// How often pieces must come together to be joined
    #[arg(long, value_name = "N", default_value_t = 2)]
    min_frequency: u64,
    /// The file to write
    #[arg(long, value_name = "FILE", default_value = "tokenizer.json")]
    out: PathBuf,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep tokenizer train --vocab-size 1000 --out tok.json verse.txt
  onestep train --data 'text:verse.txt?length=64&tokenizer=tok.json' --model next_char --out runs/verse
  onestep generate --checkpoint runs/verse --prompt \"a rose\"";

impl TokenizerCommand {
    pub(crate) fn run(self) -> Result<()> {
        match self.action {
            Action::Train(command) => command.run(),
        }
    }
}

impl TrainTokenizer {
    fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let (vocabulary, min_frequency) = (self.vocab_size, self.min_frequency);
        let options = TokenizerOptions { vocabulary, min_frequency };
        let trained = train_tokenizer(&self.files, &options, |phase| match phase {
            TrainingPhase::Reading(file) => {
                console.say(format_args!("reads {}", file.display()));
            }
            TrainingPhase::Merging(count) => {
                console.say(format_args!("joins what often comes together, up to {count} pieces"));
            }
        })?;
        let json = trained.tokenizer_json().unwrap_or_default();
        write_atomically(&self.out, |out| out.write_all(json.as_bytes()))?;
        let (out, pieces) = (self.out.display(), trained.len());
        if pieces < vocabulary {
            console.notes(&[format!(
                "{pieces} pieces, not {vocabulary}: no others come together {min_frequency} times"
            )]);
        }
        console.say(format_args!("{out}: {pieces} pieces; train with `text:FILE?tokenizer={out}`"));
        console.object(&serde_json::json!({ "tokenizer": self.out, "pieces": pieces }))
    }
}
