//! burn's worker of the comparison: its pure-Rust CPU backend `flex`, its own layers, automatic
//! differentiation and optimizers.

mod network;

use anyhow::{Context, Result, bail, ensure};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use peer_worker::{INPUT, Job, TARGET, Tensors, Trainer, serve};

use crate::network::{Builder, Network};

fn main() -> Result<()> {
    let job = Job::from_arguments()?;
    serve("burn 0.22.1 flex", &mut Worker::load(&job)?)
}

struct Worker {
    /// Always there between steps; an update consumes it.
    network: Option<Network>,
    optimizer: ModuleOptimizer,
    lr: f64,
    loss: CrossEntropyLoss,
    input: Tensor<4>,
    target: Tensor<1, Int>,
}

impl Worker {
    fn load(job: &Job) -> Result<Worker> {
        let device = Device::flex().autodiff();
        let mut file = Tensors::open(&job.file)?;
        let (mut shape, values) = file.read::<f32>(INPUT)?;
        ensure!(shape.len() <= 4, "{INPUT}: unexpected shape {shape:?}");
        // A vector is a picture of one pixel, which the network flattens.
        shape.resize(4, 1);
        let input = Tensor::from_data(TensorData::new(values, shape), &device);
        let (shape, labels) = file.read::<i32>(TARGET)?;
        let target = Tensor::from_data(TensorData::new(labels, shape), &device);
        let network = Builder::new(file, device.clone()).network(&job.workload)?;
        let (optimizer, lr) = optimizer(&job.workload)?;
        let loss = CrossEntropyLossConfig::new().init(&device);
        Ok(Worker { network: Some(network), optimizer, lr, loss, input, target })
    }
}

impl Trainer for Worker {
    type Loss = Tensor<1>;

    fn step(&mut self) -> Result<Tensor<1>> {
        let network = self.network.take().context("an earlier step failed")?;
        let logits = network.forward(self.input.clone());
        let loss = self.loss.forward(logits, self.target.clone());
        let gradients = GradientsParams::from_grads(loss.backward(), &network);
        self.network = Some(self.optimizer.step(self.lr, network, gradients));
        Ok(loss.detach())
    }

    fn loss(&mut self, loss: Tensor<1>) -> Result<f32> {
        Ok(loss.try_into_scalar()?)
    }
}

/// The optimizer of a workload, with PyTorch's constants, and its learning rate.
fn optimizer(workload: &str) -> Result<(ModuleOptimizer, f64)> {
    Ok(match workload {
        "seed_cnn_sgd" => (SgdConfig::new().init(), 0.01),
        "resnet18_b32" => {
            let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
            (SgdConfig::new().with_momentum(Some(momentum)).init(), 0.05)
        }
        "seed_cnn_adam" | "mlp_mnist" | "seed_custom" | "cifar_cnn" => {
            (AdamConfig::new().with_epsilon(1e-8).init(), 1e-3)
        }
        _ => bail!("burn's worker has no workload {workload}"),
    })
}
