"""Cases of the layer of attention: (name, layers, shape, options)."""


def all_cases():
    """Queries, keys and values cut out of one input, so that each gets a gradient."""

    def cut(name, sizes, shape, **fields):
        inputs = [f"x.{part}" for part in range(len(sizes))]
        layers = [
            {"type": "split", "name": "x", "sizes": sizes},
            {"type": "scaled_dot_product_attention", "inputs": inputs} | fields,
        ]
        return name, layers, shape, {}

    yield cut("attention", [2, 2, 2], [6, 5, 4])
    yield cut("attention_without_heads", [5, 7, 7], [19, 4])
    yield cut("attention_causal", [2, 2, 2], [6, 5, 4], is_causal=True)
    yield cut("attention_scale", [2, 2, 2], [6, 5, 4], scale=0.3)
    yield cut("attention_grouped", [4, 2, 2], [8, 5, 3], enable_gqa=True)
    # As many features as keys, so that a part of the input can be added to the scores of all heads.
    yield cut("attention_mask", [2, 2, 2, 1], [7, 5, 5])
