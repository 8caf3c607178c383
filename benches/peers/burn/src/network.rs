//! The networks, under the names of the file.

use anyhow::{Result, bail};
use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};
use peer_worker::Tensors;

/// Layers on pictures, then dense layers with a ReLU between each two.
#[derive(Module, Debug)]
pub(crate) struct Network {
    features: Vec<Stage>,
    head: Vec<Linear>,
}

impl Network {
    /// Logits of pictures.
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<2> {
        let features = run(&self.features, input);
        let mut x: Tensor<2> = features.flatten(1, 3);
        for (i, dense) in self.head.iter().enumerate() {
            x = dense.forward(if i > 0 { relu(x) } else { x });
        }
        x
    }
}

#[derive(Module, Debug)]
enum Stage {
    Conv(Conv2d),
    Norm(BatchNorm),
    Relu(Relu),
    MaxPool(MaxPool2d),
    Average(AdaptiveAvgPool2d),
    Block(BasicBlock),
}

impl Stage {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Stage::Conv(layer) => layer.forward(x),
            Stage::Norm(layer) => layer.forward(x),
            Stage::Relu(layer) => layer.forward(x),
            Stage::MaxPool(layer) => layer.forward(x),
            Stage::Average(layer) => layer.forward(x),
            Stage::Block(block) => block.forward(x),
        }
    }
}

fn run(stages: &[Stage], input: Tensor<4>) -> Tensor<4> {
    stages.iter().fold(input, |x, stage| stage.forward(x))
}

/// Two 3x3 convolutions beside a shortcut.
#[derive(Module, Debug)]
struct BasicBlock {
    body: Vec<Stage>,
    shortcut: Vec<Stage>,
}

impl BasicBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        relu(run(&self.body, x.clone()) + run(&self.shortcut, x))
    }
}

/// Builds layers from a file.
pub(crate) struct Builder {
    file: Tensors,
    device: Device,
}

impl Builder {
    pub(crate) fn new(file: Tensors, device: Device) -> Builder {
        Builder { file, device }
    }

    pub(crate) fn network(&mut self, workload: &str) -> Result<Network> {
        let (features, head): (_, &[&str]) = match workload {
            "seed_cnn_sgd" | "seed_cnn_adam" => (self.seed_cnn()?, &["fc"]),
            "mlp_mnist" => (Vec::new(), &["fc1", "fc2", "fc3"]),
            "seed_custom" => (self.seed_custom()?, &["fc1", "fc2"]),
            "cifar_cnn" => (self.cifar_cnn()?, &["fc1", "fc2"]),
            "resnet18_b32" => (self.resnet18()?, &["fc"]),
            _ => bail!("burn's worker has no workload {workload}"),
        };
        let head = head.iter().map(|name| self.dense(name)).collect::<Result<_>>()?;
        Ok(Network { features, head })
    }

    fn seed_cnn(&mut self) -> Result<Vec<Stage>> {
        Ok(vec![self.conv("conv1", 1, 1, true)?, Stage::Relu(Relu::new()), average()])
    }

    fn seed_custom(&mut self) -> Result<Vec<Stage>> {
        Ok(vec![
            self.conv("conv1", 1, 2, true)?,
            Stage::Relu(Relu::new()),
            self.conv("conv2", 2, 1, true)?,
            Stage::Relu(Relu::new()),
        ])
    }

    fn cifar_cnn(&mut self) -> Result<Vec<Stage>> {
        let pool = || Stage::MaxPool(MaxPool2dConfig::new([2, 2]).init());
        Ok(vec![
            self.conv("conv1", 1, 1, true)?,
            Stage::Relu(Relu::new()),
            pool(),
            self.conv("conv2", 1, 1, true)?,
            Stage::Relu(Relu::new()),
            pool(),
        ])
    }

    fn resnet18(&mut self) -> Result<Vec<Stage>> {
        let mut stages = vec![
            self.conv("conv1", 1, 1, false)?,
            self.batch_norm("bn1")?,
            Stage::Relu(Relu::new()),
        ];
        for stage in 1..=4 {
            for block in 0..2 {
                let stride = if stage > 1 && block == 0 { 2 } else { 1 };
                let name = format!("layer{stage}_{block}");
                stages.push(Stage::Block(self.basic_block(&name, stride)?));
            }
        }
        stages.push(average());
        Ok(stages)
    }

    fn basic_block(&mut self, name: &str, stride: usize) -> Result<BasicBlock> {
        let body = vec![
            self.conv(&format!("{name}.body.conv1"), stride, 1, false)?,
            self.batch_norm(&format!("{name}.body.bn1"))?,
            Stage::Relu(Relu::new()),
            self.conv(&format!("{name}.body.conv2"), 1, 1, false)?,
            self.batch_norm(&format!("{name}.body.bn2"))?,
        ];
        let mut shortcut = Vec::new();
        if stride != 1 {
            shortcut.push(self.conv(&format!("{name}.shortcut.conv"), stride, 0, false)?);
            shortcut.push(self.batch_norm(&format!("{name}.shortcut.bn"))?);
        }
        Ok(BasicBlock { body, shortcut })
    }

    fn conv(&mut self, name: &str, stride: usize, padding: usize, bias: bool) -> Result<Stage> {
        let weight = self.parameter::<4>(&format!("{name}.weight"))?;
        let [outputs, inputs, height, width] = weight.dims();
        let p = padding;
        let mut conv = Conv2dConfig::new([inputs, outputs], [height, width])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(p, p, p, p))
            .with_bias(bias)
            .init(&self.device);
        conv.weight = weight;
        if bias {
            conv.bias = Some(self.parameter(&format!("{name}.bias"))?);
        }
        Ok(Stage::Conv(conv))
    }

    fn dense(&mut self, name: &str) -> Result<Linear> {
        let weight = self.parameter::<2>(&format!("{name}.weight"))?;
        let [inputs, outputs] = weight.dims();
        let mut dense = LinearConfig::new(inputs, outputs).init(&self.device);
        dense.weight = weight;
        dense.bias = Some(self.parameter(&format!("{name}.bias"))?);
        Ok(dense)
    }

    fn batch_norm(&mut self, name: &str) -> Result<Stage> {
        let gamma = self.parameter::<1>(&format!("{name}.weight"))?;
        let [features] = gamma.dims();
        let mut norm = BatchNormConfig::new(features).init(&self.device);
        norm.gamma = gamma;
        norm.beta = self.parameter(&format!("{name}.bias"))?;
        Ok(Stage::Norm(norm))
    }

    fn parameter<const D: usize>(&mut self, name: &str) -> Result<Param<Tensor<D>>> {
        let (shape, values) = self.file.read::<f32>(name)?;
        Ok(Param::from_data(TensorData::new(values, shape), &self.device))
    }
}

fn average() -> Stage {
    Stage::Average(AdaptiveAvgPool2dConfig::new([1, 1]).init())
}
