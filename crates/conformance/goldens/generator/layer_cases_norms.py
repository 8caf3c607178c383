"""Cases of normalisations."""

import torch

from .writer import normal, random


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
