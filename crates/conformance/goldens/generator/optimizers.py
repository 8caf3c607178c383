"""Optimizers: ten steps each from given parameters and gradients.

Tensors of a case: `param.NAME` (before the first step), `grad.NAME` [10, ...] (one gradient a
step), `params.NAME` [10, ...] (the parameter after each step), `state.KIND.NAME` (the final state,
PyTorch's names), and where the learning rate changes `lr` [10]. With clipping by norm: `norm` [10],
the global norm before clipping.

Fields of a case: `spec` (the optimizer), `clip` ({"norm": X} or {"value": X}, absent: none),
`no_decay` (present: tensors of rank 0 and 1 are in a group without weight decay).
"""

import torch

from . import optimizers_beyond as beyond
from .writer import both, normal, random

STEPS = 10
SHAPES = {"conv.weight": (3, 2, 2, 2), "conv.bias": (3,), "fc.weight": (5, 3), "fc.bias": (1,)}
CLASSES = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


def write(writer):
    """Every optimizer with its options."""
    for name, spec, fields in cases():
        rng = random(f"optimizers/{name}")
        lr = fields.pop("lr", None)
        scale = fields.pop("scale", 1.0)
        parameters = {key: normal(rng, *shape) for key, shape in SHAPES.items()}
        gradients = {key: normal(rng, STEPS, *shape, scale=scale) for key, shape in SHAPES.items()}
        if fields.pop("sparse", False):  # elements that get no gradient for some steps
            for value in gradients.values():
                value[::2][value[::2] < 0] = 0.0
        entry = writer.case(name, spec=spec, **fields)
        for key in SHAPES:
            entry.put(f"param.{key}", parameters[key])
            entry.put(f"grad.{key}", gradients[key])
        if lr:
            entry.put("lr", torch.tensor(lr, dtype=torch.float32))
        single, double = both(lambda dtype: run(spec, fields, lr, parameters, gradients, dtype))
        for key in single:
            entry.result(key, single[key], double[key])


def run(spec, fields, lr, parameters, gradients, dtype):
    """All steps in one dtype."""
    if spec["type"] in beyond.OPTIONS:
        leaves = {key: value.to(dtype, copy=True) for key, value in parameters.items()}
        given = {key: value.to(dtype, copy=True) for key, value in gradients.items()}
        steps, states = beyond.run(spec, leaves, given, dtype)
        results = {f"params.{key}": torch.stack([step[key] for step in steps]) for key in leaves}
        return results | {f"state.{key}": value for key, value in states.items()}
    leaves = {key: torch.nn.Parameter(value.to(dtype, copy=True)) for key, value in parameters.items()}
    optimizer = make(spec, leaves, "no_decay" in fields)
    after = {key: [] for key in leaves}
    norms = []
    for step in range(STEPS):
        for key, leaf in leaves.items():
            leaf.grad = gradients[key][step].to(dtype, copy=True)
        norms.append(clip(leaves.values(), fields.get("clip", {})))
        for group in optimizer.param_groups:
            group["lr"] = single_precision(lr[step]) if lr else group["lr"]
        optimizer.step()
        for key, leaf in leaves.items():
            after[key].append(leaf.detach().clone())
    results = {f"params.{key}": torch.stack(values) for key, values in after.items()}
    for key, leaf in leaves.items():
        for kind, value in optimizer.state[leaf].items():
            if kind != "step" and value is not None:
                results[f"state.{kind}.{key}"] = value.detach().clone()
    if norms[0] is not None:
        results["norm"] = torch.stack(norms)
    return results


def single_precision(number):
    """A number as an f32 scalar input carries it."""
    return torch.tensor(number, dtype=torch.float32).item()


def make(spec, leaves, no_decay):
    """The PyTorch optimizer of a description."""
    options = {key: value for key, value in spec.items() if key != "type"}
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    groups = [{"params": list(leaves.values())}]
    if no_decay:
        groups = [
            {"params": [leaf for leaf in leaves.values() if leaf.dim() > 1]},
            {"params": [leaf for leaf in leaves.values() if leaf.dim() <= 1], "weight_decay": 0.0},
        ]
    return CLASSES[spec["type"]](groups, foreach=False, **options)


def clip(leaves, how):
    """Clips in place; the norm before, when clipping by norm."""
    if "norm" in how:
        return torch.nn.utils.clip_grad_norm_(leaves, how["norm"])
    if "value" in how:
        torch.nn.utils.clip_grad_value_(leaves, how["value"])
    return None


