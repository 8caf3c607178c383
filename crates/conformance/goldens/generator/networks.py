"""Whole networks: twenty training steps on one fixed batch.

Tensors of a case: `input`, `target`, `param.NAME` and `state.NAME` (before the first step),
`output` (of the first step), `grad.NAME` (of the first step, before clipping), `final.NAME` and
`final_state.NAME` (after the last), `losses32` and `losses64` [20] float64: the loss of each step,
before its update, by PyTorch in float32 and in float64.

Fields of a case: `spec`, `loss`, `optimizer`, `clip` and `no_decay` as in optimizers.py, and
`held`: states that stay as they are, as after `eval()` of their layer.
"""

import copy
import math

import torch

from .losses import loss as loss_of
from .optimizers import clip, make
from .spec import build, to_ours
from .writer import both, labels, normal, random, uniform

STEPS = 20


def write(writer):
    """Every network."""
    for name, spec, batch, loss, optimizer, fields in cases():
        rng = random(f"networks/{name}")
        model = build(spec)
        fill(model, rng)
        x, target = data(rng, model, batch, spec["input"]["shape"], loss)
        if "held" in fields:
            hold(model, x, fields["held"])

        entry = writer.case(name, spec=spec, loss=loss, optimizer=optimizer, **fields)
        entry.put("input", x)
        entry.put("target", target)
        parameters, _, statistics = to_ours(model)
        for key, value in parameters.items():
            entry.put(f"param.{key}", value)
        for key, value in statistics.items():
            entry.put(f"state.{key}", value)
        single, double = both(lambda dtype: run(model, x, target, loss, optimizer, fields, dtype))
        losses32, losses64 = (torch.tensor(r.pop("losses"), dtype=torch.float64) for r in (single, double))
        entry.put("losses32", losses32)
        entry.put("losses64", losses64)
        entry.error("losses64", losses32, losses64)
        for key in single:
            entry.result(key, single[key], double[key])


def data(rng, model, batch, shape, loss):
    """Noise; for classification each class has its own mean in each channel, else there would be
    little to learn."""
    x = normal(rng, batch, *shape)
    outputs = copy.deepcopy(model)(x).shape
    if loss != "cross_entropy":
        return x, normal(rng, *outputs)
    target = labels(rng, outputs[1], batch)
    means = normal(rng, outputs[1], shape[0])
    return x + means[target].reshape(batch, shape[0], *[1] * (len(shape) - 1)), target


def hold(model, x, names):
    """Some normalisations keep their running statistics, which are those of other data."""
    with torch.no_grad():
        model(1.5 * x + 0.5)
    for name, module in model.named_modules():
        if f"{name}.running_mean" in names:
            module.eval()


