"""Schedules: the learning rate of fifty steps (or epochs, the unit is the caller's).

Tensors of a case: `lr` [50] float64, and for reduce_on_plateau `metric` [50] float64: the metric
that is reported at the end of each step, so that it acts on the next learning rate.

Fields of a case: `base_lr` and `spec`, whose keys are PyTorch's argument names; `linear_warmup`
is torch's LinearLR followed by `then` through SequentialLR.
"""

import warnings

import torch
from torch.optim import lr_scheduler as torch_schedules

from .writer import random

STEPS = 50


def write(writer):
    """Every schedule with its options."""
    for name, spec, base_lr in cases():
        entry = writer.case(name, base_lr=base_lr, spec=spec)
        metric = metrics(name) if spec["type"] == "reduce_on_plateau" else None
        entry.put("lr", torch.tensor(run(spec, base_lr, metric), dtype=torch.float64))
        if metric:
            entry.put("metric", torch.tensor(metric, dtype=torch.float64))


def run(spec, base_lr, metric):
    """The learning rate that each step uses."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base_lr)
    schedule = make(spec, optimizer)
    rates = []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SequentialLR's own use of step(epoch)
            if metric:
                schedule.step(metric[step])
            elif spec["type"] != "one_cycle" or step + 1 < spec["total_steps"]:
                schedule.step()
    return [float(rate) for rate in rates]


def make(spec, optimizer):
    """The PyTorch schedule of a description."""
    kind = spec["type"]
    options = {key: value for key, value in spec.items() if key not in ("type", "then")}
    if kind == "linear_warmup":
        first = torch_schedules.LinearLR(optimizer, end_factor=1.0, **options)
        then = make(spec["then"], optimizer)
        return torch_schedules.SequentialLR(optimizer, [first, then], [spec["total_iters"]])
    classes = {
        "constant": lambda o: torch_schedules.LambdaLR(o, lambda _: 1.0),
        "step": torch_schedules.StepLR,
        "multi_step": torch_schedules.MultiStepLR,
        "exponential": torch_schedules.ExponentialLR,
        "cosine": torch_schedules.CosineAnnealingLR,
        "one_cycle": torch_schedules.OneCycleLR,
        "reduce_on_plateau": torch_schedules.ReduceLROnPlateau,
    }
    return classes[kind](optimizer, **options)


def metrics(name):
    """A loss that falls, stands, and falls a little again, with noise."""
    rng = random(f"schedules/{name}")
    falling = [1.0 / (1 + step) if step < 10 else 0.1 - 0.001 * max(0, step - 30) for step in range(STEPS)]
    values = [round(value + 0.002 * float(rng.standard_normal()), 6) for value in falling]
    return [-value for value in values] if "_max" in name else values


def cases():
    """(name, description, base learning rate) of every case."""
    step = {"type": "step", "step_size": 7, "gamma": 0.3}
    multi = {"type": "multi_step", "milestones": [5, 20, 21, 40], "gamma": 0.5}
    exponential = {"type": "exponential", "gamma": 0.93}
    cosine = {"type": "cosine", "T_max": 50}
    one_cycle = {"type": "one_cycle", "max_lr": 0.5, "total_steps": 50}
    plateau = {"type": "reduce_on_plateau", "factor": 0.5, "patience": 3}
    yield "constant", {"type": "constant"}, 0.1
    yield "step", step, 0.1
    yield "step_default_gamma", {"type": "step", "step_size": 20}, 0.1
    yield "multi_step", multi, 0.1
    yield "exponential", exponential, 0.1
    yield "cosine", cosine, 0.1
    yield "cosine_eta_min", cosine | {"T_max": 30, "eta_min": 0.01}, 0.1
    yield "one_cycle", one_cycle, 0.02
    yield "one_cycle_linear", one_cycle | {"anneal_strategy": "linear"}, 0.02
    yield "one_cycle_three_phase", one_cycle | {"three_phase": True}, 0.02
    yield (
        "one_cycle_options",
        one_cycle | {"total_steps": 40, "pct_start": 0.4, "div_factor": 10.0, "final_div_factor": 100.0},
        0.05,
    )
    yield "reduce_on_plateau", plateau, 0.1
    yield "reduce_on_plateau_default", {"type": "reduce_on_plateau"}, 0.1
    yield "reduce_on_plateau_cooldown", plateau | {"patience": 1, "cooldown": 4}, 0.1
    yield "reduce_on_plateau_min_lr", plateau | {"patience": 0, "min_lr": 0.01}, 0.1
    yield "reduce_on_plateau_abs", plateau | {"threshold_mode": "abs", "threshold": 0.005}, 0.1
    yield "reduce_on_plateau_max", plateau | {"mode": "max"}, 0.1
    for then in ({"type": "constant"}, step, multi, exponential, cosine | {"T_max": 45}):
        yield (
            f"linear_warmup_{then['type']}",
            {"type": "linear_warmup", "start_factor": 0.1, "total_iters": 5, "then": then},
            0.1,
        )
    yield (
        "linear_warmup_long",
        {"type": "linear_warmup", "start_factor": 1 / 3, "total_iters": 17, "then": exponential},
        0.3,
    )
