"""Cases of matrix products, softmax and cross-entropy: (name, op, function, operands)."""

import torch
from torch.nn import functional as F

from .writer import labels, normal, random, vjp


def all_cases():
    """Every such case."""
    yield from products()
    yield from softmaxes()
    yield from cross_entropies()


def products():
    def transposed(a, b):
        return lambda x, y: (x.mT if a else x) @ (y.mT if b else y)

    for a in (False, True):
        for b in (False, True):
            name = f"matmul{'_transpose_a' if a else ''}{'_transpose_b' if b else ''}"
            rng = random(f"ops/{name}")
            yield (
                name,
                "matmul",
                transposed(a, b),
                [normal(rng, *((3, 4) if a else (4, 3))), normal(rng, *((5, 3) if b else (3, 5)))],
            )
            yield (
                f"{name}_batched",
                "matmul",
                transposed(a, b),
                [normal(rng, 2, *((3, 4) if a else (4, 3))), normal(rng, 2, *((5, 3) if b else (3, 5)))],
            )
    rng = random("ops/matmul sizes")
    yield "matmul_row", "matmul", torch.matmul, [normal(rng, 1, 9), normal(rng, 9, 4)]
    yield "matmul_column", "matmul", torch.matmul, [normal(rng, 6, 9), normal(rng, 9, 1)]
    yield "matmul_outer", "matmul", torch.matmul, [normal(rng, 6, 1), normal(rng, 1, 5)]
    yield "matmul_long", "matmul", torch.matmul, [normal(rng, 3, 301), normal(rng, 301, 2)]
    yield "matmul_odd", "matmul", torch.matmul, [normal(rng, 17, 33), normal(rng, 33, 19)]
    yield "matmul_two_batch_axes", "matmul", torch.matmul, [normal(rng, 2, 3, 4, 5), normal(rng, 2, 3, 5, 2)]


def softmaxes():
    far = torch.tensor([[1e4, 0.0, -1e4, 1e4], [-500.0, -501.0, -502.0, -500.5], [0.0, 0.0, 0.0, 0.0]])
    for op, function in (("softmax", torch.softmax), ("log_softmax", torch.log_softmax)):
        last = lambda x, f=function: f(x, -1)
        yield op, op, last, [normal(random(f"ops/{op}"), 3, 7, scale=3.0)]
        yield f"{op}_rank3", op, last, [normal(random(f"ops/{op} rank"), 2, 3, 5)]
        yield f"{op}_one", op, last, [normal(random(f"ops/{op} one"), 3, 1)]
        yield f"{op}_far", op, last, [far]


def cross_entropies():
    far = torch.tensor([[1e4, 0.0, -1e4], [-1e4, -1e4 + 1, -1e4 - 1], [88.0, 100.0, 1000.0]])
    rng = random("ops/cross_entropy")
    for name, logits, targets, smoothing in (
        ("", normal(rng, 5, 4, scale=2.0), labels(rng, 4, 5), 0.0),
        ("_smoothing", normal(rng, 5, 4, scale=2.0), labels(rng, 4, 5), 0.125),
        ("_one_class", normal(rng, 3, 1), labels(rng, 1, 3), 0.0),
        ("_far", far, torch.tensor([1, 0, 2]), 0.0),
    ):
        loss = lambda x, y, e=smoothing: F.cross_entropy(x, y.long(), reduction="none", label_smoothing=e)
        targets = targets.int()
        yield f"cross_entropy{name}", "cross_entropy", loss, [logits, targets]
        grad = normal(random(f"ops/cross_entropy_grad{name}"), logits.shape[0])
        yield (
            f"cross_entropy_grad{name}",
            "cross_entropy_grad",
            lambda x, y, g, f=loss: vjp(lambda a: f(a, y), x, g),
            [logits, targets, grad],
        )
