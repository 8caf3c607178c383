//! One or more cases of every layer, for tests that go over all of them.

use onestep_layers::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d, AdaptiveMaxPool1d, AdaptiveMaxPool2d,
    AdaptiveMaxPool3d, AlphaDropout, AvgPool1d, AvgPool2d, AvgPool3d, BagMode, BatchNorm, Block,
    Celu, ChannelShuffle, Concat, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d,
    ConvTranspose3d, Dense, DropConnect, DropMode, Dropout, Dropout1d, Dropout2d, Dropout3d, Elu,
    Embedding, EmbeddingBag, FeatureAlphaDropout, Flatten, Fold, Formula, Geglu, Gelu, GeluForm,
    GlobalAvgPool2d, Glu, GroupNorm, Hardshrink, Hardsigmoid, Hardswish, Hardtanh, InstanceNorm,
    LayerNorm, LayerSpec, LeakyRelu, LocalResponseNorm, LogSigmoid, LogSoftmax, Lora, MaxPool1d,
    MaxPool2d, MaxPool3d, Mean, Mish, Multiply, Pad, PadMode, Padding, PaddingMode, Pair,
    Parametrization, Permute, PixelShuffle, PixelUnshuffle, Prelu, QuickGelu, Relu, Relu6, Repeat,
    Reshape, Residual, RmsNorm, Rrelu, ScaledDotProductAttention, Select, Selu, Sigmoid, Silu,
    Slice, Softmax, Softmin, Softplus, Softshrink, Softsign, Split, SquaredRelu, StochasticDepth,
    Sum, Swiglu, Tanh, Tanhshrink, Threshold, Unfold, Upsample, UpsampleMode, WeightNorm,
};

/// A layer, the shape of a sample that it gets, and of the sample that it gives.
pub(crate) type Case = (LayerSpec, &'static [usize], &'static [usize]);

pub(super) fn case(
    layer: impl Into<LayerSpec>,
    input: &'static [usize],
    output: &'static [usize],
) -> Case {
    (layer.into(), input, output)
}

/// All cases. Inputs are f32 but for `embedding`.
pub(crate) fn all() -> Vec<Case> {
    [
        windows(),
        lines_and_volumes(),
        more_norms(),
        products_and_norms(),
        other_norms(),
        activations(),
        gates_and_noise(),
        resampling(),
        movement(),
        containers(),
        parametrized(),
        super::transformers::all(),
        super::own_cells::all(),
    ]
    .concat()
}

fn windows() -> Vec<Case> {
    let (two, three) = (Pair::from(2), Pair::from(3));
    let conv = Conv2d::new(4, 3);
    let same = Padding::Same;
    let max = MaxPool2d { stride: Some(two), ..MaxPool2d::new(3) };
    let avg = AvgPool2d { stride: Some(two), padding: 1.into(), ..AvgPool2d::new(3) };
    vec![
        case(conv.clone(), &[2, 5, 6], &[4, 3, 4]),
        case(Conv2d { padding: 1.into(), stride: two, ..conv.clone() }, &[2, 5, 6], &[4, 3, 3]),
        case(Conv2d { dilation: [1, 2].into(), ..conv.clone() }, &[2, 4, 6], &[4, 2, 2]),
        case(Conv2d { groups: 2, bias: false, ..conv.clone() }, &[2, 4, 4], &[4, 2, 2]),
        case(Conv2d { padding: same, ..Conv2d::new(2, [2, 4]) }, &[1, 3, 4], &[2, 3, 4]),
        case(Conv2d { padding: Padding::Valid, ..conv }, &[1, 3, 3], &[4, 1, 1]),
        case(MaxPool2d::new(2), &[2, 5, 4], &[2, 2, 2]),
        case(MaxPool2d { padding: 1.into(), ..max.clone() }, &[1, 5, 4], &[1, 3, 2]),
        case(MaxPool2d { ceil_mode: true, ..max.clone() }, &[1, 6, 4], &[1, 3, 2]),
        case(MaxPool2d { dilation: [2, 1].into(), ..max }, &[1, 5, 5], &[1, 1, 2]),
        case(AvgPool2d::new([2, 3]), &[2, 4, 6], &[2, 2, 2]),
        case(avg.clone(), &[1, 5, 4], &[1, 3, 2]),
        case(AvgPool2d { count_include_pad: false, ..avg.clone() }, &[1, 5, 4], &[1, 3, 2]),
        case(AvgPool2d { ceil_mode: true, ..avg }, &[1, 4, 6], &[1, 3, 4]),
        // The fourth window would begin in the padding behind the last row: it is dropped.
        case(
            AvgPool2d {
                stride: Some(three),
                padding: 1.into(),
                ceil_mode: true,
                ..AvgPool2d::new(2)
            },
            &[1, 5, 6],
            &[1, 2, 3],
        ),
        case(AdaptiveAvgPool2d::new(1), &[2, 4, 3], &[2, 1, 1]),
        case(AdaptiveAvgPool2d::new([2, 3]), &[1, 4, 6], &[1, 2, 3]),
        case(AdaptiveAvgPool2d::new([3, 2]), &[2, 5, 3], &[2, 3, 2]),
        case(AdaptiveAvgPool2d::new(4), &[1, 3, 4], &[1, 4, 4]),
        case(AdaptiveAvgPool2d::new(2), &[1, 2, 2], &[1, 2, 2]),
        case(GlobalAvgPool2d::default(), &[2, 3, 4], &[2, 1, 1]),
    ]
}

