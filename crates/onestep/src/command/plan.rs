//! `onestep plan`: the graph of a step and the kernels that it becomes.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};
use onestep::engine::plan::{Explained, Instruction, Kernel, Unmerged, Work, explain};
use onestep::engine::{Graph, Mode, Node, Value};
use onestep::layers::LossSpec;
use onestep::optimizer::{Optimizer, OptimizerSpec};
use onestep::trainer::TrainingProgram;
use serde_json::{Value as Json, json};

use super::summary::{loss_for, memory_json, memory_text};
use crate::cli::console::Console;
use crate::cli::files::read_model;
use crate::cli::flags::{loss_help, optimizer_help, parse_optimizer};

/// Show the graph of a model's step, the kernels that it becomes, and why they are not fewer
///
/// A step is compiled once: the loss, the gradients and the update of all parameters become one graph
/// of primitives, and the planner makes kernels of it. Elementwise code that runs over one shape is one
/// kernel, with the reductions behind it; a matrix product, a convolution or a pooling is one of its
/// own. What passes between kernels goes through memory, so under each kernel stands what it
/// reads from others, and the rule that kept the two apart.
///
/// The plan is the same on every device that takes plans. Nothing is run, and no memory is taken.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PlanCommand {
    /// The model: a JSON specification, or a name that `onestep models` lists
    #[arg(value_name = "SPEC.json")]
    model: PathBuf,
    /// What the step is for
    #[arg(long, value_enum, default_value_t = ModeFlag::Train)]
    mode: ModeFlag,
    /// Samples in a batch
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = batch_size)]
    batch_size: usize,
    #[arg(long, value_name = "LOSS", help = loss_help("what suits the output"))]
    loss: Option<LossSpec>,
    #[arg(long, value_name = "OPTIMIZER", default_value = "adam", value_parser = parse_optimizer,
          help = optimizer_help())]
    optimizer: OptimizerSpec,
    /// Print only this
    #[arg(long, value_enum, value_name = "PART")]
    only: Option<Part>,
    /// Print one JSON object on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ModeFlag {
    /// Forward pass, loss, gradients and update
    Train,
    /// Forward pass and loss
    Evaluate,
    /// Forward pass
    Predict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The graph
    Graph,
    /// The kernels
    Kernels,
    /// The kernels that could be fewer, with what keeps them apart
    Why,
}

const EXAMPLES: &str = "\
Examples:
  onestep plan net.json                           a training step of 32 samples
  onestep plan net.json --mode predict --batch-size 1
  onestep plan net.json --only why                what was not fused, and why
  onestep plan net.json --json | jq '.kernels[] | select(.phase == \"update\")'

A line of the graph is `value = op operands : type`; `#` has the layer. A kernel's line has its number,
its phase, what kind it is and the layers that it is of. `fuses` lists the instructions of
elementwise code. `onestep bench --profile` shows the time that each kernel takes, and
which way a convolution goes on that machine.";

fn batch_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("expected at least 1, got 0".to_owned()),
        Ok(size) => Ok(size),
        Err(_) => Err(format!("expected a whole number, got `{text}`")),
    }
}

impl PlanCommand {
    pub(crate) fn run(self) -> Result<()> {
        let console = Console::new(self.json);
        let model = read_model(&self.model)?;
        let loss = self.loss.clone().map_or_else(|| loss_for(&model), Ok)?;
        let optimizer = Optimizer::from_spec(self.optimizer.clone())?;
        let program = TrainingProgram::new(model, loss, optimizer)?;
        let step = program.program(self.mode.mode(), self.batch_size)?;
        let explained = explain(&step, program.layout())?;
        self.say(&console, &explained);
        console.object(&self.object(&explained))
    }

    fn shows(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    fn say(&self, console: &Console, explained: &Explained) {
        let Explained { graph, plan, unmerged } = explained;
        if self.shows(Part::Graph) {
            console.say(format_args!("graph of {} values", graph.nodes().len()));
            for value in graph.values() {
                console.say(node_text(value, graph.node(value)));
            }
        }
        if self.shows(Part::Kernels) || self.shows(Part::Why) {
            console.say(format_args!("plan of {} kernels", plan.kernels.len()));
            console.say(wrapped("  memory  ", &memory_text(&plan.footprint)));
        }
        for (index, (kernel, unmerged)) in plan.kernels.iter().zip(unmerged).enumerate() {
            if self.shows(Part::Kernels) {
                console.say(kernel_text(index, kernel));
                let fused = instructions(kernel).join(", ");
                if !fused.is_empty() {
                    console.say(wrapped("        fuses   ", &fused));
                }
            } else if self.only == Some(Part::Why) && !unmerged.is_empty() {
                console.say(kernel_text(index, kernel));
            }
            if self.only != Some(Part::Graph) {
                unmerged.iter().for_each(|unmerged| console.say(unmerged_text(unmerged)));
            }
        }
    }

    fn object(&self, explained: &Explained) -> Json {
        let Explained { graph, plan, unmerged } = explained;
        let kernels = plan.kernels.iter().zip(unmerged).map(kernel_json);
        json!({
            "mode": self.mode.name(),
            "batch_size": self.batch_size,
            "memory": memory_json(&plan.footprint),
            "graph": graph_json(graph),
            "kernels": kernels.collect::<Vec<_>>(),
        })
    }
}

impl ModeFlag {
    fn mode(self) -> Mode {
        match self {
            ModeFlag::Train => Mode::Train,
            ModeFlag::Evaluate => Mode::Evaluate,
            ModeFlag::Predict => Mode::Predict,
        }
    }

