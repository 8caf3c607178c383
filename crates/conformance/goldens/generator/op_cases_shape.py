"""Cases of reductions and of movement: (name, op, function, operands)."""

import torch
from torch.nn import functional as F

from .writer import labels, normal, random


def all_cases():
    """Every such case."""
    yield from reductions()
    yield from movement()
    yield from tables()
    yield from along()


def reductions():
    x = normal(random("ops/reduce"), 3, 4, 5)
    axes = {"last": [2], "first": [0], "middle": [1], "outer": [0, 2], "all": [0, 1, 2]}
    functions = {"sum": torch.sum, "mean": torch.mean, "max": torch.amax, "min": torch.amin}
    for kind, function in functions.items():
        for name, dims in axes.items():
            yield (
                f"reduce_{kind}_{name}",
                f"reduce_{kind}",
                lambda x, f=function, d=dims: f(x, dim=d, keepdim=True),
                [x],
            )
    # Ties share the gradient evenly.
    ties = torch.tensor([[1.0, 3.0, 3.0, -1.0], [2.0, 2.0, 2.0, 2.0]])
    for kind in ("max", "min"):
        function = functions[kind]
        yield (
            f"reduce_{kind}_ties",
            f"reduce_{kind}",
            lambda x, f=function: f(x, dim=[1], keepdim=True),
            [ties],
        )
    many = normal(random("ops/reduce_many"), 2, 1000) + 1.0
    yield "reduce_sum_many", "reduce_sum", lambda x: torch.sum(x, dim=[1], keepdim=True), [many]
    yield "reduce_mean_many", "reduce_mean", lambda x: torch.mean(x, dim=[1], keepdim=True), [many]
    for name, dims in (("last", [2]), ("outer", [0, 2])):
        centre = normal(random(f"ops/variance {name}"), *[1 if i in dims else n for i, n in enumerate(x.shape)])
        yield (
            f"variance_{name}",
            "variance",
            lambda x, c, d=dims: ((x - c) ** 2).mean(dim=d, keepdim=True),
            [x, centre],
        )
    # Around the mean, where PyTorch has a function of its own.
    pictures = normal(random("ops/variance pictures"), 4, 3, 5, 6)
    yield (
        "variance_channels",
        "variance",
        lambda x: torch.var(x, dim=[0, 2, 3], correction=0, keepdim=True),
        [pictures],
    )
    # A mean far from 0: the mean of squares would have lost all digits.
    yield (
        "variance_far",
        "variance",
        lambda x: torch.var(x, dim=[1], correction=0, keepdim=True),
        [torch.tensor([[4096.0, 4097.0, 4098.0, 4099.0], [-4096.0, -4096.5, -4095.5, -4096.0]])],
    )
    yield "argmax_last", "argmax", lambda x: torch.argmax(x.detach(), dim=2), [x]
    yield "argmax_first", "argmax", lambda x: torch.argmax(x.detach(), dim=0), [x]
    # The first of equal ones.
    yield "argmax_ties", "argmax", lambda x: torch.argmax(x.detach(), dim=1), [ties]


def movement():
    x = normal(random("ops/movement"), 2, 3, 4)
    yield "reshape", "reshape", lambda x: x.reshape(4, 6), [x]
    yield "reshape_scalar", "reshape", lambda x: x.reshape(()), [torch.tensor([[2.5]])]
    for order in ((1, 0, 2), (2, 1, 0), (0, 2, 1), (2, 0, 1)):
        name = "".join(map(str, order))
        yield f"permute_{name}", "permute", lambda x, o=order: x.permute(*o), [x]
    pictures = normal(random("ops/permute"), 2, 3, 4, 5)
    yield "permute_to_channels_last", "permute", lambda x: x.permute(0, 2, 3, 1), [pictures]
    yield "broadcast_rows", "broadcast", lambda x: x.expand(4, 5), [normal(random("ops/rows"), 1, 5)]
    yield "broadcast_columns", "broadcast", lambda x: x.expand(4, 5), [normal(random("ops/columns"), 4, 1)]
    yield (
        "broadcast_middle",
        "broadcast",
        lambda x: x.expand(2, 3, 4),
        [normal(random("ops/middle"), 2, 1, 4)],
    )
    yield "broadcast_rank", "broadcast", lambda x: x.expand(2, 3, 4), [normal(random("ops/rank"), 4)]
    yield "broadcast_scalar", "broadcast", lambda x: x.expand(2, 3), [torch.tensor(1.5)]
    yield "slice", "slice", lambda x: x[0:2, 1:3, 2:4], [x]
    yield "slice_one", "slice", lambda x: x[1:2, 0:3, 0:1], [x]
    yield "concat_first", "concat", lambda a, b: torch.cat([a, b], 0), pieces((2, 3), (4, 3))
    yield (
        "concat_last",
        "concat",
        lambda a, b, c: torch.cat([a, b, c], 2),
        pieces((2, 3, 1), (2, 3, 4), (2, 3, 2)),
    )
    yield "concat_middle", "concat", lambda a, b: torch.cat([a, b], 1), pieces((2, 1, 3), (2, 2, 3))
    # F.pad counts from the last axis: low, high.
    yield "pad", "pad", lambda x: F.pad(x, (2, 1, 0, 3, 1, 0)), [x]
    yield "pad_value", "pad", lambda x: F.pad(x, (1, 1, 1, 0), value=-7.5), [x]


