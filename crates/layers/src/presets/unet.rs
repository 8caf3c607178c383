//! U-Net.

use crate::builder::{Branch, ModelBuilder};
use crate::layer::{Concat, Conv2d, ConvTranspose2d};
use crate::spec::ModelSpec;

/// How often the picture is halved.
const LEVELS: usize = 4;

/// U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015), with
/// padded convolutions, batch normalisation and `base` channels at the top, twice as many a level further
/// down: `[c, h, w]`, both sides multiples of 16, to scores `[classes, h, w]`.
pub(super) fn unet(input: &[usize], classes: usize, base: usize) -> ModelSpec {
    let channels = |level: usize| base << level;
    let mut model = ModelBuilder::new(input);
    for level in 0..LEVELS {
        model = model
            .block(|block| twice(block, channels(level)), &format!("down{level}"))
            .max_pool2d(2, &format!("pool{level}"));
    }
    model = model.block(|block| twice(block, channels(LEVELS)), "bottom");
    for level in (0..LEVELS).rev() {
        let [down, up, join] = ["down", "up", "join"].map(|part| format!("{part}{level}"));
        let larger =
            ConvTranspose2d { stride: 2.into(), ..ConvTranspose2d::new(channels(level), 2) };
        model = model
            .layer(larger.named(&up))
            .layer(Concat::inputs().named(&join))
            .taking([down, up])
            .block(|block| twice(block, channels(level)), &format!("decoder{level}"));
    }
    model.conv2d(classes, 1, 1, 0, true, "head").spec()
}

/// Two convolutions, each normalised and rectified.
fn twice(mut block: Branch, channels: usize) -> Branch {
    for number in 1..=2 {
        let conv = Conv2d { padding: 1.into(), bias: false, ..Conv2d::new(channels, 3) };
        block = block
            .layer(conv.named(&format!("conv{number}")))
            .batch_norm(&format!("bn{number}"))
            .relu(&format!("relu{number}"));
    }
    block
}
