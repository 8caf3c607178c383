//! A loss of one's own: a function from the output to the scalar to minimise, with the target as an
//! input of the graph.
//!
//! The focal loss (Lin et al., 2017, "Focal Loss for Dense Object Detection"), which cares less for
//! samples that are right already: `mean (1 - p)^2 (-log p)`, with `p` the probability of the label.

use onestep::prelude::*;

fn focal(g: &mut Graph, output: Value) -> Result<LossValues, LayerError> {
    let dims = g.shape(output).dims().to_vec();
    let (batch, classes) = (dims[0], dims[1]);
    let target = g.input("target", &[batch], DType::I32)?;
    // One where a column is the label's, else zero: compare each label with 0, 1, ..
    let labels = g.cast(target, DType::F32)?;
    let labels = g.reshape(labels, &[batch, 1])?;
    let columns: Vec<f32> = (0..classes).map(|class| class as f32).collect();
    let columns = g.constant_tensor(&[1, classes], &columns)?;
    let chosen = g.eq(labels, columns)?;
    // log p of the label
    let log_all = g.log_softmax(output, 1)?;
    let log_chosen = g.mul(log_all, chosen)?;
    let log_p = g.sum(log_chosen, &[1], false)?;
    // (1 - p)^2 (-log p)
    let p = g.exp(log_p)?;
    let miss = g.scale(p, -1.0)?;
    let miss = g.offset(miss, 1.0)?;
    let weight = g.square(miss)?;
    let each = g.mul(weight, log_p)?;
    let mean = g.mean_all(each)?;
    let prediction = g.argmax(output, 1)?;
    let loss = g.scale(mean, -1.0)?;
    LossValues::of_mean(g, target, loss, prediction)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = open("digits")?;
    let model = factory::mlp([1, 8, 8], &[64], 10);
    let config =
        TrainerConfig { epochs: 5, loss: CustomLoss::new(focal).into(), ..Default::default() };
    let mut trainer = Trainer::new(model, config)?;
    let history = trainer.fit(data.train, Some(data.validation.clone()), &mut [])?;
    for epoch in &history.epochs {
        println!("epoch {}: focal loss {:.4}", epoch.epoch, epoch.train.loss);
    }
    let accuracy = trainer.evaluate(data.validation)?.metrics.accuracy();
    println!("accuracy {accuracy:.4?}");
    assert!(accuracy > Some(0.8));
    Ok(())
}
