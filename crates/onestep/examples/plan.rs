//! What a step is made of: its graph, its kernels with the memory they take, and why they are not
//! fewer. `onestep plan MODEL` prints the same.
//!
//!     cargo run --release --example plan

use onestep::engine::plan::explain;
use onestep::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = ModelBuilder::new([1, 8, 8])
        .conv2d(8, 3, 1, 1, true, "conv")
        .relu("relu")
        .flatten("flat")
        .dense(10, true, "fc")
        .build()?;
    let adam = Optimizer::from_spec("adam".parse::<OptimizerSpec>()?)?;
    let program = TrainingProgram::new(model, "cross_entropy".parse()?, adam)?;
    let explained = explain(&program.program(Mode::Train, 32)?, program.layout())?;
    println!("{} values, {} kernels", explained.graph.nodes().len(), explained.plan.kernels.len());
    for (kernel, unmerged) in explained.plan.kernels.iter().zip(&explained.unmerged) {
        println!("{:<9} {:<12} {}", kernel.phase.to_string(), kernel.kind(), kernel.label);
        for value in unmerged {
            println!("    not in kernel {}: {}", value.from, value.reason);
        }
    }
    let footprint = &explained.plan.footprint;
    println!("{} at the peak", format_bytes(footprint.peak()));
    // A step is fewer kernels than values, and takes what was planned.
    assert!(explained.plan.kernels.len() < explained.graph.nodes().len() / 2);
    let cpu = executor("cpu", &ExecutorOptions::default())?;
    let mut learner = Learner::new(program, cpu, 0)?;
    assert!(learner.prepare(Mode::Train, 32)?.peak() >= footprint.peak());
    Ok(())
}
