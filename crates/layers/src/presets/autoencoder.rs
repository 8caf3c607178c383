//! Autoencoders.

use crate::builder::ModelBuilder;
use crate::input::INPUT;
use crate::layer::{Conv2d, ConvTranspose2d, Slice};
use crate::loss::{LossSpec, LossTerm, Mse};
use crate::spec::ModelSpec;

/// The numbers of a code.
const CODE: usize = 32;

/// A convolutional autoencoder (Masci et al., "Stacked Convolutional Auto-Encoders", 2011), with strides in place
/// of pools: `[c, h, w]` from 0 to 1 to itself by way of `code`, with the mean squared error against the input.
/// What the data says of its samples is not asked for.
pub(super) fn conv_autoencoder(input: &[usize], _: usize) -> ModelSpec {
    let [channels, height, width] = [0, 1, 2].map(|axis| input.get(axis).copied().unwrap_or(1));
    let small = [height, width].map(|size| size.div_ceil(4));
    let down =
        |channels| Conv2d { stride: 2.into(), padding: 1.into(), ..Conv2d::new(channels, 3) };
    let up = |channels| ConvTranspose2d {
        stride: 2.into(),
        padding: 1.into(),
        output_padding: 1.into(),
        ..ConvTranspose2d::new(channels, 3)
    };
    let mut model = ModelBuilder::new(input)
        .layer(down(16).named("down1"))
        .relu("relu1")
        .layer(down(32).named("down2"))
        .relu("relu2")
        .flatten("flat")
        .dense(CODE, true, "code")
        .dense(32 * small[0] * small[1], true, "grow")
        .relu("relu3")
        .reshape([32, small[0] as i64, small[1] as i64], "shape")
        .layer(up(16).named("up1"))
        .relu("relu4")
        .layer(up(channels).named("up2"));
    // Sides that are no multiples of 4 come out larger.
    for (dim, size) in (2..).zip([height, width]) {
        if !size.is_multiple_of(4) {
            let cut = Slice::new(dim, 0, Some(size as isize));
            model = model.layer(cut.named(&format!("cut{dim}")));
        }
    }
    let against_itself =
        LossTerm { target: INPUT.to_owned(), ..LossSpec::from(Mse::default()).into() };
    model.sigmoid("picture").loss(against_itself).spec()
}