def cases():
    """(name, description, further fields) of every case."""
    for kind, options in OPTIONS.items():
        for suffix, fields in options.items():
            yield f"{kind}{suffix}", {"type": kind} | fields, {}
    falling = [0.1 * 0.8**step for step in range(STEPS)]
    for kind in CLASSES:
        momentum = {"momentum": 0.9} if kind in ("sgd", "rmsprop") else {}
        yield f"{kind}_changing_lr", {"type": kind} | momentum, {"lr": falling}
        yield f"{kind}_sparse_gradients", {"type": kind} | momentum, {"sparse": True}
        # Far below and far above eps.
        yield f"{kind}_tiny_gradients", {"type": kind} | momentum, {"scale": 1e-7}
        yield f"{kind}_no_decay", {"type": kind, "weight_decay": 0.1, "lr": 0.05}, {"no_decay": "rank <= 1"}
    sgd, adam = {"type": "sgd", "lr": 0.1, "momentum": 0.9}, {"type": "adam", "lr": 0.01}
    yield "sgd_clip_norm", sgd, {"clip": {"norm": 1.0}}
    yield "sgd_clip_norm_not_reached", sgd, {"clip": {"norm": 1e4}}
    yield "sgd_clip_value", sgd, {"clip": {"value": 0.25}}
    yield "adam_clip_norm", adam, {"clip": {"norm": 0.5}}
    yield "adam_clip_value", adam, {"clip": {"value": 0.1}}
    yield (
        "adamw_clip_norm_no_decay",
        {"type": "adamw", "lr": 0.01},
        {"clip": {"norm": 0.5}, "no_decay": "rank <= 1"},
    )
    # Last, as JAX changes how PyTorch rounds once it is there.
    for kind, options in beyond.OPTIONS.items():
        for suffix, fields in options.items():
            yield f"{kind}{suffix}", {"type": kind} | fields, {}


ADAM = {
    "": {},
    "_lr": {"lr": 0.1},
    "_betas": {"betas": [0.5, 0.9], "lr": 0.05},
    "_eps": {"eps": 0.1, "lr": 0.05},
    "_weight_decay": {"weight_decay": 0.2, "lr": 0.05},
    "_amsgrad": {"amsgrad": True, "betas": [0.9, 0.5], "lr": 0.05},
    "_amsgrad_weight_decay": {"amsgrad": True, "weight_decay": 0.2, "betas": [0.9, 0.5], "lr": 0.05},
}
OPTIONS = {
    "sgd": {
        "": {},
        "_lr": {"lr": 0.1},
        "_momentum": {"lr": 0.1, "momentum": 0.9},
        "_dampening": {"lr": 0.1, "momentum": 0.9, "dampening": 0.3},
        "_nesterov": {"lr": 0.1, "momentum": 0.9, "nesterov": True},
        "_weight_decay": {"lr": 0.1, "weight_decay": 0.2},
        "_momentum_weight_decay": {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.2},
        "_nesterov_weight_decay": {"lr": 0.1, "momentum": 0.8, "nesterov": True, "weight_decay": 0.2},
        "_dampening_weight_decay": {"lr": 0.1, "momentum": 0.8, "dampening": 0.5, "weight_decay": 0.2},
    },
    "adam": ADAM,
    "adamw": ADAM,
    "rmsprop": {
        "": {},
        "_alpha": {"alpha": 0.5},
        "_eps": {"eps": 0.1},
        "_momentum": {"momentum": 0.9},
        "_centered": {"centered": True},
        "_weight_decay": {"weight_decay": 0.2},
        "_everything": {"alpha": 0.9, "momentum": 0.8, "centered": True, "weight_decay": 0.1, "lr": 0.02},
    },
    "adagrad": {
        "": {},
        "_lr_decay": {"lr_decay": 0.1, "lr": 0.1},
        "_initial_accumulator": {"initial_accumulator_value": 0.5, "lr": 0.1},
        "_weight_decay": {"weight_decay": 0.2, "lr": 0.1},
        "_eps": {"eps": 0.1, "lr": 0.1},
        "_everything": {
            "lr_decay": 0.05,
            "weight_decay": 0.1,
            "initial_accumulator_value": 0.1,
            "eps": 1e-3,
            "lr": 0.1,
        },
    },
}