/// Weights that are made of what is learned.
fn parametrized() -> Vec<Case> {
    let normed = |dim| Some(Parametrization::WeightNorm(WeightNorm { dim }));
    let dropped = Some(Parametrization::DropConnect(DropConnect { p: 0.4 }));
    let up = ConvTranspose1d::new(2, 3);
    vec![
        case(Dense { parametrization: normed(Some(0)), ..Dense::new(3) }, &[4], &[3]),
        case(Dense { parametrization: normed(Some(1)), ..Dense::new(3) }, &[2, 4], &[2, 3]),
        case(Conv2d { parametrization: normed(None), ..Conv2d::new(2, 2) }, &[2, 3, 3], &[2, 2, 2]),
        case(ConvTranspose1d { parametrization: normed(Some(0)), ..up }, &[3, 2], &[2, 4]),
        case(Dense { parametrization: dropped, ..Dense::new(3) }, &[4], &[3]),
        case(Conv1d { parametrization: dropped, ..Conv1d::new(2, 2) }, &[2, 4], &[2, 3]),
    ]
}

fn lines_and_volumes() -> Vec<Case> {
    let (line, volume) = (Conv1d::new(4, 3), Conv3d::new(2, 2));
    let up = ConvTranspose3d { stride: 2.into(), ..ConvTranspose3d::new(2, [2, 3, 1]) };
    let reflect = PaddingMode::Reflect;
    let up_line = ConvTranspose1d {
        stride: 2.into(),
        output_padding: 1.into(),
        ..ConvTranspose1d::new(2, 3)
    };
    let max = MaxPool3d { padding: [1, 0, 1].into(), ..MaxPool3d::new(2) };
    let avg = AvgPool3d { stride: Some(1.into()), ..AvgPool3d::new([2, 1, 2]) };
    let windows = Unfold { stride: [2, 1].into(), padding: 1.into(), ..Unfold::new([2, 3]) };
    let fold = Fold { stride: [2, 1].into(), padding: 1.into(), ..Fold::new([3, 3], [2, 3]) };
    vec![
        case(line.clone(), &[2, 5], &[4, 3]),
        case(
            Conv1d { stride: 2.into(), dilation: 2.into(), groups: 2, ..line.clone() },
            &[2, 8],
            &[4, 2],
        ),
        case(Conv1d { padding: 2.into(), padding_mode: reflect, ..line.clone() }, &[1, 4], &[4, 6]),
        case(Conv1d { padding: Padding::Same, ..line }, &[1, 4], &[4, 4]),
        case(
            Conv2d { padding: Padding::Same, padding_mode: reflect, ..Conv2d::new(2, 3) },
            &[1, 3, 3],
            &[2, 3, 3],
        ),
        case(volume.clone(), &[1, 3, 2, 3], &[2, 2, 1, 2]),
        case(
            Conv3d { stride: [2, 1, 1].into(), padding: 1.into(), ..volume.clone() },
            &[1, 3, 2, 1],
            &[2, 2, 3, 2],
        ),
        case(
            Conv3d { dilation: [2, 1, 1].into(), groups: 2, ..volume },
            &[2, 3, 2, 2],
            &[2, 1, 1, 1],
        ),
        case(up_line, &[2, 3], &[2, 8]),
        case(up.clone(), &[1, 2, 2, 2], &[2, 4, 5, 3]),
        case(
            ConvTranspose3d { padding: [1, 1, 0].into(), groups: 2, ..up },
            &[2, 2, 2, 2],
            &[2, 2, 3, 3],
        ),
        case(MaxPool1d::new(2), &[2, 5], &[2, 2]),
        case(max, &[1, 2, 4, 2], &[1, 2, 2, 2]),
        case(AvgPool1d { padding: 1.into(), ..AvgPool1d::new(2) }, &[2, 4], &[2, 3]),
        case(
            AvgPool3d { padding: [1, 0, 1].into(), count_include_pad: false, ..avg },
            &[1, 2, 2, 2],
            &[1, 3, 2, 3],
        ),
        case(AdaptiveAvgPool1d::new(3), &[2, 5], &[2, 3]),
        case(AdaptiveAvgPool3d::new([2, 1, 2]), &[1, 3, 2, 3], &[1, 2, 1, 2]),
        case(AdaptiveMaxPool1d::new(2), &[2, 5], &[2, 2]),
        case(AdaptiveMaxPool2d::new([2, 3]), &[1, 3, 4], &[1, 2, 3]),
        case(AdaptiveMaxPool3d::new([2, 1, 2]), &[1, 3, 2, 3], &[1, 2, 1, 2]),
        case(windows, &[2, 3, 3], &[12, 6]),
        case(fold, &[12, 6], &[2, 3, 3]),
    ]
}

