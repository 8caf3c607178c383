"""Layers: output, gradients and new running statistics for each layer and notable option.

Tensors of a case: `input`, `cotangent`, `param.NAME`, `state.NAME` (before the step), `output`,
`grad.input`, `grad.NAME`, `new_state.NAME`. The loss is sum(output * cotangent).
"""

import copy

import torch

from . import layer_cases, parametrized
from .spec import build, to_ours
from .writer import both, leaf, normal, random, uniform


def write(writer):
    """Every case of `layer_cases`."""
    for name, layer, shape, options in layer_cases.all_cases():
        case(writer, name, layer, shape, **options)


def case(writer, name, layer, shape, mode="train", batch=3, given=None, scale=1.0):
    """One case: `layer` is one layer or a list of them; `given` is an input to use."""
    layers_ = layer if isinstance(layer, list) else [layer]
    spec = {"name": name, "input": {"shape": shape}, "layers": layers_}
    if given is not None and not given.is_floating_point():
        spec["input"]["dtype"] = "i32"
    rng = random(f"layers/{name}")
    x = normal(rng, batch, *shape, scale=scale) if given is None else given
    model = build(spec)
    fill(model, rng)
    model.train(mode == "train")
    with torch.no_grad():
        cotangent = normal(rng, *copy.deepcopy(model)(x).shape)

    entry = writer.case(name, spec=spec, mode=mode)
    entry.put("input", x)
    entry.put("cotangent", cotangent)
    parameters, _, statistics = to_ours(model)
    for key, value in parameters.items():
        entry.put(f"param.{key}", value)
    for key, value in statistics.items():
        entry.put(f"state.{key}", value.float())

    single, double = both(lambda dtype: run(model, x, cotangent, dtype))
    for key in single:
        if mode == "train" or not key.startswith("new_state."):
            entry.result(key, single[key], double[key])


def run(model, x, cotangent, dtype):
    """Forward and backward in one dtype, on copies."""
    model = copy.deepcopy(model).to(dtype)
    x = leaf(x, dtype) if x.is_floating_point() else x
    output = model(x)
    (output * cotangent.to(dtype)).sum().backward()
    _, gradients, statistics = to_ours(model)
    results = {"output": output}
    if x.is_floating_point():
        results["grad.input"] = x.grad
    results |= {f"grad.{key}": value for key, value in gradients.items()}
    # Counts of batches are integers in either dtype.
    results |= {f"new_state.{key}": value.to(dtype) for key, value in statistics.items()}
    return results


def fill(model, rng):
    """Parameters and running statistics that make mistakes visible: no zeros, no ones."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                value = normal(rng, *parameter.shape, scale=0.5)
            elif name.endswith("bias"):
                value = normal(rng, *parameter.shape, scale=0.3)
            else:  # scales of norms, slopes of PReLU
                value = uniform(rng, *parameter.shape, low=0.2, high=1.5)
            parameter.copy_(value)
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.copy_(normal(rng, *buffer.shape, scale=0.3))
            elif name.endswith("running_var"):
                buffer.copy_(uniform(rng, *buffer.shape, low=0.5, high=1.5))
            elif name.endswith("num_batches_tracked"):
                buffer.fill_(3)
    parametrized.approach(model)
