//! An optimizer of one's own: a function from parameter, gradient and state to new parameter and
//! new state, on one long vector. It becomes part of the step, as one fused pass.
//!
//! Lion (Chen et al., 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2).

use onestep::prelude::*;

#[derive(Debug)]
struct Lion {
    beta1: f32,
    beta2: f32,
}

/// `beta * old + (1 - beta) * new`
fn blend(g: &mut Graph, beta: f32, old: Value, new: Value) -> Result<Value, GraphError> {
    let old = g.scale(old, beta)?;
    let new = g.scale(new, 1.0 - beta)?;
    g.add(old, new)
}

impl UpdateRule for Lion {
    fn name(&self) -> &str {
        "lion"
    }

    fn states(&self) -> Vec<StateKind> {
        vec![StateKind::zeros("exp_avg")]
    }

    fn update(&self, g: &mut Graph, leaves: GroupLeaves<'_>) -> Result<Updated, GraphError> {
        let average = leaves.state("exp_avg")?;
        let mixed = blend(g, self.beta1, average, leaves.gradient)?;
        let direction = g.sign(mixed)?;
        let change = g.mul(direction, leaves.lr)?;
        let parameter = g.sub(leaves.parameter, change)?;
        let average = blend(g, self.beta2, average, leaves.gradient)?;
        Ok(Updated { parameter, states: vec![average] })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let lion = Optimizer::new(Lion { beta1: 0.9, beta2: 0.99 }, 3e-4)?;
    let mut trainer = Trainer::builder(factory::mlp([1, 8, 8], &[64], 10))
        .config(TrainerConfig { epochs: 5, ..Default::default() })
        .optimizer(lion)
        .build()?;
    let history = trainer.fit(data.train, Some(data.validation), &mut [])?;
    for epoch in &history.epochs {
        let accuracy = epoch.validation.as_ref().and_then(|v| v.accuracy()).unwrap_or_default();
        println!("epoch {}: loss {:.4}, accuracy {accuracy:.4}", epoch.epoch, epoch.train.loss);
    }
    let last = history.last().and_then(|epoch| epoch.validation.as_ref()?.accuracy());
    assert!(last > Some(0.7));
    Ok(())
}