fn more_norms() -> Vec<Case> {
    let volume: &[usize] = &[2, 1, 2, 2];
    vec![
        case(BatchNorm { momentum: None, ..BatchNorm::new() }, &[3], &[3]),
        case(BatchNorm { track_running_stats: false, ..BatchNorm::new() }, &[3, 2], &[3, 2]),
        case(BatchNorm::new(), volume, volume),
    ]
}

fn products_and_norms() -> Vec<Case> {
    vec![
        case(Dense::new(3), &[4], &[3]),
        case(Dense { bias: false, ..Dense::new(3) }, &[4], &[3]),
        case(Dense::new(3), &[2, 4], &[2, 3]),
        case(Dense { lora: Some(Lora::new(2, 3.0)), ..Dense::new(3) }, &[2, 4], &[2, 3]),
        case(BatchNorm::new(), &[3], &[3]),
        case(BatchNorm::new(), &[3, 4], &[3, 4]),
        case(BatchNorm { affine: false, ..BatchNorm::new() }, &[2, 2, 3], &[2, 2, 3]),
        case(
            BatchNorm { momentum: Some(0.7), eps: 0.1, ..BatchNorm::new() },
            &[2, 2, 2],
            &[2, 2, 2],
        ),
        case(LayerNorm::new(), &[5], &[5]),
        case(LayerNorm::over([3, 4]), &[2, 3, 4], &[2, 3, 4]),
        case(LayerNorm { affine: false, ..LayerNorm::new() }, &[2, 4], &[2, 4]),
        case(Embedding::new(7, 3), &[4], &[4, 3]),
        case(EmbeddingBag::new(7, 3), &[4], &[3]),
        case(EmbeddingBag { mode: BagMode::Sum, ..EmbeddingBag::new(7, 3) }, &[2, 4], &[2, 3]),
        case(ScaledDotProductAttention::new(), &[2, 3, 4], &[2, 3, 4]),
        case(ScaledDotProductAttention { is_causal: true, ..Default::default() }, &[3, 2], &[3, 2]),
    ]
}

