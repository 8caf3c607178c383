"""The cases of cells of one's own along a sequence: see `layer_cases`."""


def cases():
    layer = plain()
    # Over eight steps, from which on gradients of one weight are put together.
    yield "recurrent", layer, [9, 4], {}
    yield "recurrent_short", layer, [3, 4], {}
    yield "recurrent_reverse", layer | {"reverse": True}, [9, 4], {}
    yield "recurrent_learned", layer | {"initial": "learned"}, [9, 4], {}
    fed = layer | {"initial": "input", "inputs": ["wide", "first"]}
    before = [
        {"type": "dense", "name": "wide", "out_features": 6},
        {"type": "select", "name": "step", "index": 0},
        {"type": "dense", "name": "first", "out_features": 5},
    ]
    yield "recurrent_fed", [*before, fed], [9, 4], {}
    yield "recurrent_lstm", lstm(), [9, 4], {}
    states = [
        lstm() | {"state": True},
        {"type": "select", "name": "last", "index": 3, "inputs": ["r.0"]},
        {"type": "sum", "name": "all", "inputs": ["last", "r.1", "r.2"], "coefficients": [1, 2, -1]},
    ]
    yield "recurrent_states", states, [9, 4], {}


def products(width):
    return [
        {"type": "dense", "name": "input", "out_features": width, "inputs": ["x"]},
        {"type": "dense", "name": "hidden", "out_features": width, "bias": False, "inputs": ["h"]},
        {"type": "sum", "name": "sum", "inputs": ["input", "hidden"]},
    ]


def plain():
    """h' = tanh(W x + b + U h)."""
    cell = [*products(5), {"type": "tanh", "name": "new"}]
    return {"type": "recurrent", "name": "r", "carried": {"h": {"shape": [5], "next": "new"}}, "cell": cell}


def lstm():
    """The equations of an LSTM, gates in the order i, f, g, o."""
    memory = "sigmoid(x0) * x3 + sigmoid(x1) * tanh(x2)"
    cell = [
        *products(12),
        {"type": "split", "name": "gates", "sizes": [3, 3, 3, 3]},
        {"type": "formula", "name": "memory", "y": memory}
        | {"inputs": ["gates.1", "gates.0", "gates.2", "c"]},
        {"type": "formula", "name": "new", "y": "sigmoid(x0) * tanh(x1)"} | {"inputs": ["gates.3", "memory"]},
    ]
    carried = {"h": {"shape": [3], "next": "new"}, "c": {"shape": [3], "next": "memory"}}
    return {"type": "recurrent", "name": "r", "carried": carried, "cell": cell}
