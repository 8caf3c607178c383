//! A loop of one's own: each step is a call with numbers that are at hand. The learning rate is set,
//! gradients and what a layer gives are read by name, and gradients of several batches make one step.
//!
//!     cargo run --release --example own_loop

use onestep::prelude::*;

/// 32 points and their products.
fn batch(step: usize) -> (Vec<f32>, Vec<f32>) {
    let at = |i: usize| ((step * 37 + i * 19) % 101) as f32 / 50.0 - 1.0;
    let points: Vec<f32> = (0..64).map(at).collect();
    let products = points.chunks(2).map(|pair| pair[0] * pair[1]).collect();
    (points, products)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = ModelBuilder::new([2]).dense(16, true, "fc1").tanh("hidden").dense(1, true, "fc2");
    let config = TrainerConfig {
        loss: "mse".parse()?,
        optimizer: "adam".parse::<OptimizerSpec>()?.with_lr(0.02),
        accumulate: 2,
        keep_gradients: true,        // for `gradient`; costs memory
        read: vec!["hidden".into()], // for `value`
        ..TrainerConfig::default()
    };
    let mut trainer = Trainer::new(model.build()?, config)?;
    let mut last = f32::INFINITY;
    for step in 0..400 {
        if step == 300 {
            trainer.set_learning_rate(0.005)?; // from this step on; nothing is compiled anew
        }
        let (points, products) = batch(2 * step);
        trainer.accumulate_batch(&points, &products)?; // counts for the next step
        let (points, products) = batch(2 * step + 1);
        last = trainer.train_batch(&points, &products)?.loss;
        let norm = trainer.gradient("fc1.weight")?.iter().map(|g| g * g).sum::<f32>().sqrt();
        if step % 100 == 0 {
            println!("step {step}: loss {last:.4}, gradient of fc1 {norm:.4}");
        }
    }
    let hidden = trainer.value("hidden")?;
    assert!(hidden.len() == 32 * 16 && hidden.iter().all(|x| x.abs() <= 1.0));
    assert!(last < 0.05, "{last}");

    // Parameters are read and written by name.
    let zeros = vec![0.0; trainer.parameter("fc2.weight")?.len()];
    trainer.set_parameter("fc2.weight", &zeros)?;
    let bias = trainer.parameter("fc2.bias")?;
    assert_eq!(trainer.predict(&[0.3, -0.8])?.values, bias);
    Ok(())
}