    fn name(self) -> &'static str {
        match self {
            ModeFlag::Train => "train",
            ModeFlag::Evaluate => "evaluate",
            ModeFlag::Predict => "predict",
        }
    }
}

fn node_text(value: Value, node: &Node) -> String {
    let inputs: Vec<String> = node.inputs.iter().map(Value::to_string).collect();
    let label = node.label.as_ref().map_or(String::new(), |label| format!("  # {label}"));
    let text = format!("{} {} : {}{label}", node.op, inputs.join(", "), node.ty);
    wrapped(&format!("  {value:<5} = "), &text)
}

fn kernel_text(index: usize, kernel: &Kernel) -> String {
    let text = format!("{}, {}", kernel.kind(), kernel.label);
    wrapped(&format!("  {index:>4}  {:<8}  ", kernel.phase), &text)
}

fn unmerged_text(unmerged: &Unmerged) -> String {
    let Unmerged { from, value, reason } = unmerged;
    wrapped("        not in  ", &format!("{from} ({value}): {reason}"))
}

/// The instructions of elementwise code, each with how often it stands there.
fn instructions(kernel: &Kernel) -> Vec<String> {
    let Work::Fused(fused) = &kernel.work else { return Vec::new() };
    let mut counts: Vec<(String, usize)> = Vec::new();
    let code = fused.code.iter().filter_map(|instruction| match instruction {
        Instruction::Load(_) | Instruction::Splat(_) => None,
        Instruction::Random { .. } => Some("random".to_owned()),
        Instruction::Unary(op, _) => Some(format!("{op:?}").to_lowercase()),
        Instruction::Binary(op, ..) => Some(format!("{op:?}").to_lowercase()),
        Instruction::Compare(op, ..) => Some(format!("{op:?}").to_lowercase()),
        Instruction::Select(..) => Some("select".to_owned()),
        Instruction::Round(dtype, _) => Some(format!("cast {dtype}")),
    });
    let reductions = fused.outputs.iter().filter_map(|output| output.reduce);
    for name in code.chain(reductions.map(|kind| format!("reduce {kind:?}").to_lowercase())) {
        match counts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counts.push((name, 1)),
        }
    }
    let text = |(name, count)| if count == 1 { name } else { format!("{name} x{count}") };
    counts.into_iter().map(text).collect()
}

fn graph_json(graph: &Graph) -> Vec<Json> {
    let node = |value: Value| {
        let node = graph.node(value);
        json!({
            "value": value.to_string(),
            "op": node.op.to_string(),
            "inputs": node.inputs.iter().map(Value::to_string).collect::<Vec<_>>(),
            "type": node.ty.to_string(),
            "label": node.label,
            "phase": node.phase.to_string(),
        })
    };
    graph.values().map(node).collect()
}

fn kernel_json((kernel, unmerged): (&Kernel, &Vec<Unmerged>)) -> Json {
    let cost = kernel.cost();
    let unmerged = unmerged.iter().map(|unmerged| {
        json!({
            "kernel": unmerged.from,
            "value": unmerged.value,
            "reason": unmerged.reason.to_string(),
        })
    });
    json!({
        "phase": kernel.phase.to_string(),
        "kind": kernel.kind(),
        "label": kernel.label,
        "fuses": instructions(kernel),
        "flops": cost.flops,
        "bytes": cost.bytes,
        "not_in": unmerged.collect::<Vec<_>>(),
    })
}

/// The most columns of a line.
const COLUMNS: usize = 80;

/// Text behind a head, with the lines behind the first one below its beginning.
pub(super) fn wrapped(head: &str, text: &str) -> String {
    let indent = head.chars().count();
    let (mut all, mut column) = (head.to_owned(), indent);
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > indent && column + 1 + width > COLUMNS {
            all.push('\n');
            all.push_str(&" ".repeat(indent));
            column = indent;
        } else if column > indent {
            all.push(' ');
            column += 1;
        }
        all.push_str(word);
        column += width;
    }
    all
}
