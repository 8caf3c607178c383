"""The table of layer cases: (name, layer or layers, input shape of a sample, options)."""

import torch

from . import (
    layer_cases_activations,
    layer_cases_attention,
    layer_cases_graphs,
    layer_cases_norms,
    layer_cases_own_cells,
    layer_cases_parametrized,
    layer_cases_recurrent,
    layer_cases_tables,
    layer_cases_transformers,
)
from . import layer_cases_pictures as pictures
from .layer_cases_windows import window_cases


def all_cases():
    """Every case, in the order of the files."""
    yield from dense()
    yield from pictures.convolutions()
    yield from pictures.pools()
    yield from shapes()
    yield from pictures.transposed()
    yield from pictures.resampled()
    yield from layer_cases_norms.norms()
    yield from layer_cases_activations.activations()
    yield from layer_cases_activations.softmaxes()
    yield from layer_cases_graphs.branches()
    yield from layer_cases_graphs.graphs()
    yield from window_cases()
    yield from layer_cases_transformers.cases()
    yield from layer_cases_attention.all_cases()
    yield from layer_cases_parametrized.cases()
    yield from layer_cases_recurrent.all_cases()
    yield from layer_cases_own_cells.cases()
    yield from layer_cases_tables.cases()


def dense():
    yield "dense", {"type": "dense", "name": "fc", "out_features": 4}, [5], {}
    yield "dense_no_bias", {"type": "dense", "out_features": 4, "bias": False}, [5], {}
    yield "dense_one", {"type": "dense", "name": "fc", "out_features": 1}, [1], {"batch": 1}
    yield "dense_wide", {"type": "dense", "name": "fc", "out_features": 17}, [33], {"batch": 9}
    yield "dense_rank3", {"type": "dense", "name": "fc", "out_features": 4}, [2, 5], {}
    lora = {"rank": 2, "alpha": 3}
    yield "dense_lora", {"type": "dense", "name": "fc", "out_features": 4, "lora": lora}, [2, 5], {}


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
