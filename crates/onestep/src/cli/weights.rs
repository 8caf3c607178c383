//! The flags that name weights in a file of their own.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use onestep::layers::WeightLayout;
use onestep::trainer::Trainer;

/// The layout that weights are in.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct LayoutFlag {
    #[arg(long, value_name = "LAYOUT", help = layout_help())]
    pub(crate) layout: Option<WeightLayout>,
}

fn layout_help() -> String {
    format!("The layout that the weights are in: {} [default: it is recognised]", layouts())
}

/// The layouts there are.
pub(crate) fn layouts() -> String {
    WeightLayout::ALL.map(WeightLayout::name).join(" or ")
}

/// Weights to take in place of what is there.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct WeightsFlags {
    /// Weights to begin with: a safetensors file of this program or a PyTorch state dict
    #[arg(long, value_name = "W.safetensors")]
    weights: Option<PathBuf>,
    #[command(flatten)]
    layout: LayoutFlag,
}

/// Weights of another model to begin with.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct BeginFlags {
    #[command(flatten)]
    weights: WeightsFlags,
    /// Begin with what fits by name and shape of another model's weights: a safetensors file, or the
    /// folder of a run; what was taken, left and is new is said. Again for more files, such as adapters
    #[arg(long, value_name = "FILE|RUN", conflicts_with = "weights")]
    init_from: Vec<PathBuf>,
    /// Refuse weights of --init-from that are not all of the model and nothing else
    #[arg(long, requires = "init_from")]
    strict: bool,
}

impl BeginFlags {
    /// Puts the weights in place, where there are any. Says what became of those of another model.
    pub(crate) fn apply(&self, trainer: &mut Trainer) -> Result<Vec<String>> {
        if self.init_from.is_empty() {
            self.weights.apply(trainer)?;
        }
        let layout = self.weights.layout.layout;
        let one = |path: &PathBuf| {
            let taken = trainer.init_from(path, layout, self.strict)?;
            Ok(format!("{}: {taken}", path.display()))
        };
        self.init_from.iter().map(one).collect()
    }
}

impl WeightsFlags {
    /// Puts the weights in place, where there are any.
    pub(crate) fn apply(&self, trainer: &mut Trainer) -> Result<()> {
        match (&self.weights, self.layout.layout) {
            (Some(file), Some(layout)) => trainer.load_weights_in(file, layout)?,
            (Some(file), None) => trainer.load_weights(file)?,
            (None, layout) => ensure!(
                layout.is_none(),
                "--layout: there are no weights to read; add --weights FILE"
            ),
        }
        Ok(())
    }
}
