"""Presets: the names and shapes of torchvision's state dicts, one forward pass and three steps.

A model begins with the numbers that onestep gives its parameters for a seed (`fill`), so no weights
are stored: of the results there are norms and samples. The file is `presets.json`.
"""

import json

import numpy as np
import torch
import torchvision
from torch.nn import functional as F


SEED = 7
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
BATCH = 8
LABELS = [3, 7, 0, 3, 9, 1, 5, 2]
# (name, side of a picture, learning rate), of 10 classes. Pictures are small, but the last maps have more
# than one pixel: a normalisation over the few values of a channel is as good as chaotic.
MODELS = [
    ("resnet18", 64, 0.0001),
    ("resnet34", 64, 0.00001),
    ("resnet50", 64, 0.000003),
    ("vgg11_bn", 64, 0.0001),
    ("densenet121", 64, 0.00001),
    ("mobilenet_v2", 64, 0.0001),
]


def fnv1a(text):
    """The 64-bit FNV-1a hash."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001B3) % (1 << 64)
    return value


def uniforms(seed, name, count):
    """The numbers in [0, 1) of a parameter's stream: Philox 4x32-10, keyed by seed and name."""
    hashed = fnv1a(name)
    step, stream = (1 << 63) | (hashed >> 32), hashed & 0xFFFFFFFF
    blocks = (count + 3) // 4
    low = np.uint64(0xFFFFFFFF)
    counter = [np.arange(blocks, dtype=np.uint64)] + [
        np.full(blocks, part, dtype=np.uint64) for part in (stream, step & 0xFFFFFFFF, step >> 32)
    ]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p0, p1 = MULTIPLIERS[0] * counter[0], MULTIPLIERS[1] * counter[2]
        counter = [
            (p1 >> np.uint64(32)) ^ counter[1] ^ np.uint64(key[0]),
            p1 & low,
            (p0 >> np.uint64(32)) ^ counter[3] ^ np.uint64(key[1]),
            p0 & low,
        ]
        key = [(k + step) & 0xFFFFFFFF for k, step in zip(key, KEY_STEPS)]
    numbers = np.stack(counter, axis=1).reshape(-1)[:count]
    return (numbers >> np.uint64(8)).astype(np.float64) / 16777216.0


def fill(model):
    """Every parameter uniform within sqrt(3 / fan_in) of 0, scales of norms 1, shifts 0, as the test
    does: the fan is of all axes but the first of PyTorch's layout. Dense weights are filled in
    onestep's layout, [in, out]."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.fill_(1.0 if name.endswith("weight") else 0.0)
                continue
            bound = (3.0 / (parameter.numel() // parameter.shape[0])) ** 0.5
            values = (uniforms(SEED, name, parameter.numel()) * 2.0 * bound - bound).astype(np.float32)
            if parameter.dim() == 2:
                values = values.reshape(parameter.shape[::-1]).T
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(values)).reshape(parameter.shape))


def build(name, classes):
    """torchvision's model without dropout."""
    model = getattr(torchvision.models, name)(weights=None, num_classes=classes)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def outline(name):
    """How many tensors and numbers a state dict has, and a hash of all names and shapes."""
    state = build(name, 1000).state_dict()
    lines = sorted(f"{n} {list(t.shape)}" for n, t in state.items() if not n.endswith("num_batches_tracked"))
    numbers = sum(t.numel() for n, t in state.items() if not n.endswith("num_batches_tracked"))
    return {"tensors": len(lines), "numbers": numbers, "hash": f"{fnv1a(chr(10).join(lines)):016x}"}


def run(name, side, rate, dtype):
    """The output of one forward pass, and the losses and norms of parameters of three steps of SGD."""
    model = build(name, 10).to(dtype)
    fill(model)
    model.train()
    x = uniforms(SEED, f"{name} input", BATCH * 3 * side * side) * 2.0 - 1.0
    x = torch.from_numpy(x.astype(np.float32)).reshape(BATCH, 3, side, side).to(dtype)
    target = torch.tensor(LABELS)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses, output = [], None
    for _ in range(3):
        optimizer.zero_grad()
        logits = model(x)
        output = logits.detach().reshape(-1).tolist() if output is None else output
        loss = F.cross_entropy(logits, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    norms = {n: p.detach().double().norm().item() for n, p in model.named_parameters()}
    picked = dict(list(norms.items())[:: max(1, len(norms) // 12)])
    return {"output": output, "losses": losses, "norms": picked}


def both(name, side, rate):
    """The float64 results, and how far the float32 ones are from them."""
    double, single = run(name, side, rate, torch.float64), run(name, side, rate, torch.float32)

    def far(a, b):
        return max(abs(x - y) for x, y in zip(a, b))

    error = {key: far(double[key], single[key]) for key in ("output", "losses")}
    error["norms"] = far(double["norms"].values(), single["norms"].values())
    return {"side": side, "rate": rate} | double | {"f32_error": error}


def text():
    """The file."""
    models = {name: outline(name) | both(name, side, rate) for name, side, rate in MODELS}
    return json.dumps(models, indent=1) + "\n"
