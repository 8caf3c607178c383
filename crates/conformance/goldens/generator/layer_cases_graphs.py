"""Cases of layers that hold others, take several values, or use the weights of others."""

import torch


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
