//! The `onestep` command. See `onestep --help`.

#![deny(unsafe_code)]

mod cli;
mod command;

use std::process::ExitCode;

use clap::Parser;

use cli::console;
use cli::interrupt::exit_code;
use command::{Command, Outcome};

/// Train neural networks with one native call a step.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

const EXAMPLES: &str = "\
Without a command, `onestep` trains a small convolutional network on 1,797 handwritten digits that
are part of the program.

Examples:
  onestep                                          train on the digits, in a few seconds
  onestep train --data mnist:DIR --epochs 3        train on MNIST's idx files in DIR
  onestep train --model net.json --optimizer sgd --lr 0.05 --schedule cosine
  onestep evaluate --checkpoint runs/digits-cnn-1  how good is it, and what is taken for what
  onestep predict --checkpoint runs/digits-cnn-1 picture.png
  onestep summary net.json                         layers, shapes, parameters, memory
  onestep bench                                    steps a second of the reference workloads

The environment variable RUST_LOG (error, warn, info, debug) sets how much is logged.";

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    let command = Arguments::parse().command.unwrap_or_default();
    match command.run() {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted(signal)) => ExitCode::from(exit_code(signal)),
        Err(error) => {
            console::report(&error);
            ExitCode::FAILURE
        }
    }
}
