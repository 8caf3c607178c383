"""Cases of recurrent networks: (name, layers, shape, options)."""


def all_cases():
    """Each network plain, deep in both directions, and with each of its options."""
    for kind in ("rnn", "lstm", "gru"):
        layer = {"type": kind, "name": "r", "hidden_size": 4}
        yield kind, layer, [5, 3], {}
        deep = layer | {"num_layers": 2, "bidirectional": True}
        yield f"{kind}_deep", deep, [4, 3], {}
        yield f"{kind}_no_bias", layer | {"bias": False}, [5, 3], {}
        yield f"{kind}_eval", deep | {"dropout": 0.4}, [4, 3], {"mode": "eval"}
        yield f"{kind}_learned", deep | {"initial": "learned"}, [4, 3], {}
        yield f"{kind}_state", [deep | {"state": True}, {"type": "flatten", "inputs": ["r.1"]}], [4, 3], {}
    yield "rnn_relu", {"type": "rnn", "name": "r", "hidden_size": 4, "nonlinearity": "relu"}, [5, 3], {}
    lstm = {"type": "lstm", "name": "r", "hidden_size": 4}
    projected = lstm | {"num_layers": 2, "bidirectional": True, "proj_size": 2}
    yield "lstm_projection", projected, [4, 3], {}
    cells = [projected | {"state": True}, {"type": "flatten", "inputs": ["r.2"]}]
    yield "lstm_cells", cells, [4, 3], {}
    # The first two positions, as wide as a state, are the state before all five.
    h = {"type": "slice", "name": "h", "dim": 1, "start": 0, "end": 1}
    c = {"type": "slice", "name": "c", "dim": 1, "start": 1, "end": 2, "inputs": ["input"]}
    given = lstm | {"initial": "input", "inputs": ["input", "h", "c"]}
    yield "lstm_given", [h, c, given], [5, 4], {}
    given = {"type": "gru", "name": "r", "hidden_size": 4, "initial": "input", "inputs": ["input", "h"]}
    yield "gru_given", [h, given], [5, 4], {}
