"""PyTorch's convolutions, pools and batch normalisations in one to three dimensions."""

from torch import nn

from .parametrized import parametrized

MOVES = ("stride", "padding", "dilation")


def size(value):
    """An integer, a word, or a size for each axis."""
    return value if isinstance(value, (int, str, bool)) else tuple(value)


def given(layer, *names):
    """The options that the layer has; PyTorch's defaults are ours."""
    return {name: size(layer[name]) for name in names if name in layer}


def moves(layer):
    """How a window moves."""
    return {"kernel_size": size(layer["kernel_size"])} | given(layer, *MOVES)


def conv(kind):
    def build(layer, shape):
        options = given(layer, "padding_mode", "groups", "bias")
        return kind(shape[0], layer["out_channels"], **moves(layer), **options)

    return parametrized(build)


def conv_transpose(kind):
    def build(layer, shape):
        options = given(layer, "output_padding", "groups", "bias")
        return kind(shape[0], layer["out_channels"], **moves(layer), **options)

    return parametrized(build)


def max_pool(kind):
    return lambda layer, _: kind(**moves(layer), **given(layer, "ceil_mode"))


def avg_pool(kind):
    names = ("ceil_mode", "count_include_pad", "divisor_override")
    return lambda layer, _: kind(**moves(layer), **given(layer, *names))


def adaptive(kind):
    return lambda layer, _: kind(size(layer["output_size"]))


def batch_norm(layer, shape):
    kinds = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d, 4: nn.BatchNorm3d}
    names = ("eps", "momentum", "affine", "track_running_stats")
    return kinds[len(shape)](shape[0], **{k: layer[k] for k in names if k in layer})