def fill(model, rng):
    """PyTorch's default range, 1/sqrt(fan in), from our own generator."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
                bound = 1 / math.sqrt(module.weight[0].numel())
                for parameter in module.parameters():
                    parameter.copy_(uniform(rng, *parameter.shape, low=-bound, high=bound))


def run(model, x, target, loss, optimizer, fields, dtype):
    """All steps in one dtype, on copies."""
    model = copy.deepcopy(model).to(dtype)
    x = x.to(dtype)
    target = target.to(dtype) if target.is_floating_point() else target
    leaves = dict(model.named_parameters())
    update = make(optimizer, leaves, "no_decay" in fields)
    results = {"losses": []}
    for step in range(STEPS):
        update.zero_grad()
        output = model(x)
        value = loss_of(loss, output, target)
        value.backward()
        results["losses"].append(float(value.detach()))
        if step == 0:
            results["output"] = output.detach().clone()
            results |= {f"grad.{key}": value for key, value in to_ours(model)[1].items()}
        clip(leaves.values(), fields.get("clip", {}))
        update.step()
    if not results["losses"][-1] < 0.97 * results["losses"][0]:
        raise ValueError(f"the network does not learn: {results['losses']}")
    parameters, _, statistics = to_ours(model)
    results |= {f"final.{key}": value for key, value in parameters.items()}
    results |= {f"final_state.{key}": value for key, value in statistics.items()}
    return results


def conv(name, out, **fields):
    return {"type": "conv2d", "name": name, "out_channels": out, "kernel_size": 3, "padding": 1} | fields


def dense(name, out):
    return {"type": "dense", "name": name, "out_features": out}


def norm(name):
    return {"type": "batch_norm", "name": name}


RELU = {"type": "relu"}
MAX_POOL = {"type": "max_pool2d", "kernel_size": 2}
FLATTEN = {"type": "flatten"}


def model(name, shape, *layers):
    return {"name": name, "input": {"shape": shape}, "layers": list(layers)}


def seed_cnn():
    pool = {"type": "adaptive_avg_pool2d", "output_size": 1}
    return model("seed-cnn", [3, 32, 32], conv("conv1", 8), RELU, pool, FLATTEN, dense("fc", 2))


def mlp():
    return model("mlp", [64], dense("fc1", 32), RELU, dense("fc2", 24), RELU, dense("fc3", 10))


def pooled_cnn():
    return model(
        "pooled-cnn",
        [3, 16, 16],
        conv("conv1", 8),
        RELU,
        MAX_POOL,
        conv("conv2", 16),
        RELU,
        MAX_POOL,
        FLATTEN,
        dense("fc1", 32),
        RELU,
        dense("fc2", 10),
    )


def block(name, channels, stride=1, project=False):
    body = [
        conv("conv1", channels, stride=stride, bias=False),
        norm("bn1"),
        RELU,
        conv("conv2", channels, bias=False),
        norm("bn2"),
    ]
    short = [conv("conv", channels, kernel_size=1, padding=0, stride=stride, bias=False), norm("bn")]
    return {"type": "residual", "name": name, "body": body, "shortcut": short if project else []}


def resnet():
    return model(
        "small-resnet",
        [3, 16, 16],
        conv("conv1", 8, bias=False),
        norm("bn1"),
        RELU,
        block("block1", 8),
        RELU,
        block("block2", 16, stride=2, project=True),
        RELU,
        block("block3", 16),
        RELU,
        {"type": "global_avg_pool2d"},
        FLATTEN,
        dense("fc", 10),
    )


def normalised():
    return model(
        "normalised",
        [3, 6, 6],
        conv("conv1", 6, bias=False),
        norm("bn1"),
        {"type": "tanh"},
        conv("conv2", 4, bias=False),
        norm("bn2"),
        {"type": "tanh"},
        FLATTEN,
        dense("fc", 3),
    )


def regression():
    return model(
        "regression",
        [12],
        dense("fc1", 24),
        {"type": "layer_norm", "name": "ln1"},
        {"type": "gelu"},
        dense("fc2", 16),
        {"type": "silu"},
        dense("fc3", 3),
    )


def parametrized():
    return model(
        "parametrized",
        [3, 6, 6],
        conv("conv1", 6) | {"parametrization": {"weight_norm": {"dim": None}}},
        {"type": "tanh"},
        conv("conv3", 4) | {"parametrization": "weight_norm"},
        {"type": "tanh"},
        FLATTEN,
        dense("fc1", 8) | {"parametrization": {"weight_norm": {"dim": 1}}},
        {"type": "tanh"},
        dense("fc2", 3) | {"parametrization": "weight_norm"},
    )


def cases():
    """(name, model, batch size, loss, optimizer, further fields) of every network."""
    cross_entropy = "cross_entropy"
    yield "seed_cnn_sgd", seed_cnn(), 6, cross_entropy, {"type": "sgd", "lr": 0.3}, {}
    yield "seed_cnn_adam", seed_cnn(), 6, cross_entropy, {"type": "adam", "lr": 0.01}, {}
    yield "mlp", mlp(), 16, cross_entropy, {"type": "adam", "lr": 1e-3}, {}
    yield "pooled_cnn", pooled_cnn(), 8, cross_entropy, {"type": "adam", "lr": 1e-3}, {}
    yield (
        "small_resnet",
        resnet(),
        8,
        cross_entropy,
        {"type": "sgd", "lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4},
        {},
    )
    yield (
        "regression",
        regression(),
        16,
        {"type": "huber", "delta": 0.5},
        {"type": "adamw", "lr": 3e-3, "weight_decay": 0.05},
        {"clip": {"norm": 0.5}, "no_decay": "rank <= 1"},
    )
    yield (
        "held_statistics",
        normalised(),
        8,
        cross_entropy,
        {"type": "sgd", "lr": 0.1, "momentum": 0.9},
        {"held": ["bn1.running_mean", "bn1.running_var"]},
    )
    yield "parametrized", parametrized(), 8, cross_entropy, {"type": "sgd", "lr": 0.1, "momentum": 0.9}, {}
