"""Cases of recurrent cells: (name, op, function, operands)."""

import torch
from torch import nn
from torch.func import functional_call

from .writer import normal, random, vjp

# Samples, steps, numbers of a gate.
SIZES = (3, 4, 5)
GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}


def all_cases():
    """Every such case."""
    for name, cell, options in (
        ("tanh", "tanh", {}),
        ("relu", "relu", {}),
        ("lstm", "lstm", {}),
        ("gru", "gru", {}),
        ("gru_without_bias", "gru", {"bias": False}),
        ("tanh_reverse", "tanh", {"reverse": True}),
        ("lstm_lengths", "lstm", {"lengths": True}),
        ("gru_reverse_lengths", "gru", {"reverse": True, "lengths": True}),
        ("lstm_projection", "lstm", {"projection": 2}),
        ("lstm_projection_reverse_lengths", "lstm", {"projection": 2, "reverse": True, "lengths": True}),
    ):
        yield f"recurrence_{name}", "recurrence", module(cell, options), operands(name, cell, options)
    for cell in ("tanh", "lstm"):
        own = operands(f"grad_{cell}", cell, {})
        visible = module(cell, {})(*own)
        dy = normal(random(f"ops/recurrence_grad_{cell} dy"), visible.numel())
        given = own + [kept(cell, own), dy]
        yield f"recurrence_grad_{cell}", "recurrence_grad", lambda *x, c=cell: packed_gradient(c, x), given


def operands(name, cell, options):
    """Input products, recurrent weights, the first state, and what the options add, in the op's order."""
    batch, steps, hidden = SIZES
    wide, out = GATES[cell] * hidden, options.get("projection") or hidden
    rng = random(f"ops/recurrence_{name}")
    given = [normal(rng, batch, steps, wide), normal(rng, out, wide) / 2, normal(rng, batch, out)]
    if cell == "lstm":
        given.append(normal(rng, batch, hidden))
    if options.get("bias", True):
        given.append(normal(rng, (4 if cell == "gru" else GATES[cell]) * hidden))
    if "projection" in options:
        given.append(normal(rng, hidden, out))
    if "lengths" in options:
        given.append(torch.tensor([4, 1, 3], dtype=torch.int32))
    return given


def module(cell, options):
    """PyTorch's module, whose input weights hand on what it is given: outputs, last outputs and last cells, one
    behind the other."""

    def run(x, weight, first, *more):
        more = list(more)
        steps, hidden = x.shape[1], SIZES[2]
        out, reverse = first.shape[1], options.get("reverse", False)
        state = first[None]
        if cell == "lstm":
            state = (state, more.pop(0)[None])
        bias = more.pop(0) if options.get("bias", True) else None
        projection = more.pop(0) if "projection" in options else None
        kinds = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN, "relu": nn.RNN}
        extra = {"nonlinearity": cell} if cell in ("tanh", "relu") else {}
        if projection is not None:
            extra["proj_size"] = out
        net = kinds[cell](x.shape[2], hidden, batch_first=True, bias=bias is not None, bidirectional=reverse, **extra)
        net = net.to(x.dtype)
        values = {"weight_ih_l0": torch.eye(x.shape[2], dtype=x.dtype), "weight_hh_l0": weight.mT}
        if bias is not None:
            input_bias, hidden_bias = bias, torch.zeros_like(bias)
            if cell == "gru":
                input_bias = bias[: 3 * hidden]
                hidden_bias = torch.cat([torch.zeros(2 * hidden, dtype=x.dtype), bias[3 * hidden :]])
            values |= {"bias_ih_l0": input_bias, "bias_hh_l0": hidden_bias}
        if projection is not None:
            values["weight_hr_l0"] = projection.mT
        if reverse:
            # The direction forwards beside it is not looked at.
            values |= {f"{name}_reverse": value for name, value in values.items()}
            twice = lambda s: torch.cat([s, s])
            state = tuple(map(twice, state)) if cell == "lstm" else twice(state)
        sequence = x
        if "lengths" in options:
            lengths = more.pop(0).to(torch.int64)
            pack = nn.utils.rnn.pack_padded_sequence
            sequence = pack(x, lengths, batch_first=True, enforce_sorted=False)
        y, last = functional_call(net, values, (sequence, state))
        if "lengths" in options:
            y, _ = nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=steps)
        last = last if cell == "lstm" else (last,)
        return torch.cat([y[..., -out:].reshape(-1)] + [part[-1].reshape(-1) for part in last])

    return run


def kept(cell, own):
    """What the op gives: what is seen of it, and behind that an LSTM's gates and cells of all steps."""
    visible = module(cell, {})(*own)
    if cell != "lstm":
        return visible
    x, weight, h, c, bias = own
    steps = []
    for step in range(x.shape[1]):
        i, f, g, o = (x[:, step] + h @ weight + bias).chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        steps.append(torch.cat([i, f, g, o, c], 1))
    return torch.cat([visible, torch.stack(steps, 1).reshape(-1)])


def packed_gradient(cell, given):
    """The gradients in input products and first state, one behind the other."""
    *own, _, dy = given
    run, first = module(cell, {}), [0, 2] + ([3] if cell == "lstm" else [])
    put = lambda at, x: [x if other == at else value for other, value in enumerate(own)]
    return torch.cat([vjp(lambda x, at=at: run(*put(at, x)), own[at], dy).reshape(-1) for at in first])
