"""Cases of convolution, pooling and their gradients: (name, op, function, operands).

A window has kernel, stride, dilation, and padding before and after, for height and width each.
"""

import torch
from torch.nn import functional as F

from .writer import normal, random, vjp

# name: (input [C, H, W], output channels, kernel, stride, padding low, padding high, dilation, groups)
CONVOLUTIONS = {
    "": ((2, 6, 5), 3, (3, 3), (1, 1), (0, 0), (0, 0), (1, 1), 1),
    "_padding": ((2, 6, 5), 3, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    "_padding_uneven": ((2, 6, 5), 3, (2, 4), (1, 1), (0, 1), (1, 2), (1, 1), 1),
    "_stride": ((2, 7, 8), 3, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1),
    "_stride_remainder": ((2, 8, 9), 3, (3, 2), (3, 2), (0, 1), (0, 1), (1, 1), 1),
    "_stride_beyond_kernel": ((2, 7, 8), 3, (2, 1), (3, 2), (0, 0), (0, 0), (1, 1), 1),
    "_dilation": ((2, 8, 9), 3, (3, 2), (1, 1), (1, 0), (1, 0), (2, 3), 1),
    "_dilation_stride": ((2, 9, 9), 3, (3, 3), (2, 2), (2, 2), (2, 2), (2, 2), 1),
    "_groups": ((4, 5, 5), 6, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 2),
    "_depthwise": ((3, 5, 5), 3, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 3),
    "_pointwise": ((3, 4, 5), 4, (1, 1), (1, 1), (0, 0), (0, 0), (1, 1), 1),
    "_one_row": ((3, 1, 12), 4, (1, 5), (1, 2), (0, 2), (0, 2), (1, 1), 1),  # a 1-D convolution
    "_whole": ((2, 4, 3), 5, (4, 3), (1, 1), (0, 0), (0, 0), (1, 1), 1),
    "_channels": ((17, 4, 4), 19, (3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
}
# name: (input [C, H, W], kernel, stride, padding low, padding high, dilation)
POOLS = {
    "": ((2, 6, 4), (2, 2), (2, 2), (0, 0), (0, 0), (1, 1)),
    "_remainder": ((2, 7, 5), (2, 2), (2, 2), (0, 0), (0, 0), (1, 1)),
    "_overlap": ((2, 7, 6), (3, 3), (2, 2), (1, 1), (1, 1), (1, 1)),
    "_dense": ((2, 5, 6), (3, 2), (1, 1), (1, 0), (1, 0), (1, 1)),
    "_padding_uneven": ((2, 7, 6), (3, 2), (2, 2), (0, 0), (1, 1), (1, 1)),
    "_dilation": ((2, 7, 8), (2, 2), (1, 2), (0, 0), (0, 0), (2, 3)),
    "_beyond_kernel": ((2, 8, 7), (2, 2), (3, 3), (0, 0), (0, 0), (1, 1)),
    "_whole": ((3, 5, 4), (5, 4), (5, 4), (0, 0), (0, 0), (1, 1)),
}
BATCH = 2


def all_cases():
    """Every windowed case."""
    for name, window in CONVOLUTIONS.items():
        yield from convolution(name, *window)
    for name, window in POOLS.items():
        yield from pool(name, *window)


def pad(x, low, high, value=0.0):
    """Padding of height and width."""
    return F.pad(x, (low[1], high[1], low[0], high[0]), value=value)


def convolution(name, shape, out, kernel, stride, low, high, dilation, groups):
    def forward(x, w):
        return F.conv2d(pad(x, low, high), w, None, stride, 0, dilation, groups)

    rng = random(f"ops/conv{name}")
    x = normal(rng, BATCH, *shape)
    w = normal(rng, out, shape[0] // groups, *kernel, scale=0.5)
    grad = normal(rng, *forward(x, w).shape)
    yield f"conv{name}", "conv", forward, [x, w]
    yield (
        f"conv_input_grad{name}",
        "conv_input_grad",
        lambda g, w: vjp(lambda a: forward(a, w), torch.zeros_like(x, dtype=g.dtype), g),
        [grad, w],
    )
    yield (
        f"conv_weight_grad{name}",
        "conv_weight_grad",
        lambda x, g: vjp(lambda a: forward(x, a), torch.zeros_like(w, dtype=g.dtype), g),
        [x, grad],
    )


def pool(name, shape, kernel, stride, low, high, dilation):
    def largest(x):
        # -1e30 stands for minus infinity, whose product with a zero cotangent is not a number.
        return F.max_pool2d(pad(x, low, high, -1e30), kernel, stride, 0, dilation)

    def total(x):
        channels = x.shape[1]
        ones = torch.ones(channels, 1, *kernel, dtype=x.dtype)
        return F.conv2d(pad(x, low, high), ones, None, stride, 0, dilation, channels)

    rng = random(f"ops/pool{name}")
    x = normal(rng, BATCH, *shape)
    grad = normal(rng, *total(x).shape)
    yield f"max_pool{name}", "max_pool", largest, [x]
    yield f"max_pool_grad{name}", "max_pool_grad", lambda x, g: vjp(largest, x, g), [x, grad]
    yield f"sum_pool{name}", "sum_pool", total, [x]
    yield (
        f"sum_pool_grad{name}",
        "sum_pool_grad",
        lambda g: vjp(total, torch.zeros_like(x, dtype=g.dtype), g),
        [grad],
    )
