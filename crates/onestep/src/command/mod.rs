//! The subcommands, one a file.

mod bench;
mod evaluate;
mod export;
mod generate;
mod models;
mod plan;
mod predict;
mod step;
mod summary;
mod tokenizer;
mod train;

use anyhow::Result;
use clap::Subcommand;

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has done what was asked for.
    Done,
    /// It was interrupted by a signal, and has saved what there was.
    Interrupted(u8),
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Train(Box<train::Train>),
    Evaluate(evaluate::Evaluate),
    Predict(predict::Predict),
    Generate(generate::Generate),
    Export(export::Export),
    Summary(summary::SummaryCommand),
    Models(models::Models),
    Plan(plan::PlanCommand),
    Step(Box<step::StepCommand>),
    Bench(bench::Bench),
    Tokenizer(tokenizer::TokenizerCommand),
}

impl Default for Command {
    /// Training with all defaults.
    fn default() -> Self {
        Command::Train(Box::default())
    }
}

impl Command {
    pub(crate) fn run(self) -> Result<Outcome> {
        match self {
            Command::Train(command) => return command.run(),
            Command::Evaluate(command) => command.run(),
            Command::Predict(command) => command.run(),
            Command::Generate(command) => command.run(),
            Command::Export(command) => command.run(),
            Command::Summary(command) => command.run(),
            Command::Models(command) => command.run(),
            Command::Plan(command) => command.run(),
            Command::Step(command) => command.run(),
            Command::Bench(command) => command.run(),
            Command::Tokenizer(command) => command.run(),
        }?;
        Ok(Outcome::Done)
    }
}
