"""The golden files.

For each family FAMILY (ops, layers, losses, optimizers, schedules, networks, batches):

FAMILY.safetensors   tensors named `CASE/TENSOR`, float32 or int32. Losses of whole networks and
                     learning rates, where float32 would hide what is to be shown, are float64.
FAMILY.json          {"torch": VERSION, "cases": [{"name", "f32_error": {TENSOR: ERROR}, ...}]}:
                     what is needed to build each case, and PyTorch's own float32 error: the
                     largest |float32 result - float64 result| over the tensor's elements.
"""

import json
import zlib

import numpy
import torch
from safetensors.numpy import save


class Writer:
    """Collects the cases of one family."""

    def __init__(self, family):
        self.family = family
        self.cases = []
        self.tensors = {}

    def case(self, name, **fields):
        """Starts a case; `fields` are JSON values that say how to build it."""
        if any(case["name"] == name for case in self.cases):
            raise ValueError(f"{self.family}: the case {name} exists twice")
        self.cases.append({"name": name, **fields, "f32_error": {}})
        return Case(self, self.cases[-1])

    def files(self):
        """The bytes of both files by name."""
        # One case a line: a change to a case is one line of a diff.
        lines = ",\n".join(json.dumps(case) for case in self.cases)
        text = f'{{"torch": "{torch.__version__.split("+")[0]}", "cases": [\n{lines}\n]}}\n'
        tensors = save(dict(sorted(self.tensors.items())))
        return {f"{self.family}.safetensors": tensors, f"{self.family}.json": text.encode()}


class Case:
    """One case that is being written."""

    def __init__(self, writer, entry):
        self.writer = writer
        self.entry = entry

    def put(self, name, value):
        """Stores what is given: inputs, targets, learning rates."""
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else numpy.asarray(value)
        if array.dtype == numpy.int64:
            array = array.astype(numpy.int32)
        if array.dtype not in (numpy.float32, numpy.float64, numpy.int32):
            raise TypeError(f"{self.entry['name']}/{name}: cannot store {array.dtype}")
        key = f"{self.entry['name']}/{name}"
        if key in self.writer.tensors:
            raise ValueError(f"{self.writer.family}: the tensor {key} exists twice")
        self.writer.tensors[key] = numpy.array(array, order="C")

    def result(self, name, single, double):
        """Stores a result: the float64 one rounded once, and PyTorch's float32 error."""
        single, double = single.detach(), double.detach()
        if single.dtype != torch.float32 or double.dtype != torch.float64:
            raise TypeError(f"{self.entry['name']}/{name}: {single.dtype} and {double.dtype}")
        self.error(name, single, double)
        self.put(name, double.float().contiguous())

    def error(self, name, single, double):
        """Notes PyTorch's float32 error alone. What is infinite or undefined must be so in both."""
        finite = double.isfinite()
        if not torch.equal(single[~finite].nan_to_num(), double[~finite].float().nan_to_num()):
            raise ValueError(f"{self.entry['name']}/{name}: {single} and {double}")
        single, double = single[finite], double[finite]
        if double.numel():
            error = (single.double() - double).abs().max().item()
            if not error < 1e-2 * (1 + double.abs().max().item()):
                raise ValueError(f"{self.entry['name']}/{name}: PyTorch's f32 is off by {error}")
            self.entry["f32_error"][name] = float(f"{error:.2e}")


def random(name):
    """A generator of random numbers that depends on the case's name alone, so that adding a
    case changes no other one."""
    return numpy.random.Generator(numpy.random.PCG64(zlib.crc32(name.encode())))


def normal(rng, *shape, scale=1.0):
    """Normal float32 numbers."""
    values = rng.standard_normal(shape) * scale
    return torch.from_numpy(numpy.asarray(values, dtype=numpy.float32).reshape(shape))


def uniform(rng, *shape, low=0.0, high=1.0):
    """Uniform float32 numbers."""
    values = rng.uniform(low, high, shape)
    return torch.from_numpy(numpy.asarray(values, dtype=numpy.float32).reshape(shape))


def labels(rng, classes, *shape):
    """Uniform class labels."""
    return torch.from_numpy(rng.integers(0, classes, shape).astype(numpy.int64))


def leaf(tensor, dtype):
    """A copy in `dtype` whose gradient is wanted."""
    return tensor.detach().to(dtype, copy=True).requires_grad_()


def both(function):
    """The results of `function(dtype)` in float32 and in float64."""
    return function(torch.float32), function(torch.float64)


def vjp(function, argument, grad):
    """The gradient of `function` at `argument`, still differentiable."""
    argument = argument if argument.requires_grad else argument.detach().requires_grad_()
    return torch.autograd.grad(function(argument), argument, grad, create_graph=True)[0]
