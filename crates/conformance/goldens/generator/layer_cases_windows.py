"""Cases of windows over sequences and volumes, and of the options of batch normalisation."""


def window_cases():
    yield from convolutions()
    yield from transposed()
    yield from pools()
    yield from adaptive()
    yield from columns()
    yield from batch_norms()
    yield from divided()


def named(kind, name, shape, options=None, **fields):
    return f"{kind}{name}", {"type": kind, "name": "layer"} | fields, shape, options or {}


def convolutions():
    def conv(kind, name, shape, kernel=3, out=4, **fields):
        return named(kind, name, shape, out_channels=out, kernel_size=kernel, **fields)

    yield conv("conv1d", "", [2, 7])
    yield conv("conv1d", "_stride_padding", [3, 9], stride=2, padding=1)
    yield conv("conv1d", "_dilation_groups", [4, 9], dilation=2, groups=2, bias=False)
    yield conv("conv1d", "_same", [2, 6], 4, padding="same")
    yield conv("conv1d", "_wide", [17, 30], 5, out=9, padding="valid")
    yield conv("conv3d", "", [2, 4, 5, 4])
    yield conv("conv3d", "_stride_padding", [2, 5, 6, 4], stride=2, padding=1)
    yield conv("conv3d", "_rectangular", [2, 5, 4, 6], [1, 2, 3], stride=[1, 2, 3], padding=[0, 1, 2])
    yield conv("conv3d", "_dilation_groups", [4, 6, 5, 5], 2, dilation=[3, 2, 1], groups=2, bias=False)
    yield conv("conv3d", "_same", [1, 3, 4, 2], [2, 3, 4], padding="same")
    yield conv("conv3d", "_depth_stride", [2, 8, 2, 2], [2, 1, 1], stride=[3, 1, 1])
    for mode in ("reflect", "replicate", "circular"):
        yield conv("conv1d", f"_{mode}", [2, 6], padding=2, padding_mode=mode)
        yield conv("conv2d", f"_{mode}", [2, 4, 5], padding=[1, 2], padding_mode=mode, stride=2)
        yield conv("conv3d", f"_{mode}", [1, 3, 3, 4], padding=[1, 1, 2], padding_mode=mode)
    yield conv("conv2d", "_reflect_same", [2, 4, 5], [2, 3], padding="same", padding_mode="reflect")
    yield conv("conv3d", "_circular_same", [1, 3, 4, 4], [2, 3, 4], padding="same", padding_mode="circular")


def transposed():
    def conv(kind, name, shape, kernel=3, out=4, **fields):
        return named(kind, name, shape, out_channels=out, kernel_size=kernel, **fields)

    yield conv("conv_transpose1d", "", [2, 5])
    yield conv("conv_transpose1d", "_padding", [2, 5], stride=3, padding=1, output_padding=2)
    yield conv("conv_transpose1d", "_groups", [4, 5], dilation=2, groups=2, bias=False)
    yield conv("conv_transpose3d", "", [2, 3, 2, 3])
    yield conv("conv_transpose3d", "_stride", [2, 2, 3, 2], 2, stride=2)
    yield conv("conv_transpose3d", "_padding", [2, 3, 3, 2], stride=2, padding=1, output_padding=1)
    yield conv(
        "conv_transpose3d",
        "_rectangular",
        [2, 2, 3, 2],
        [2, 1, 3],
        stride=[3, 1, 2],
        padding=[1, 0, 1],
        output_padding=[2, 0, 1],
    )
    yield conv("conv_transpose3d", "_groups", [4, 3, 2, 2], 2, dilation=[2, 1, 2], groups=2, bias=False)


def pools():
    def pool(kind, name, shape, kernel=2, **fields):
        return named(kind, name, shape, kernel_size=kernel, **fields)

    for kind in ("max", "avg"):
        yield pool(f"{kind}_pool1d", "", [2, 7])
        yield pool(f"{kind}_pool1d", "_padding", [2, 8], 3, stride=2, padding=1)
        yield pool(f"{kind}_pool1d", "_ceil", [2, 8], 3, stride=2, padding=1, ceil_mode=True)
        yield pool(f"{kind}_pool3d", "", [2, 4, 5, 4])
        yield pool(f"{kind}_pool3d", "_padding", [1, 5, 6, 4], 3, stride=2, padding=1)
        yield pool(f"{kind}_pool3d", "_ceil", [1, 6, 5, 4], [3, 2, 1], stride=2, padding=[1, 1, 0], ceil_mode=True)
    yield pool("max_pool1d", "_dilation", [2, 9], 3, stride=1, dilation=2)
    yield pool("max_pool3d", "_dilation", [1, 5, 5, 4], 2, stride=1, dilation=[3, 2, 1])
    excluded = {"padding": 1, "count_include_pad": False}
    yield pool("avg_pool1d", "_excluded", [2, 7], 3, stride=2, **excluded)
    yield pool("avg_pool3d", "_excluded", [1, 5, 4, 4], 3, stride=2, ceil_mode=True, **excluded)
    yield pool("avg_pool3d", "_whole", [2, 3, 2, 2], [3, 2, 2])


def divided():
    yield named("avg_pool2d", "_divisor", [2, 5, 4], kernel_size=3, stride=2, padding=1, divisor_override=5)
    yield named("avg_pool3d", "_divisor", [2, 3, 2, 2], kernel_size=[3, 2, 2], divisor_override=7)


def adaptive():
    for kind in ("avg", "max"):
        for axes, shape in {1: [2, 7], 2: [2, 5, 7], 3: [1, 5, 4, 7]}.items():
            if (kind, axes) == ("avg", 2):
                continue
            layer = f"adaptive_{kind}_pool{axes}d"
            yield named(layer, "", shape, output_size=[3, 2, 4][:axes] if axes > 1 else 3)
            yield named(layer, "_one", shape, output_size=1)
            even = [2 * n for n in shape[1:]]
            yield named(layer, "_even", [2, *even], output_size=shape[1:] if axes > 1 else shape[1])
            larger = [n + 2 for n in shape[1:]]
            yield named(layer, "_larger", shape, output_size=larger if axes > 1 else larger[0])


def columns():
    unfold = {"kernel_size": [2, 3]}
    moves = {"stride": [2, 1], "padding": [1, 2], "dilation": [1, 2]}
    yield named("unfold", "", [2, 4, 5], **unfold)
    yield named("unfold", "_moves", [2, 5, 6], **unfold, **moves)
    yield named("fold", "", [12, 9], output_size=[4, 5], **unfold)
    yield named("fold", "_moves", [12, 18], output_size=[5, 6], **unfold, **moves)


def batch_norms():
    for mode in ("train", "eval"):
        options = {"mode": mode, "batch": 4}
        yield named("batch_norm", f"_cumulative_{mode}", [3], options, momentum=None)
        yield named("batch_norm", f"_cumulative2d_{mode}", [3, 2, 4], options, momentum=None)
        yield named("batch_norm", f"_untracked_{mode}", [3, 5], options, track_running_stats=False)
        yield named("batch_norm", f"3d_{mode}", [2, 3, 2, 2], options)