fn activations() -> Vec<Case> {
    let (input, output): (&[usize], &[usize]) = (&[2, 3], &[2, 3]);
    let layers: Vec<LayerSpec> = vec![
        Dropout::new(0.4).into(),
        Relu::default().into(),
        Relu6::default().into(),
        LeakyRelu::new(0.2).into(),
        Sum::weighted([-0.5]).into(),
        Multiply::default().into(),
        Elu::new(0.7).into(),
        Prelu::new(1).into(),
        Prelu::new(2).into(),
        Sigmoid::default().into(),
        Tanh::default().into(),
        Silu::default().into(),
        Gelu::default().into(),
        Gelu::new(GeluForm::Tanh).into(),
        Softmax::new(-1).into(),
        Softmax::new(1).into(),
        LogSoftmax::new(-1).into(),
        LogSoftmax::new(1).into(),
        Hardtanh::new(-0.5, 0.8).into(),
        Hardsigmoid::default().into(),
        Hardswish::default().into(),
        Celu::new(0.7).into(),
        Selu::default().into(),
        Rrelu::new(0.1, 0.5).into(),
        LogSigmoid::default().into(),
        Softplus::new(2.0, 1.5).into(),
        Softsign::default().into(),
        Softshrink::new(0.3).into(),
        Hardshrink::new(0.3).into(),
        Tanhshrink::default().into(),
        Threshold::new(-0.5, 2.0).into(),
        Mish::default().into(),
        SquaredRelu::default().into(),
        QuickGelu::default().into(),
        Formula::new("x * tanh(softplus(x)) + where(x > 0.3, x^2, exp(-x)/3)").into(),
        Formula::new("1.5").into(),
        Softmin::new(1).into(),
    ];
    layers.into_iter().map(|layer| (layer, input, output)).collect()
}

fn other_norms() -> Vec<Case> {
    let tracked =
        InstanceNorm { affine: true, track_running_stats: true, ..InstanceNorm::default() };
    let response = LocalResponseNorm { alpha: 0.5, ..LocalResponseNorm::new(3) };
    vec![
        case(GroupNorm::new(2), &[4, 3], &[4, 3]),
        case(GroupNorm { affine: false, eps: 0.1, ..GroupNorm::new(1) }, &[2, 2, 2], &[2, 2, 2]),
        case(InstanceNorm::new(), &[2, 3], &[2, 3]),
        case(tracked, &[2, 2, 2], &[2, 2, 2]),
        case(InstanceNorm::new(), &[2, 2, 1, 2], &[2, 2, 1, 2]),
        case(RmsNorm::new(), &[5], &[5]),
        case(RmsNorm { eps: Some(0.1), ..RmsNorm::over([3, 4]) }, &[2, 3, 4], &[2, 3, 4]),
        case(RmsNorm { affine: false, ..RmsNorm::new() }, &[2, 4], &[2, 4]),
        case(response.clone(), &[4, 2], &[4, 2]),
        case(LocalResponseNorm { size: 4, ..response }, &[3, 2, 2], &[3, 2, 2]),
    ]
}

fn gates_and_noise() -> Vec<Case> {
    let batch = StochasticDepth { mode: DropMode::Batch, ..StochasticDepth::new(0.4) };
    vec![
        case(Glu::new(-1), &[2, 4], &[2, 2]),
        case(Swiglu::new(1), &[4, 3], &[2, 3]),
        case(Geglu::new(-1), &[6], &[3]),
        case(Dropout1d::new(0.4), &[3, 2], &[3, 2]),
        case(Dropout2d::new(0.4), &[3, 2, 2], &[3, 2, 2]),
        case(Dropout3d::new(0.4), &[3, 1, 2, 2], &[3, 1, 2, 2]),
        case(AlphaDropout::new(0.4), &[2, 3], &[2, 3]),
        case(FeatureAlphaDropout::new(0.4), &[2, 3], &[2, 3]),
        case(StochasticDepth::new(0.4), &[2, 3], &[2, 3]),
        case(batch, &[2, 3], &[2, 3]),
    ]
}

