"""Optimizers: ten steps each from given parameters and gradients.

Tensors of a case: `param.NAME` (before the first step), `grad.NAME` [10, ...] (one gradient a
step), `params.NAME` [10, ...] (the parameter after each step), `state.KIND.NAME` (the final state,
PyTorch's names), and where the learning rate changes `lr` [10]. With clipping by norm: `norm` [10],
the global norm before clipping.

Fields of a case: `spec` (the optimizer), `clip` ({"norm": X} or {"value": X}, absent: none),
`no_decay` (present: tensors of rank 0 and 1 are in a group without weight decay), `averaging` (an
average of the weights by torch.optim.swa_utils, whose last values are `state.KIND.NAME`),
`option_schedules` (PyTorch's schedules, of options in place of the learning rate) and
`steps_per_epoch`, by which an average may go.
"""

import torch

from torch.optim import swa_utils

from . import optimizers_beyond as beyond
from . import schedules
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
    average = Average(fields, leaves)
    changing = {
        name: schedules.run({key: value for key, value in schedule.items() if key != "per"}, start, None)
        for name, (schedule, start) in fields.get("option_schedules", {}).items()
    }
    for step in range(STEPS):
        for key, leaf in leaves.items():
            leaf.grad = gradients[key][step].to(dtype, copy=True)
            if spec["type"] == "sparse_adam":
                # All rows: of some alone, the tests of the optimizers have what happens.
                leaf.grad = leaf.grad.to_sparse(1)
        norms.append(clip(leaves.values(), fields.get("clip", {})))
        for group in optimizer.param_groups:
            group["lr"] = single_precision(lr[step]) if lr else group["lr"]
            for name, values in changing.items():
                set_option(group, name, single_precision(values[step]))
        optimizer.step()
        average.after(step)
        for key, leaf in leaves.items():
            after[key].append(leaf.detach().clone())
    results = {f"params.{key}": torch.stack(values) for key, values in after.items()}
    for key, leaf in leaves.items():
        for kind, value in optimizer.state[leaf].items():
            if kind != "step" and value is not None:
                results[f"state.{kind}.{key}"] = value.detach().clone()
    results |= average.results()
    if norms[0] is not None:
        results["norm"] = torch.stack(norms)
    return results


def set_option(group, name, value):
    """An option by the name that it has in a description."""
    if name in ("beta1", "beta2"):
        betas = list(group["betas"])
        betas[("beta1", "beta2").index(name)] = value
        group["betas"] = tuple(betas)
    else:
        group[name] = value


class Average:
    """An average of the weights, as swa_utils keeps it."""

    def __init__(self, fields, leaves):
        self.kind, options = next(iter(fields.get("averaging", {}).items()), (None, {}))
        self.options, self.per_epoch = options, fields.get("steps_per_epoch")
        if self.kind is None:
            return
        self.module = torch.nn.Module()
        for name, leaf in leaves.items():
            self.module.register_parameter(name.replace(".", "/"), leaf)
        functions = {}
        if self.kind == "ema":
            make = swa_utils.get_ema_avg_fn if "avg_fn" in fields else swa_utils.get_ema_multi_avg_fn
            functions = {"avg_fn" if "avg_fn" in fields else "multi_avg_fn": make(options["decay"])}
        self.model = swa_utils.AveragedModel(self.module, **functions)

    def after(self, step):
        """Counts the weights after a step, where they count."""
        if self.kind == "ema":
            self.model.update_parameters(self.module)
        elif self.kind == "swa":
            done = step
            if self.options.get("per") != "step":
                if (step + 1) % self.per_epoch:
                    return
                done = step // self.per_epoch
            since = done - self.options["start"]
            if since >= 0 and since % self.options.get("every", 1) == 0:
                self.model.update_parameters(self.module)

    def results(self):
        """The last values."""
        if self.kind is None:
            return {}
        parameters = self.model.module.named_parameters()
        return {
            f"state.{self.kind}.{name.replace('/', '.')}": value.detach().clone()
            for name, value in parameters
        }


def single_precision(number):
    """A number as an f32 scalar input carries it."""
    return torch.tensor(number, dtype=torch.float32).item()


def make(spec, leaves, no_decay):
    """The PyTorch optimizer of a description."""
    options = {key: value for key, value in spec.items() if key != "type"}
    if "betas" in options:
        options["betas"] = tuple(options["betas"])
    groups = [{"params": list(leaves.values())}]
    if spec["type"] == "sparse_adam":
        return torch.optim.SparseAdam(groups, **options)
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
    yield from averaged()
    yield from scheduled()
    for kind, options in OF_ROWS.items():
        for suffix, fields in options.items():
            yield f"{kind}{suffix}", {"type": kind} | fields, {}
        yield f"{kind}_changing_lr", {"type": kind}, {"lr": falling}
    # Last, as JAX changes how PyTorch rounds once it is there.
    for kind, options in beyond.OPTIONS.items():
        for suffix, fields in options.items():
            yield f"{kind}{suffix}", {"type": kind} | fields, {}


def averaged():
    """Averages of the weights."""
    sgd, adam = {"type": "sgd", "lr": 0.1, "momentum": 0.9}, {"type": "adam", "lr": 0.01}
    yield "sgd_ema", sgd, {"averaging": {"ema": {"decay": 0.9}}}
    yield "sgd_ema_avg_fn", sgd | {"lr": 0.05}, {"averaging": {"ema": {"decay": 0.5}}, "avg_fn": "get_ema_avg_fn"}
    yield "adam_swa", adam, {"averaging": {"swa": {"start": 3, "every": 2, "per": "step"}}}
    yield "sgd_swa_epochs", sgd, {"averaging": {"swa": {"start": 1}}, "steps_per_epoch": 2}
    yield (
        "adamw_swa_every_two_epochs",
        {"type": "adamw", "lr": 0.01},
        {"averaging": {"swa": {"start": 0, "every": 2}}, "steps_per_epoch": 2},
    )


def scheduled():
    """Options on a schedule: name, (schedule, the number it starts from)."""
    halves = {"type": "step", "step_size": 3, "gamma": 0.5, "per": "step"}
    falls = {"type": "exponential", "gamma": 0.95, "per": "step"}
    cosine = {"type": "cosine", "T_max": 10, "eta_min": 0.5, "per": "step"}
    adamw = {"type": "adamw", "lr": 0.05, "weight_decay": 0.2}
    sgd = {"type": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
    yield "adamw_scheduled_weight_decay", adamw, {"option_schedules": {"weight_decay": (halves, 0.2)}}
    yield "sgd_scheduled_momentum", sgd, {"option_schedules": {"momentum": (cosine, 0.9)}}
    yield (
        "sgd_scheduled_everything",
        sgd | {"nesterov": True},
        {"option_schedules": {"momentum": (falls, 0.9), "weight_decay": (halves, 0.1)}},
    )
    yield (
        "adam_scheduled_betas",
        {"type": "adam", "lr": 0.05},
        {"option_schedules": {"beta1": (falls, 0.9), "beta2": (falls, 0.999)}},
    )
    yield (
        "rmsprop_scheduled_alpha",
        {"type": "rmsprop", "lr": 0.05},
        {"option_schedules": {"alpha": (falls, 0.99)}},
    )


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
# Those that PyTorch has for sparse gradients alone.
OF_ROWS = {
    "sparse_adam": {"": {}, "_options": {"lr": 0.05, "betas": [0.7, 0.9], "eps": 0.1}},
}
