//! candle's worker of the comparison: its CPU backend without a vendor's library, its own layers
//! and optimizers, and what these lack in its own ops.

mod network;

use anyhow::{Result, bail};
use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Module, Optimizer, ParamsAdamW, SGD, Sequential, loss};
use peer_worker::{INPUT, Job, TARGET, Tensors, Trainer, serve};

use crate::network::Builder;

fn main() -> Result<()> {
    let job = Job::from_arguments()?;
    serve("candle 0.11.1", &mut Worker::load(&job)?)
}

struct Worker {
    network: Sequential,
    optimizer: Rule,
    input: Tensor,
    target: Tensor,
}

impl Worker {
    fn load(job: &Job) -> Result<Worker> {
        let mut file = Tensors::open(&job.file)?;
        let (shape, values) = file.read::<f32>(INPUT)?;
        let input = Tensor::from_vec(values, shape, &Device::Cpu)?;
        let (shape, labels) = file.read::<i32>(TARGET)?;
        let labels = labels.into_iter().map(u32::try_from).collect::<Result<Vec<_>, _>>()?;
        let target = Tensor::from_vec(labels, shape, &Device::Cpu)?;
        let mut builder = Builder::new(file);
        let network = builder.network(&job.workload)?;
        let optimizer = Rule::of(&job.workload, builder.variables())?;
        Ok(Worker { network, optimizer, input, target })
    }
}

impl Trainer for Worker {
    type Loss = Tensor;

    fn step(&mut self) -> Result<Tensor> {
        let logits = self.network.forward(&self.input)?;
        let loss = loss::cross_entropy(&logits, &self.target)?;
        self.optimizer.step(&loss.backward()?)?;
        Ok(loss)
    }

    fn loss(&mut self, loss: Tensor) -> Result<f32> {
        Ok(loss.to_scalar()?)
    }
}

/// How the parameters are updated.
enum Rule {
    Sgd(SGD),
    /// candle has no Adam; AdamW without decay of the weights is the same.
    Adam(AdamW),
    Momentum(Momentum),
}

impl Rule {
    fn of(workload: &str, variables: Vec<Var>) -> Result<Rule> {
        let adam = ParamsAdamW { lr: 1e-3, weight_decay: 0.0, ..ParamsAdamW::default() };
        Ok(match workload {
            "seed_cnn_sgd" => Rule::Sgd(SGD::new(variables, 0.01)?),
            "resnet18_b32" => Rule::Momentum(Momentum::new(variables, 0.05, 0.9)),
            "seed_cnn_adam" | "mlp_mnist" | "seed_custom" | "cifar_cnn" => {
                Rule::Adam(AdamW::new(variables, adam)?)
            }
            _ => bail!("candle's worker has no workload {workload}"),
        })
    }

    fn step(&mut self, gradients: &GradStore) -> candle_core::Result<()> {
        match self {
            Rule::Sgd(rule) => rule.step(gradients),
            Rule::Adam(rule) => rule.step(gradients),
            Rule::Momentum(rule) => rule.step(gradients),
        }
    }
}

/// SGD with momentum as PyTorch defines it: v = m v + g, p = p - lr v. candle has none.
struct Momentum {
    variables: Vec<Var>,
    velocities: Vec<Option<Tensor>>,
    lr: f64,
    momentum: f64,
}

impl Momentum {
    fn new(variables: Vec<Var>, lr: f64, momentum: f64) -> Momentum {
        let velocities = vec![None; variables.len()];
        Momentum { variables, velocities, lr, momentum }
    }

    fn step(&mut self, gradients: &GradStore) -> candle_core::Result<()> {
        for (variable, velocity) in self.variables.iter().zip(&mut self.velocities) {
            let Some(gradient) = gradients.get(variable) else { continue };
            let next = match velocity.take() {
                Some(last) => ((last * self.momentum)? + gradient)?,
                None => gradient.clone(),
            };
            variable.set(&(variable.as_tensor() - (&next * self.lr)?)?)?;
            *velocity = Some(next.detach());
        }
        Ok(())
    }
}