fn resampling() -> Vec<Case> {
    let up = ConvTranspose2d { stride: 2.into(), padding: 1.into(), ..ConvTranspose2d::new(4, 3) };
    let pad = |mode| Pad { mode, ..Pad::new([[1, 1], [0, 1]]) };
    let upsample = |mode| Upsample { mode, ..Upsample::new(2.0) };
    let corners =
        Upsample { mode: UpsampleMode::Bicubic, align_corners: true, ..Upsample::to([3, 4]) };
    vec![
        case(ConvTranspose2d::new(2, [1, 2]), &[1, 2, 3], &[2, 2, 4]),
        case(
            ConvTranspose2d { output_padding: 1.into(), groups: 2, ..up.clone() },
            &[2, 2, 2],
            &[4, 4, 4],
        ),
        case(ConvTranspose2d { dilation: 2.into(), bias: false, ..up }, &[2, 2, 2], &[4, 5, 5]),
        case(pad(PadMode::Constant), &[2, 2, 2], &[2, 4, 3]),
        case(pad(PadMode::Reflect), &[2, 2, 2], &[2, 4, 3]),
        case(pad(PadMode::Replicate), &[2, 2, 2], &[2, 4, 3]),
        case(pad(PadMode::Circular), &[2, 2, 2], &[2, 4, 3]),
        case(PixelShuffle::new(2), &[4, 2, 1], &[1, 4, 2]),
        case(PixelUnshuffle::new(2), &[1, 4, 2], &[4, 2, 1]),
        case(ChannelShuffle::new(2), &[4, 3], &[4, 3]),
        case(upsample(UpsampleMode::Nearest), &[1, 3], &[1, 6]),
        case(upsample(UpsampleMode::Linear), &[2, 3], &[2, 6]),
        case(upsample(UpsampleMode::Bilinear), &[1, 2, 3], &[1, 4, 6]),
        case(upsample(UpsampleMode::Trilinear), &[1, 2, 2, 1], &[1, 4, 4, 2]),
        case(upsample(UpsampleMode::Bicubic), &[1, 2, 2], &[1, 4, 4]),
        case(corners, &[1, 2, 3], &[1, 3, 4]),
    ]
}

fn movement() -> Vec<Case> {
    vec![
        case(Flatten::default(), &[2, 3, 4], &[24]),
        case(Flatten::new(2), &[2, 3, 4], &[2, 12]),
        case(Reshape::new([4, 3]), &[2, 6], &[4, 3]),
        case(Reshape::new([2, -1, 2]), &[12], &[2, 3, 2]),
        case(Permute::new([0, 3, 1, 2]), &[2, 3, 4], &[4, 2, 3]),
        case(Slice::new(1, 1, None), &[3, 2], &[2, 2]),
        case(Slice::new(-1, -3, Some(-1)), &[2, 4], &[2, 2]),
        case(Split::new([3]), &[3, 2], &[3, 2]),
        case(Select::new(1, 0), &[3, 2], &[2]),
        case(Select::new(-1, -1), &[3, 2], &[3]),
        case(Mean::new([1]), &[2, 3], &[3]),
        case(Mean { keepdim: true, ..Mean::new([-1, 2]) }, &[2, 3, 4], &[2, 1, 1]),
    ]
}

fn containers() -> Vec<Case> {
    let conv = |channels: usize| LayerSpec::from(Conv2d::new(channels, 1));
    let body = vec![Dense::new(3).into(), Tanh::default().into()];
    vec![
        case(Residual::new(body), &[3], &[3]),
        case(Block::new([Dense::new(3).into(), Tanh::default().into()]), &[4], &[3]),
        case(Repeat::new(2, [Dense::new(3).into(), Tanh::default().into()]), &[4], &[3]),
        case(Residual::new([conv(2)]).with_shortcut([conv(2)]), &[1, 2, 2], &[2, 2, 2]),
        case(Concat::new([vec![conv(2)], vec![], vec![conv(1)]]), &[1, 2, 2], &[4, 2, 2]),
        case(Concat::new([vec![], vec![]]).along(-1), &[1, 2, 2], &[1, 2, 4]),
    ]
}
