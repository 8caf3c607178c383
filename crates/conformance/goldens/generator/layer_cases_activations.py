"""Cases of activations, gates and softmaxes."""

import torch

# Where activations are hard: kinks, both zeros, tails, saturation.
EDGES = [0.0, -0.0, 1e-8, -1e-8, 0.5, -0.5, 3.0, -3.0, 9.0, -9.0, 30.0, -30.0, 88.0, -88.0, 120.0, -120.0]
# Beyond all tails, and where digits of the exponential units are lost.
INFINITE = [torch.inf, -torch.inf, 1e15, -1e15, -6.5, -25.0]


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
