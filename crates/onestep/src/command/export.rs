//! `onestep export`: the weights of a trained model for other programs.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use onestep::layers::WeightLayout;
use onestep::trainer::write_atomically;
use serde_json::json;

use crate::cli::checkpoint::ModelFlags;
use crate::cli::console::Console;
use crate::cli::weights::layouts;

/// Write the weights of a trained model, in PyTorch's layout or this program's
///
/// The file is a safetensors file with the parameters and running statistics by their names. In
/// PyTorch's layout a module whose children have the layers' names takes it:
/// module.load_state_dict(safetensors.torch.load_file(FILE), strict=False).
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Export {
    #[command(flatten)]
    model: ModelFlags,
    #[arg(long, value_name = "LAYOUT", default_value_t = WeightLayout::Pytorch, help = to_help())]
    to: WeightLayout,
    /// The file to write
    #[arg(long, value_name = "O.safetensors")]
    out: PathBuf,
    /// Fold the adapters of `lora` into the weights, and write the model without them here
    #[arg(long, value_name = "NET.json")]
    merge_lora: Option<PathBuf>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep export --checkpoint runs/digits-cnn-1 --to pytorch --out w.safetensors
  onestep export --checkpoint runs/digits-cnn-1 --weights w.safetensors --layout pytorch \\
      --to onestep --out back.safetensors
  onestep export --checkpoint runs/tuned --merge-lora net.json --to onestep --out w.safetensors";

fn to_help() -> String {
    format!("The layout to write: {}", layouts())
}

impl Export {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let mut trainer = self.model.load(None)?;
        match &self.merge_lora {
            None => trainer.save_weights_in(&self.out, self.to)?,
            Some(model) => {
                let text = trainer.save_merged(&self.out, self.to)?.to_json()?;
                write_atomically(model, |file| writeln!(file, "{text}"))?;
                console.say(format_args!("model without adapters written to {}", model.display()));
            }
        }
        let (out, to) = (self.out.display().to_string(), self.to);
        console.say(format_args!("weights written to {out} in the layout of {to}"));
        console.object(&json!({ "out": out, "layout": to.name() }))
    }
}
