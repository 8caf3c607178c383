//! A U-Net finds the discs in pictures that have squares and noise too: a mask for each picture.
//!
//!     cargo run --release --example unet [SEED]

use std::sync::Arc;

use onestep::layers::presets;
use onestep::prelude::*;

const SIDE: usize = 32;

/// Pictures of a disc and a square in noise, with the mask of the disc.
fn drawn(count: usize, seed: u64) -> Result<Arc<dyn Dataset>, DataError> {
    let mut rng = SampleRng::new(seed, 0, 0);
    let (mut pictures, mut masks) = (Vec::new(), Vec::new());
    for _ in 0..count {
        // Middle and half the size of each.
        let mut place = || [6, 6].map(|least| least + rng.below(SIDE - 2 * least));
        let (disc, square) = (place(), place());
        let [disc_size, square_size] = [0, 1].map(|_| 3 + rng.below(4));
        for at in 0..SIDE * SIDE {
            let apart = |[y, x]: [usize; 2]| [(at / SIDE).abs_diff(y), (at % SIDE).abs_diff(x)];
            let [y, x] = apart(disc);
            let in_disc = y * y + x * x <= disc_size * disc_size;
            let in_square = apart(square).iter().all(|&distance| distance <= square_size);
            let ink = if in_disc || in_square { 0.5 } else { 0.0 };
            pictures.push(ink + 0.5 * rng.uniform());
            masks.push(f32::from(u8::from(in_disc)));
        }
    }
    let shape = Shape::from([1, SIDE, SIDE]);
    Ok(Arc::new(InMemory::regression("discs", shape.clone(), pictures, shape, masks)?))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed = std::env::args().nth(1).map_or(Ok(0), |seed| seed.parse())?;
    let model = presets::parse(&format!("unet:base=8,input=1x{SIDE}x{SIDE}"))?.compile()?;
    let config = TrainerConfig {
        loss: "bce_with_logits".parse()?,
        metrics: vec!["iou".parse()?],
        optimizer: r#"{"type": "adam", "lr": 0.003}"#.parse()?,
        schedule: "cosine".parse()?,
        batch_size: 8,
        epochs: 10,
        seed,
        ..Default::default()
    };
    let mut trainer = Trainer::new(model, config)?;
    let (train, validation) = (drawn(400, 2 * seed + 1)?, drawn(100, 2 * seed + 2)?);
    trainer.fit(train, None, &mut [])?;
    let measured = trainer.evaluate(validation)?.metrics;
    println!("{:.4} of disc and answer in common", measured.get("iou").unwrap_or(0.0));
    assert!(measured.get("iou") > Some(0.7));
    Ok(())
}