def pieces(*shapes):
    rng = random(f"ops/concat {shapes}")
    return [normal(rng, *shape) for shape in shapes]


def tables():
    rng = random("ops/tables")
    table, rows = normal(rng, 5, 3), torch.tensor([4, 0, 4, 2], dtype=torch.int32)
    yield "gather", "gather", lambda t, i: t[i.long()], [table, rows]
    yield (
        "gather_matrix",
        "gather",
        lambda t, i: t[i.long()],
        [normal(rng, 6, 2, 2), labels(rng, 6, 3, 4).int()],
    )
    values = normal(rng, 4, 3)
    yield (
        "scatter_add",
        "scatter_add",
        lambda i, v: torch.zeros(5, 3, dtype=v.dtype).index_add(0, i.long(), v),
        [rows, values],
    )


def along():
    """Picking, summing and sorting along one axis."""
    rng = random("ops/along")
    x = normal(rng, 3, 4, 5)
    for name, axis, shape in (("first", 0, (6, 4, 5)), ("middle", 1, (3, 2, 5)), ("last", 2, (3, 4, 7))):
        indices = labels(rng, x.shape[axis], *shape).int()
        yield (
            f"gather_along_{name}",
            "gather_along",
            lambda x, i, axis=axis: torch.gather(x, axis, i.long()),
            [x, indices],
        )
    for name, axis, size in (("first", 0, 4), ("middle", 1, 6), ("last", 2, 3)):
        zeros = [size if i == axis else n for i, n in enumerate(x.shape)]
        yield (
            f"scatter_along_{name}",
            "scatter_along",
            lambda i, v, axis=axis, zeros=zeros: torch.zeros(zeros, dtype=v.dtype).scatter_add(
                axis, i.long(), v
            ),
            [labels(rng, size, *x.shape).int(), normal(rng, *x.shape)],
        )
    for name, axis in (("first", 0), ("middle", 1), ("last", 2)):
        yield f"cumsum_{name}", "cumsum", lambda x, axis=axis: torch.cumsum(x, axis), [x]
    yield "cumsum_reverse", "cumsum", lambda x: torch.cumsum(x.flip(1), 1).flip(1), [x]
    many = normal(rng, 2, 1000) + 1.0
    yield "cumsum_many", "cumsum", lambda x: torch.cumsum(x, 1), [many]
    for name, axis, descending in (("last", 2, False), ("first", 0, False), ("descending", 1, True)):
        yield (
            f"argsort_{name}",
            "argsort",
            lambda x, axis=axis, d=descending: torch.argsort(x.detach(), dim=axis, descending=d, stable=True),
            [x],
        )
        yield (
            f"sort_{name}",
            "gather_along",
            lambda x, axis=axis, d=descending: torch.sort(x, dim=axis, descending=d, stable=True).values,
            [x],
        )
    ties = torch.tensor([[1.0, 3.0, -0.0, 3.0, 0.0, torch.nan], [2.0, 2.0, torch.inf, 2.0, -torch.inf, 2.0]])
    for name, descending in (("ties", False), ("ties_descending", True)):
        yield (
            f"argsort_{name}",
            "argsort",
            lambda x, d=descending: torch.argsort(x.detach(), dim=1, descending=d, stable=True),
            [ties],
        )
    yield "top_k_last", "gather_along", lambda x: torch.topk(x, 2, 2).values, [x]
    yield "top_k_first", "gather_along", lambda x: torch.topk(x, 3, 0).values, [x]
