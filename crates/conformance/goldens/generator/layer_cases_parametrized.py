"""Cases of weights that are made of what is learned."""


def cases():
    dense = {"type": "dense", "name": "layer", "out_features": 4}
    conv = {"type": "conv2d", "name": "layer", "out_channels": 4, "kernel_size": 3}
    line = {"type": "conv1d", "name": "layer", "out_channels": 3, "kernel_size": 2}
    volume = {"type": "conv3d", "name": "layer", "out_channels": 2, "kernel_size": 2}
    up = {"type": "conv_transpose2d", "name": "layer", "out_channels": 6, "kernel_size": 2, "groups": 2}
    layers = {
        "dense": (dense, [5]),
        "conv1d": (line, [2, 5]),
        "conv2d": (conv | {"groups": 2}, [4, 5, 4]),
        "conv3d": (volume, [2, 3, 2, 3]),
        "conv_transpose2d": (up, [4, 3, 2]),
    }
    for kind, (layer, shape) in layers.items():
        for norm in ("weight_norm",):
            named = layer | {"parametrization": norm}
            yield f"{norm}_{kind}", named, shape, {}
    for kind in ("dense", "conv2d", "conv_transpose2d"):
        layer, shape = layers[kind]
        by = {"weight_norm": {"dim": 1}}
        yield f"weight_norm_{kind}_dim", layer | {"parametrization": by}, shape, {}
        by = {"weight_norm": {"dim": None}}
        yield f"weight_norm_{kind}_whole", layer | {"parametrization": by}, shape, {}
        yield f"drop_connect_{kind}_eval", layer | {"parametrization": "drop_connect"}, shape, {"mode": "eval"}
        by = {"drop_connect": {"p": 0.0}}
        yield f"drop_connect_{kind}_nothing", layer | {"parametrization": by}, shape, {}
