//! `onestep models`: the models that have a name.

use anyhow::Result;
use clap::Args;
use onestep::layers::presets::{PRESETS, sizes};
use serde_json::json;

use super::plan::wrapped;
use crate::cli::console::Console;

/// List the models that stand by name where a file would
///
/// Wherever a model's file is taken (`--model`, `onestep summary`) a name does too, with options behind
/// a colon: `resnet18:classes=10,input=3x32x32`. Those of torchvision have the names and shapes of its
/// state dicts, so that its weights load (`--weights`). In `onestep train` the input and the classes are
/// those of the data unless they are said; elsewhere those listed here.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Models {
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  onestep models
  onestep summary mobilenet_v2:classes=10,input=3x32x32";

impl Models {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        console.say(format_args!("{:<15} {:<10} {:>7}  what it is", "name", "input", "classes"));
        for preset in PRESETS {
            let input = sizes(preset.input);
            let (name, classes) = (preset.name, preset.classes);
            let head = format!("{name:<15} {input:<10} {classes:>7}  ");
            console.say(wrapped(&head, preset.about));
        }
        let models = PRESETS.iter().map(|preset| {
            json!({
                "name": preset.name,
                "about": preset.about,
                "input_shape": preset.input,
                "classes": preset.classes,
            })
        });
        console.object(&json!({ "models": models.collect::<Vec<_>>() }))
    }
}
