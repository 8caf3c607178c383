//! The networks, under the names of the file.

use anyhow::{Result, bail};
use candle_core::{Device, Module, ModuleT, Tensor, Var};
use candle_nn::{BatchNorm, Conv2d, Conv2dConfig, Linear, Sequential, seq};
use peer_worker::Tensors;

/// Builds layers from a file and keeps their parameters for the optimizer.
pub(crate) struct Builder {
    file: Tensors,
    variables: Vec<Var>,
}

impl Builder {
    pub(crate) fn new(file: Tensors) -> Builder {
        Builder { file, variables: Vec::new() }
    }

    pub(crate) fn variables(self) -> Vec<Var> {
        self.variables
    }

    pub(crate) fn network(&mut self, workload: &str) -> Result<Sequential> {
        match workload {
            "seed_cnn_sgd" | "seed_cnn_adam" => self.seed_cnn(),
            "mlp_mnist" => self.mlp_mnist(),
            "seed_custom" => self.seed_custom(),
            "cifar_cnn" => self.cifar_cnn(),
            "resnet18_b32" => self.resnet18(),
            _ => bail!("candle's worker has no workload {workload}"),
        }
    }

    fn seed_cnn(&mut self) -> Result<Sequential> {
        Ok(seq()
            .add(self.conv("conv1", 1, 1, true)?)
            .add_fn(Tensor::relu)
            .add_fn(global_average)
            .add(self.dense("fc")?))
    }

    fn mlp_mnist(&mut self) -> Result<Sequential> {
        Ok(seq()
            .add(self.dense("fc1")?)
            .add_fn(Tensor::relu)
            .add(self.dense("fc2")?)
            .add_fn(Tensor::relu)
            .add(self.dense("fc3")?))
    }

    fn seed_custom(&mut self) -> Result<Sequential> {
        Ok(seq()
            .add(self.conv("conv1", 1, 2, true)?)
            .add_fn(Tensor::relu)
            .add(self.conv("conv2", 2, 1, true)?)
            .add_fn(Tensor::relu)
            .add_fn(flatten)
            .add(self.dense("fc1")?)
            .add_fn(Tensor::relu)
            .add(self.dense("fc2")?))
    }

    fn cifar_cnn(&mut self) -> Result<Sequential> {
        Ok(seq()
            .add(self.conv("conv1", 1, 1, true)?)
            .add_fn(Tensor::relu)
            .add_fn(max_pool)
            .add(self.conv("conv2", 1, 1, true)?)
            .add_fn(Tensor::relu)
            .add_fn(max_pool)
            .add_fn(flatten)
            .add(self.dense("fc1")?)
            .add_fn(Tensor::relu)
            .add(self.dense("fc2")?))
    }

    fn resnet18(&mut self) -> Result<Sequential> {
        let mut network = seq()
            .add(self.conv("conv1", 1, 1, false)?)
            .add(self.batch_norm("bn1")?)
            .add_fn(Tensor::relu);
        for stage in 1..=4 {
            for block in 0..2 {
                let stride = if stage > 1 && block == 0 { 2 } else { 1 };
                network = network.add(self.basic_block(&format!("layer{stage}_{block}"), stride)?);
            }
        }
        Ok(network.add_fn(global_average).add(self.dense("fc")?))
    }

    /// Two 3x3 convolutions beside a shortcut, which is a convolution where the stride is 2.
    fn basic_block(&mut self, name: &str, stride: usize) -> Result<BasicBlock> {
        let body = seq()
            .add(self.conv(&format!("{name}.body.conv1"), stride, 1, false)?)
            .add(self.batch_norm(&format!("{name}.body.bn1"))?)
            .add_fn(Tensor::relu)
            .add(self.conv(&format!("{name}.body.conv2"), 1, 1, false)?)
            .add(self.batch_norm(&format!("{name}.body.bn2"))?);
        let mut shortcut = seq();
        if stride != 1 {
            shortcut = shortcut
                .add(self.conv(&format!("{name}.shortcut.conv"), stride, 0, false)?)
                .add(self.batch_norm(&format!("{name}.shortcut.bn"))?);
        }
        Ok(BasicBlock { body, shortcut })
    }

    fn conv(&mut self, name: &str, stride: usize, padding: usize, bias: bool) -> Result<Conv2d> {
        let config = Conv2dConfig { stride, padding, ..Conv2dConfig::default() };
        let weight = self.parameter(&format!("{name}.weight"))?;
        let bias = if bias { Some(self.parameter(&format!("{name}.bias"))?) } else { None };
        Ok(Conv2d::new(weight, bias, config))
    }

    fn dense(&mut self, name: &str) -> Result<Linear> {
        let (shape, values) = self.file.read::<f32>(&format!("{name}.weight"))?;
        // [in, out] in the file, [out, in] here.
        let weight = Tensor::from_vec(values, shape, &Device::Cpu)?.t()?.contiguous()?;
        let weight = self.variable(&weight)?;
        let bias = self.parameter(&format!("{name}.bias"))?;
        Ok(Linear::new(weight, Some(bias)))
    }

    fn batch_norm(&mut self, name: &str) -> Result<TrainingNorm> {
        let weight = self.parameter(&format!("{name}.weight"))?;
        let bias = self.parameter(&format!("{name}.bias"))?;
        let (mean, variance) = (weight.zeros_like()?, weight.ones_like()?);
        let features = weight.elem_count();
        Ok(TrainingNorm(BatchNorm::new(features, mean, variance, weight, bias, 1e-5)?))
    }

    fn parameter(&mut self, name: &str) -> Result<Tensor> {
        let (shape, values) = self.file.read::<f32>(name)?;
        self.variable(&Tensor::from_vec(values, shape, &Device::Cpu)?)
    }

    fn variable(&mut self, value: &Tensor) -> Result<Tensor> {
        let variable = Var::from_tensor(value)?;
        self.variables.push(variable.clone());
        Ok(variable.as_tensor().clone())
    }
}

/// Batch normalisation as it is while training.
struct TrainingNorm(BatchNorm);

impl Module for TrainingNorm {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.0.forward_t(x, true)
    }
}

struct BasicBlock {
    body: Sequential,
    shortcut: Sequential,
}

impl Module for BasicBlock {
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        (self.body.forward(x)? + self.shortcut.forward(x)?)?.relu()
    }
}

/// [n, c, h, w] to [n, c].
fn global_average(x: &Tensor) -> candle_core::Result<Tensor> {
    x.mean((2, 3))
}

fn flatten(x: &Tensor) -> candle_core::Result<Tensor> {
    x.flatten_from(1)
}

/// candle's own gradient of it is a quarter of the true one, since it spreads a maximum's share over
/// its window by a mean. Adam does not depend on the scale of a gradient, but for its epsilon, so
/// that losses agree still.
fn max_pool(x: &Tensor) -> candle_core::Result<Tensor> {
    x.max_pool2d(2)
}
