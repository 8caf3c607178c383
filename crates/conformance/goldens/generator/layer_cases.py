"""The table of layer cases: (name, layer or layers, input shape of a sample, options)."""

import torch

from . import layer_cases_attention, layer_cases_transformers
from .layer_cases_windows import window_cases
from .writer import normal, random

# Where activations are hard: kinks, both zeros, tails, saturation.
EDGES = [0.0, -0.0, 1e-8, -1e-8, 0.5, -0.5, 3.0, -3.0, 9.0, -9.0, 30.0, -30.0, 88.0, -88.0, 120.0, -120.0]
# Beyond all tails, and where digits of the exponential units are lost.
INFINITE = [torch.inf, -torch.inf, 1e15, -1e15, -6.5, -25.0]


def all_cases():
    """Every case, in the order of the files."""
    yield from dense()
    yield from convolutions()
    yield from pools()
    yield from shapes()
    yield from transposed()
    yield from resampled()
    yield from norms()
    yield from activations()
    yield from softmaxes()
    yield from branches()
    yield from graphs()
    yield from window_cases()
    yield from layer_cases_transformers.cases()
    yield from layer_cases_attention.all_cases()


def dense():
    yield "dense", {"type": "dense", "name": "fc", "out_features": 4}, [5], {}
    yield "dense_no_bias", {"type": "dense", "out_features": 4, "bias": False}, [5], {}
    yield "dense_one", {"type": "dense", "name": "fc", "out_features": 1}, [1], {"batch": 1}
    yield "dense_wide", {"type": "dense", "name": "fc", "out_features": 17}, [33], {"batch": 9}
    yield "dense_rank3", {"type": "dense", "name": "fc", "out_features": 4}, [2, 5], {}
    lora = {"rank": 2, "alpha": 3}
    yield "dense_lora", {"type": "dense", "name": "fc", "out_features": 4, "lora": lora}, [2, 5], {}


def convolutions():
    def conv(name, shape, options=None, out=4, kernel=3, **fields):
        layer = {"type": "conv2d", "name": "conv1", "out_channels": out, "kernel_size": kernel}
        return f"conv2d{name}", layer | fields, shape, options or {}

    yield conv("", [2, 6, 5])
    yield conv("_padding", [2, 6, 5], padding=1)
    yield conv("_no_bias", [2, 6, 5], bias=False)
    yield conv("_stride", [2, 7, 8], stride=2)
    yield conv("_stride_padding", [2, 7, 8], stride=2, padding=1)
    yield conv("_stride_rectangular", [2, 7, 8], stride=[1, 3], padding=[2, 1])
    yield conv("_stride_beyond_kernel", [2, 7, 8], kernel=2, stride=3)
    yield conv("_dilation", [2, 8, 9], dilation=2)
    yield conv("_dilation_rectangular", [2, 8, 9], dilation=[2, 3], padding=[1, 2])
    yield conv("_same", [2, 6, 5], padding="same")
    yield conv("_same_even", [2, 6, 5], kernel=[2, 4], padding="same")
    yield conv("_same_dilation", [2, 6, 5], kernel=[3, 2], padding="same", dilation=[2, 3])
    yield conv("_valid", [2, 6, 5], padding="valid")
    yield conv("_even", [2, 6, 5], kernel=4, padding=1)
    yield conv("_rectangular", [2, 6, 5], kernel=[1, 3], padding=[0, 1])
    yield conv("_pointwise", [3, 4, 5], kernel=1)
    yield conv("_pointwise_stride", [3, 5, 6], kernel=1, stride=2)
    yield conv("_groups", [4, 6, 5], groups=2, padding=1)
    yield conv("_depthwise", [4, 6, 5], groups=4, padding=1)
    yield conv("_depthwise_multiplier", [3, 6, 5], out=6, groups=3, stride=2, padding=1)
    yield conv("_groups_dilation", [4, 8, 7], out=6, groups=2, dilation=2, stride=2, padding=2)
    yield conv("_whole_picture", [2, 4, 3], kernel=[4, 3])
    yield conv("_channels", [17, 4, 5], {"batch": 2}, out=19, padding=1)
    yield conv("_wide_picture", [1, 3, 40], {"batch": 2}, out=3, padding=1)
    yield conv("_batch_one", [3, 9, 9], {"batch": 1}, out=8, kernel=5, padding=2)


