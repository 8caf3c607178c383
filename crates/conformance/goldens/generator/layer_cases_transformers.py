"""The cases of attention, transformers and positions: see `layer_cases`."""


def cases():
    yield from positions()
    yield from attention()
    yield from stacks()


def positions():
    learned = {"type": "learned_positions", "name": "p", "max_length": 5}
    yield "learned_positions", learned, [5, 4], {}
    yield "learned_positions_shorter", learned, [3, 4], {}
    yield "sinusoidal_positions", {"type": "sinusoidal_positions"}, [6, 8], {}
    yield "sinusoidal_positions_odd", {"type": "sinusoidal_positions", "base": 100.0}, [4, 5], {}
    yield "rotary", {"type": "rotary"}, [5, 8], {}
    yield "rotary_heads", {"type": "rotary", "base": 50.0}, [2, 5, 6], {}
    yield "rotary_interleaved", {"type": "rotary", "interleaved": True}, [2, 4, 6], {}
    yield "rotary_part", {"type": "rotary", "dims": 4}, [2, 4, 7], {}
    yield "class_token", {"type": "class_token", "name": "t"}, [3, 4], {}
    patches = {"type": "patch_embedding", "name": "p", "embed_dim": 5, "patch_size": 2}
    yield "patch_embedding", patches, [3, 4, 6], {}
    odd = patches | {"patch_size": [2, 3], "bias": False}
    yield "patch_embedding_remainder", odd, [2, 5, 7], {}


def padding(layer, *inputs):
    """The layer behind what makes a mask of its input's first features."""
    return [
        {"type": "select", "name": "first", "dim": 2, "index": 0},
        {"type": "formula", "name": "padding", "y": "where(x > 0.4, 1, 0)"},
        layer | {"inputs": [*inputs, "padding"]},
    ]


def memory(layer, *others, out=8):
    """The layer behind a memory of another length."""
    return [
        {"type": "slice", "name": "part", "start": 1},
        {"type": "dense", "name": "memory", "out_features": out},
        layer | {"inputs": ["input", "memory", *others]},
    ]


def attention():
    heads = {"type": "multi_head_attention", "name": "a", "num_heads": 2}
    yield "multi_head_attention", heads, [5, 8], {}
    yield "multi_head_attention_no_bias", heads | {"bias": False}, [5, 8], {}
    yield "multi_head_attention_causal", heads | {"causal": True}, [5, 8], {}
    yield "multi_head_attention_eval", heads | {"dropout": 0.3}, [5, 8], {"mode": "eval"}
    yield "multi_head_attention_long", heads | {"num_heads": 1, "causal": True}, [37, 6], {"batch": 2}
    yield "multi_head_attention_padding", padding(heads | {"key_padding": "mask"}, "input"), [5, 8], {}
    yield "multi_head_attention_cross", memory(heads), [5, 8], {}
    yield "multi_head_attention_sizes", memory(heads, out=6), [5, 8], {}
    three = memory(heads, "part", out=6)
    yield "multi_head_attention_three", three, [5, 8], {}
    yield "multi_head_attention_grouped", heads | {"num_heads": 4, "kv_heads": 2}, [5, 8], {}
    yield "multi_head_attention_rotary", heads | {"rotary": {"base": 100.0}, "causal": True}, [5, 8], {}
    yield "multi_head_attention_alibi", heads | {"alibi": True, "causal": True}, [5, 8], {}


def stacks():
    layer = {"nhead": 2, "dim_feedforward": 12, "dropout": 0.0}
    first = layer | {"norm_first": True, "activation": "gelu", "layer_norm_eps": 0.01}
    for kind, wired in (("encoder", lambda layer: layer), ("decoder", memory)):
        one = {"type": f"transformer_{kind}_layer", "name": "t"}
        yield f"transformer_{kind}_layer", wired(one | layer), [4, 8], {}
        yield f"transformer_{kind}_layer_norm_first", wired(one | first), [4, 8], {}
        yield f"transformer_{kind}_layer_causal", wired(one | layer | {"causal": True}), [4, 8], {}
        yield f"transformer_{kind}_layer_no_bias", wired(one | layer | {"bias": False}), [4, 8], {}
        dropped = one | layer | {"dropout": 0.1}
        yield f"transformer_{kind}_layer_eval", wired(dropped), [4, 8], {"mode": "eval"}
        stack = {"type": f"transformer_{kind}", "name": "t", "num_layers": 2, "layer": layer}
        yield f"transformer_{kind}", wired(stack), [4, 8], {}
        yield f"transformer_{kind}_norm", wired(stack | {"layer": first, "norm": True}), [4, 8], {}
    masked = {"type": "transformer_encoder", "name": "t", "num_layers": 2}
    masked |= {"layer": layer | {"key_padding": "mask"}}
    yield "transformer_encoder_padding", padding(masked, "input"), [4, 8], {}
    masked = {"type": "transformer_decoder_layer", "name": "t", "memory_padding": "mask"} | layer
    yield "transformer_decoder_layer_padding", padding(masked, "input", "input"), [4, 8], {}
