//! The `onestep` command. See `onestep --help`.

#![deny(unsafe_code)]

mod cli;
mod command;

use std::process::ExitCode;

use std::io::Write;

use clap::{CommandFactory, FromArgMatches, Parser};

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
  onestep generate --checkpoint runs/verse-1 --prompt Hello --tokens 200
  onestep export --checkpoint runs/digits-cnn-1 --to pytorch --out w.safetensors
  onestep summary net.json                         layers, shapes, parameters, memory
  onestep plan net.json                            the kernels of a step, and why not fewer
  onestep bench                                    steps a second of the reference workloads

The environment variable RUST_LOG (error, warn, info, debug) sets how much is logged.";

fn main() -> ExitCode {
    start_log();
    let matches = parser().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match arguments.command.unwrap_or_default().run() {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Interrupted(signal)) => ExitCode::from(exit_code(signal)),
        Err(error) => {
            console::report(&error);
            ExitCode::FAILURE
        }
    }
}

/// The arguments, where a number may be negative anywhere: that it must not be is said by what takes
/// it, with its name.
fn parser() -> clap::Command {
    let negative = |argument: clap::Arg| match argument.get_action().takes_values() {
        true => argument.allow_negative_numbers(true),
        false => argument,
    };
    let mut parser = Arguments::command();
    let names: Vec<String> =
        parser.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        parser = parser.mut_subcommand(name, |command| command.mut_args(negative));
    }
    parser
}

/// Warnings of the libraries go to standard error as what they are.
fn start_log() {
    let mut log =
        env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn"));
    log.format(|out, record| {
        let (level, message) = (record.level(), record.args().to_string());
        let message = console::printable(&message);
        match level {
            log::Level::Warn => writeln!(out, "warning: {message}"),
            _ => writeln!(out, "{level} {}: {message}", record.target()),
        }
    });
    log.init();
}