def transposed():
    def conv(name, shape, out=4, kernel=3, **fields):
        layer = {"type": "conv_transpose2d", "name": "up", "out_channels": out, "kernel_size": kernel}
        return f"conv_transpose2d{name}", layer | fields, shape, {}

    yield conv("", [2, 4, 3])
    yield conv("_stride", [2, 4, 3], kernel=2, stride=2)
    yield conv("_padding", [3, 4, 5], stride=2, padding=1, output_padding=1)
    yield conv("_rectangular", [2, 3, 4], kernel=[2, 3], stride=[1, 3], padding=[0, 1], output_padding=[0, 2])
    yield conv("_dilation", [2, 4, 3], dilation=[2, 1], bias=False)
    yield conv("_groups", [4, 3, 3], out=6, groups=2, stride=2)
    yield conv("_depthwise", [4, 3, 3], out=4, groups=4, padding=1)
    yield conv("_wide", [17, 4, 5], out=9, stride=2, padding=1, output_padding=1)


def resampled():
    """Borders, other sizes, and pixels that become channels."""
    for mode in ("constant", "reflect", "replicate", "circular"):
        layer = {"type": "pad", "mode": mode}
        yield f"pad_{mode}", layer | {"padding": [[1, 2], [2, 0]]}, [2, 4, 3], {}
        yield f"pad_{mode}_line", layer | {"padding": [[2, 3]]}, [2, 5], {}
        yield f"pad_{mode}_volume", layer | {"padding": [[1, 0], [0, 1], [1, 1]]}, [2, 2, 3, 2], {}
    yield "pad_value", {"type": "pad", "padding": [[1, 1]], "value": 2.5}, [3, 2], {}
    yield "pixel_shuffle", {"type": "pixel_shuffle", "upscale_factor": 2}, [8, 2, 3], {}
    yield "pixel_unshuffle", {"type": "pixel_unshuffle", "downscale_factor": 3}, [2, 6, 3], {}
    yield "channel_shuffle", {"type": "channel_shuffle", "groups": 3}, [6, 2, 2], {}
    up = {"type": "upsample"}
    for mode, shape in {"linear": [2, 5], "bilinear": [2, 3, 4], "trilinear": [1, 2, 3, 2]}.items():
        yield f"upsample_{mode}", up | {"scale_factor": 2.0, "mode": mode}, shape, {}
        corners = up | {"scale_factor": 2.0, "mode": mode, "align_corners": True}
        yield f"upsample_{mode}_corners", corners, shape, {}
    yield "upsample_nearest", up | {"scale_factor": 2.0}, [2, 3, 4], {}
    yield "upsample_nearest_line", up | {"size": [7]}, [2, 4], {}
    yield "upsample_nearest_volume", up | {"scale_factor": 2.0}, [1, 2, 2, 3], {}
    yield "upsample_nearest_factor", up | {"scale_factor": 1.7}, [2, 5, 4], {}
    yield "upsample_bilinear_size", up | {"size": [5, 2], "mode": "bilinear"}, [2, 3, 4], {}
    yield "upsample_bilinear_factor", up | {"scale_factor": 1.7, "mode": "bilinear"}, [2, 5, 4], {}
    yield "upsample_bilinear_one", up | {"size": [1, 3], "mode": "bilinear", "align_corners": True}, [2, 3, 1], {}
    yield "upsample_bicubic", up | {"scale_factor": 2.0, "mode": "bicubic"}, [2, 4, 3], {}
    yield "upsample_bicubic_size", up | {"size": [3, 7], "mode": "bicubic", "align_corners": True}, [2, 5, 4], {}


