"""Cases of layers that look rows up in a table."""

import torch

WORDS = torch.tensor([[4, 0, 4, 1], [1, 1, 2, 3], [0, 0, 0, 0]])


def cases():
    table = {"type": "embedding", "name": "table", "num_embeddings": 5, "embedding_dim": 3}
    given = {"given": WORDS}
    yield "embedding_padding", table | {"padding_idx": 1}, [4], given
    yield "embedding_padding_from_end", table | {"padding_idx": -5}, [4], given
    for name, more in (
        ("", {"max_norm": 0.6}),
        ("_one", {"max_norm": 0.8, "norm_type": 1.0}),
        ("_three", {"max_norm": 0.5, "norm_type": 3.0}),
        ("_padding", {"max_norm": 0.6, "padding_idx": 4}),
    ):
        yield f"embedding_max_norm{name}", table | more, [4], given
    yield "embedding_frequency", table | {"scale_grad_by_freq": True}, [4], given
    bag = table | {"type": "embedding_bag"}
    for mode in ("mean", "sum", "max"):
        yield f"embedding_bag_{mode}", bag | {"mode": mode}, [4], given
        yield f"embedding_bag_padding_{mode}", bag | {"mode": mode, "padding_idx": 0}, [4], given
    yield "embedding_bag_max_norm", bag | {"max_norm": 0.6}, [4], given
    yield "embedding_bag_frequency", bag | {"mode": "sum", "scale_grad_by_freq": True}, [4], given
    factors = [
        {"type": "embedding", "name": "of", "num_embeddings": 5, "embedding_dim": 1},
        {"type": "reshape", "name": "flat", "shape": [4]},
        bag | {"mode": "sum", "inputs": ["input", "flat"]},
    ]
    yield "embedding_bag_factors", factors, [4], given
