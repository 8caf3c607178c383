"""Primitive ops: value and gradient of each.

Tensors of a case: `x0`, `x1`, ... (operands, float32 or int32), `output`, and for results that can
be differentiated `cotangent` and `grad.0`, `grad.1`, ... (of each float operand). The loss is
sum(output * cotangent). The field `op` names the primitive.
"""

import torch

from . import (
    op_cases_attention,
    op_cases_elementwise,
    op_cases_linear,
    op_cases_random,
    op_cases_recurrence,
    op_cases_rows,
    op_cases_shape,
    op_cases_strings,
    op_cases_windows,
)
from .writer import both, leaf, normal, random

FAMILIES = (
    op_cases_elementwise,
    op_cases_shape,
    op_cases_linear,
    op_cases_windows,
    op_cases_attention,
    op_cases_recurrence,
    op_cases_rows,
    op_cases_strings,
)


def write(writer):
    """Every op with its notable attributes and edges."""
    for family in FAMILIES:
        for name, op, function, operands in family.all_cases():
            case(writer, name, op, function, operands)
    op_cases_random.write(writer)


def case(writer, name, op, function, operands):
    """One case: `function` computes the op in PyTorch."""
    entry = writer.case(name, op=op)
    for i, operand in enumerate(operands):
        entry.put(f"x{i}", operand)
    output = function(*[leaf(x, torch.float32) if x.is_floating_point() else x for x in operands])
    if not output.requires_grad:
        values = both(
            lambda dtype: function(*[x.to(dtype) if x.is_floating_point() else x for x in operands])
        )
        if output.is_floating_point():
            entry.result("output", values[0].float(), values[1].double())
        else:
            entry.put("output", values[1].int())
        return
    cotangent = normal(random(f"ops/{name}/cotangent"), *output.shape)
    entry.put("cotangent", cotangent)
    single, double = both(lambda dtype: run(function, operands, cotangent, dtype))
    for key in single:
        entry.result(key, single[key], double[key])


def run(function, operands, cotangent, dtype):
    """Value and gradients in one dtype, on copies."""
    operands = [leaf(x, dtype) if x.is_floating_point() else x for x in operands]
    output = function(*operands)
    (output * cotangent.to(dtype)).sum().backward()
    results = {"output": output}
    for i, x in enumerate(operands):
        if x.is_floating_point():
            results[f"grad.{i}"] = torch.zeros_like(x) if x.grad is None else x.grad
    return results