def pools():
    def pool(kind, name, shape, kernel=2, **fields):
        return f"{kind}_pool2d{name}", {"type": f"{kind}_pool2d", "kernel_size": kernel} | fields, shape, {}

    yield pool("max", "", [2, 6, 4])
    yield pool("max", "_remainder", [2, 7, 5])
    yield pool("max", "_overlap", [2, 7, 6], 3, stride=2, padding=1)
    yield pool("max", "_overlap_dense", [2, 5, 6], 3, stride=1, padding=1)
    yield pool("max", "_rectangular", [2, 6, 7], [3, 2], stride=[2, 3], padding=[1, 0])
    yield pool("max", "_dilation", [2, 7, 8], 2, stride=1, dilation=[2, 3])
    yield pool("max", "_ceil", [2, 7, 5], 2, ceil_mode=True)
    yield pool("max", "_ceil_padding", [2, 6, 8], 3, stride=2, padding=1, ceil_mode=True)
    # The last window would begin in the padding: it is dropped.
    yield pool("max", "_ceil_dropped", [1, 5, 6], 2, stride=3, padding=1, ceil_mode=True)
    yield pool("max", "_stride_beyond_kernel", [2, 8, 7], 2, stride=3)
    ties = torch.tensor([[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]).repeat(2, 1).reshape(1, 1, 4, 4)
    yield (
        "max_pool2d_ties",
        {"type": "max_pool2d", "kernel_size": 3, "stride": 1},
        [1, 4, 4],
        {"given": ties},
    )
    yield pool("avg", "", [2, 6, 4])
    yield pool("avg", "_remainder", [2, 7, 5])
    yield pool("avg", "_padding", [2, 7, 6], 3, stride=2, padding=1)
    yield pool("avg", "_padding_excluded", [2, 7, 6], 3, stride=2, padding=1, count_include_pad=False)
    yield pool("avg", "_rectangular", [2, 6, 7], [3, 2], stride=[2, 3], padding=[1, 0])
    yield pool("avg", "_ceil", [2, 7, 5], 2, ceil_mode=True)
    yield pool("avg", "_ceil_padding", [2, 6, 8], 3, stride=2, padding=1, ceil_mode=True)
    yield pool(
        "avg",
        "_ceil_padding_excluded",
        [2, 6, 8],
        3,
        stride=2,
        padding=1,
        ceil_mode=True,
        count_include_pad=False,
    )
    yield pool("avg", "_ceil_dropped", [1, 5, 6], 2, stride=3, padding=1, ceil_mode=True)
    # Windows larger than the padded picture that begin inside it.
    for kind in ("max", "avg"):
        yield pool(kind, "_ceil_beyond", [2, 1, 3], 2, ceil_mode=True)
        yield pool(kind, "_ceil_beyond_padding", [2, 1, 2], 5, stride=3, padding=1, ceil_mode=True)
    adaptive = {"type": "adaptive_avg_pool2d"}
    yield "adaptive_avg_pool2d_one", adaptive | {"output_size": 1}, [3, 5, 4], {}
    yield "adaptive_avg_pool2d_divisible", adaptive | {"output_size": [3, 2]}, [2, 6, 4], {}
    yield "adaptive_avg_pool2d_uneven", adaptive | {"output_size": [3, 4]}, [2, 7, 5], {}
    yield "adaptive_avg_pool2d_larger", adaptive | {"output_size": [5, 2]}, [2, 3, 3], {}
    # What is infinite or undefined stays in its windows.
    wild = normal(random("layers/wild"), 2, 2, 7, 5)
    wild[0, 0, 0, 0], wild[0, 1, 3, 2], wild[1, 0, 6, 4] = torch.inf, -torch.inf, torch.nan
    yield "adaptive_avg_pool2d_infinite", adaptive | {"output_size": [3, 4]}, [2, 7, 5], {"given": wild}
    yield "adaptive_avg_pool2d_same", adaptive | {"output_size": [4, 3]}, [2, 4, 3], {}
    yield "global_avg_pool2d", {"type": "global_avg_pool2d"}, [3, 5, 4], {}


def shapes():
    yield "flatten", {"type": "flatten"}, [2, 3, 4], {}
    yield "flatten_start_dim", {"type": "flatten", "start_dim": 2}, [2, 3, 4], {}
    yield "reshape", {"type": "reshape", "shape": [4, 3, 2]}, [2, 3, 4], {}
    embedding = {"type": "embedding", "name": "table", "num_embeddings": 5, "embedding_dim": 3}
    words = torch.tensor([[4, 0, 4], [1, 1, 2]])
    yield "embedding", embedding, [3], {"given": words}
    yield "embedding_column", embedding, [1], {"given": torch.tensor([[3], [0], [3]])}
    yield "reshape_inferred", {"type": "reshape", "shape": [-1, 6]}, [2, 3, 4], {}
    for kind, shape in {
        "dropout": [6],
        "dropout1d": [3, 4],
        "dropout2d": [3, 2, 2],
        "dropout3d": [2, 2, 1, 3],
        "alpha_dropout": [6],
        "feature_alpha_dropout": [3, 4],
        "stochastic_depth": [3, 2],
    }.items():
        yield f"{kind}_eval", {"type": kind, "p": 0.3}, shape, {"mode": "eval"}
        # Nothing of it is random.
        yield f"{kind}_nothing", {"type": kind, "p": 0.0}, shape, {}


def norms():
    for mode in ("train", "eval"):
        options = {"mode": mode}

        def norm(name, shape, batch=4, **fields):
            layer = {"type": "batch_norm", "name": "bn1"} | fields
            return f"batch_norm{name}_{mode}", layer, shape, options | {"batch": batch}

        yield norm("1d", [5])
        yield norm("1d_length", [3, 4])
        yield norm("2d", [3, 4, 5])
        yield norm("2d_batch_one", [3, 4, 5], batch=1)
        yield norm("2d_eps", [3, 4, 5], eps=0.1)
        yield norm("2d_momentum", [3, 4, 5], momentum=0.75)
        yield norm("2d_not_affine", [3, 4, 5], affine=False)
    # A large mean over a small spread: E[x^2] - E[x]^2 in f32 would lose all digits. All sums and
    # means are exact in f32, so that only the formula's error is left.
    spread = (1.0 + torch.arange(24, dtype=torch.float32)).reshape(4, 2, 3, 1) / 64
    far = 1000.0 + spread * torch.tensor([-1.0, 0.0, 1.0])
    yield (
        "batch_norm2d_far_mean",
        {"type": "batch_norm", "name": "bn1"},
        [2, 3, 3],
        {"given": far},
    )
    layer = {"type": "layer_norm", "name": "ln1"}
    yield "layer_norm", layer, [6], {}
    yield "layer_norm_last_dim", layer, [3, 6], {}
    yield "layer_norm_multi_dim", layer | {"normalized_shape": [4, 5]}, [3, 4, 5], {}
    yield "layer_norm_all_dims", layer | {"normalized_shape": [3, 4, 5]}, [3, 4, 5], {}
    yield "layer_norm_eps", layer | {"eps": 0.1}, [6], {}
    yield "layer_norm_not_affine", layer | {"affine": False}, [3, 6], {}
    yield "layer_norm_far_mean", layer, [2, 3, 3], {"given": far}
    yield from other_norms(far)


def other_norms(far):
    layer = {"type": "group_norm", "name": "gn", "num_groups": 2}
    yield "group_norm", layer, [4, 3, 2], {}
    yield "group_norm_features", layer, [6], {}
    yield "group_norm_channels", layer | {"num_groups": 4}, [4, 5], {}
    yield "group_norm_one", layer | {"num_groups": 1}, [3, 4, 2], {}
    yield "group_norm_volume", layer | {"eps": 0.1, "affine": False}, [4, 2, 3, 2], {}
    yield "group_norm_far_mean", layer | {"num_groups": 1}, [2, 3, 3], {"given": far}
    layer = {"type": "instance_norm", "name": "norm"}
    yield "instance_norm1d", layer, [3, 5], {}
    yield "instance_norm2d", layer | {"affine": True}, [3, 4, 2], {}
    yield "instance_norm3d", layer | {"eps": 0.1}, [2, 3, 2, 2], {}
    tracked = layer | {"track_running_stats": True, "affine": True, "momentum": 0.3}
    for mode in ("train", "eval"):
        yield f"instance_norm2d_{mode}", layer, [3, 4, 2], {"mode": mode}
        yield f"instance_norm2d_tracked_{mode}", tracked, [3, 4, 2], {"mode": mode}
        yield f"instance_norm1d_tracked_{mode}", tracked | {"affine": False}, [3, 5], {"mode": mode}
    layer = {"type": "rms_norm", "name": "norm"}
    yield "rms_norm", layer, [6], {}
    yield "rms_norm_last_dim", layer, [3, 6], {}
    yield "rms_norm_multi_dim", layer | {"normalized_shape": [4, 5]}, [3, 4, 5], {}
    yield "rms_norm_eps", layer | {"eps": 0.1, "affine": False}, [6], {}
    small = normal(random("layers/rms_norm_small"), 3, 6, scale=0.03)
    yield "rms_norm_small", layer, [6], {"given": small}
    layer = {"type": "local_response_norm", "size": 2}
    yield "local_response_norm", layer, [4, 3], {}
    yield "local_response_norm_odd", layer | {"size": 3, "alpha": 0.5, "beta": 0.6, "k": 2.0}, [5, 2, 3], {}
    yield "local_response_norm_wide", layer | {"size": 7, "alpha": 1.0}, [4, 2, 2, 2], {}


def activations():
    edges = torch.tensor(EDGES).reshape(2, 8)
    # The second sample without what makes sums infinite.
    infinite = torch.tensor([INFINITE, [-4.0 if abs(x) == torch.inf else x for x in INFINITE]])
    for name, layer in {
        "relu": {"type": "relu"},
        "relu6": {"type": "relu6"},
        "leaky_relu": {"type": "leaky_relu"},
        "leaky_relu_slope": {"type": "leaky_relu", "negative_slope": 0.3},
        "elu": {"type": "elu"},
        "elu_alpha": {"type": "elu", "alpha": 0.7},
        "prelu": {"type": "prelu", "name": "act"},
        "sigmoid": {"type": "sigmoid"},
        "tanh": {"type": "tanh"},
        "silu": {"type": "silu"},
        "gelu": {"type": "gelu"},
        "gelu_tanh": {"type": "gelu", "approximate": "tanh"},
        "hardtanh": {"type": "hardtanh"},
        "hardtanh_bounds": {"type": "hardtanh", "min_val": -0.5, "max_val": 3.0},
        "hardsigmoid": {"type": "hardsigmoid"},
        "hardswish": {"type": "hardswish"},
        "celu": {"type": "celu"},
        "celu_alpha": {"type": "celu", "alpha": 0.7},
        "selu": {"type": "selu"},
        "log_sigmoid": {"type": "log_sigmoid"},
        "softplus": {"type": "softplus"},
        "softplus_beta": {"type": "softplus", "beta": 2.5, "threshold": 3.0},
        "softsign": {"type": "softsign"},
        "softshrink": {"type": "softshrink"},
        "softshrink_lambd": {"type": "softshrink", "lambd": 3.0},
        "hardshrink": {"type": "hardshrink"},
        "hardshrink_lambd": {"type": "hardshrink", "lambd": 3.0},
        "tanhshrink": {"type": "tanhshrink"},
        "threshold": {"type": "threshold", "threshold": -0.5, "value": 2.0},
        "mish": {"type": "mish"},
        "squared_relu": {"type": "squared_relu"},
        "quick_gelu": {"type": "quick_gelu"},
    }.items():
        yield name, layer, [3, 7], {"scale": 2.0}
        yield f"{name}_edges", layer, [8], {"given": edges}
        # PyTorch's hardswish of -inf is NaN, from -inf times 0; its limit is 0.
        if not name.startswith(("gelu", "hardswish")):
            # A slope's gradient is a sum over what is below 0.
            given = infinite.clamp(min=-1e15) if name == "prelu" else infinite
            yield f"{name}_infinite", layer, [6], {"given": given}
    gate = "where(x > 0.5, x^2 / 3, x * tanh(softplus(-x))) - 1e-1"
    yield "formula", {"type": "formula", "y": gate}, [3, 7], {"scale": 2.0}
    several = [
        {"type": "dense", "name": "a", "out_features": 4},
        {"type": "formula", "inputs": ["input", "a"], "y": "max(x0, -x1) * sigmoid(x1 ^ 2)"},
    ]
    yield "formula_of_two", several, [4], {}
    for name in ("glu", "swiglu", "geglu"):
        yield name, {"type": name}, [3, 8], {"scale": 2.0}
        yield f"{name}_channels", {"type": name, "dim": 1}, [4, 3], {}
        yield f"{name}_edges", {"type": name}, [8], {"given": edges}
    yield "rrelu_eval", {"type": "rrelu"}, [3, 7], {"scale": 2.0, "mode": "eval"}
    yield "rrelu_bounds_eval", {"type": "rrelu", "lower": 0.1, "upper": 0.6}, [5], {"mode": "eval"}
    yield "rrelu_fixed", {"type": "rrelu", "lower": 0.3, "upper": 0.3}, [5], {}
    channels = {"type": "prelu", "name": "act", "num_parameters": 3}
    yield "prelu_channels", channels, [3, 4, 2], {}
    yield "prelu_features", channels, [3], {}


def softmaxes():
    far = torch.tensor([[1e4, 0.0, -1e4, 1e4], [-500.0, -501.0, -502.0, -500.5]])
    for kind in ("softmax", "log_softmax", "softmin"):
        yield kind, {"type": kind}, [5], {"scale": 3.0}
        yield f"{kind}_channels", {"type": kind, "dim": 1}, [4, 3, 2], {}
        yield f"{kind}_inner", {"type": kind, "dim": -2}, [4, 3, 2], {}
        yield f"{kind}_far", {"type": kind}, [4], {"given": far}


def branches():
    def conv(name, out, **fields):
        return {"type": "conv2d", "name": name, "out_channels": out, "kernel_size": 3, "padding": 1} | fields

    yield (
        "residual_identity",
        {"type": "residual", "name": "block1", "body": [conv("conv1", 3), {"type": "relu"}]},
        [3, 5, 4],
        {},
    )
    yield (
        "residual_shortcut",
        {
            "type": "residual",
            "name": "block1",
            "body": [conv("conv1", 4, stride=2), {"type": "batch_norm", "name": "bn1"}, {"type": "relu"}],
            "shortcut": [
                {
                    "type": "conv2d",
                    "name": "conv",
                    "out_channels": 4,
                    "kernel_size": 1,
                    "stride": 2,
                    "bias": False,
                }
            ],
        },
        [3, 6, 4],
        {},
    )
    yield (
        "residual_dense",
        {
            "type": "residual",
            "name": "r",
            "body": [
                {"type": "dense", "name": "up", "out_features": 8},
                {"type": "gelu"},
                {"type": "dense", "name": "down", "out_features": 5},
            ],
        },
        [5],
        {},
    )
    yield (
        "residual_nested",
        {
            "type": "residual",
            "name": "outer",
            "body": [
                {
                    "type": "residual",
                    "name": "inner",
                    "body": [{"type": "dense", "name": "fc", "out_features": 5}],
                },
                {"type": "tanh"},
            ],
        },
        [5],
        {},
    )
    yield (
        "concat",
        {
            "type": "concat",
            "name": "cat",
            "branches": [
                [conv("conv", 2)],
                [conv("conv", 3, kernel_size=1, padding=0), {"type": "relu"}],
                [],
            ],
        },
        [2, 4, 5],
        {},
    )
    yield (
        "concat_dim",
        {
            "type": "concat",
            "name": "cat",
            "dim": 3,
            "branches": [[conv("conv", 2)], [{"type": "max_pool2d", "kernel_size": [1, 2]}]],
        },
        [2, 4, 6],
        {},
    )
    # Names by default: dense1, relu1, dense2.
    yield (
        "default_names",
        [{"type": "dense", "out_features": 4}, {"type": "relu"}, {"type": "dense", "out_features": 2}],
        [3],
        {},
    )


def graphs():
    """Layers that take several values, name what they take, or use the weights of others."""
    at_six = torch.tensor([[6.0, 5.9999995, 6.0000005, 0.0, 7.0, -7.0]])
    yield "relu6_at_six", {"type": "relu6"}, [6], {"given": at_six}
    yield "mean", {"type": "mean", "dims": [2, 3]}, [3, 4, 5], {}
    yield "mean_keepdim", {"type": "mean", "dims": [-1], "keepdim": True}, [3, 4], {}
    yield "permute", {"type": "permute", "dims": [0, 3, 1, 2]}, [2, 3, 4], {}
    yield "slice", {"type": "slice", "start": 1, "end": -1}, [4, 3], {}
    yield "slice_last", {"type": "slice", "dim": -1, "start": -2}, [2, 5], {}
    yield "select", {"type": "select", "index": -1}, [4, 3], {}
    dense = {"type": "dense", "out_features": 4}
    squeeze = [
        {"type": "conv2d", "name": "conv", "out_channels": 4, "kernel_size": 3, "padding": 1},
        {"type": "mean", "name": "squeeze", "dims": [2, 3], "keepdim": True},
        {"type": "conv2d", "name": "excite", "out_channels": 4, "kernel_size": 1},
        {"type": "sigmoid", "name": "gate"},
        {"type": "multiply", "inputs": ["conv", "gate"]},
    ]
    yield "multiply_gate", squeeze, [2, 5, 4], {}
    parts = [
        {"type": "split", "name": "s", "sizes": [4, 2, 4]},
        dense | {"name": "a", "inputs": "s.0"},
        {"type": "sum", "name": "mix", "inputs": ["a", "s.2", "s.0"], "coefficients": [1, -0.5, 2]},
        {"type": "concat", "inputs": ["mix", "s.1", "a"]},
    ]
    yield "split_sum_concat", parts, [10], {}
    shared = [
        dense | {"name": "a"},
        {"type": "tanh", "name": "t"},
        dense | {"name": "b", "inputs": ["t"], "weights": "a"},
        {"type": "sum", "inputs": ["a", "b"]},
    ]
    yield "shared_weights", shared, [4], {}
    norm = {"type": "batch_norm"}
    statistics = [
        norm | {"name": "bn"},
        {"type": "tanh"},
        norm | {"name": "again", "weights": "bn"},
    ]
    yield "shared_statistics", statistics, [3], {"batch": 5}
    yield "block", {"type": "block", "name": "b", "body": [dense | {"name": "fc"}, {"type": "tanh"}]}, [4], {}
    block = {"type": "residual", "name": "b", "body": [dense | {"name": "fc"}, {"type": "tanh"}]}
    yield "repeat", {"type": "repeat", "name": "r", "times": 3, "body": [block]}, [4], {}
