"""Cases of rows of a table, and of values through which no gradient passes: (name, op, function, operands)."""

import torch

from .writer import labels, normal, random


def all_cases():
    """Every such case."""
    x = normal(random("ops/detach"), 3, 4)
    yield "detach", "detach", lambda x: torch.sin(x).detach() + x - x.detach(), [x]
    rng = random("ops/rows")
    table, updates = normal(rng, 7, 3), normal(rng, 4, 3)
    few = torch.tensor([5, 0, 6, 2], dtype=torch.int32)
    yield "set_rows", "set_rows", set_rows, [table, few, updates]
    wide = normal(rng, 5, 2, 3)
    outside = torch.tensor([1, -1, 5, 4], dtype=torch.int32)
    yield "set_rows_outside", "set_rows", set_rows, [wide, outside, normal(rng, 4, 2, 3)]
    repeated = labels(rng, 9, 12).int()
    yield "distinct_rows", "distinct_rows", distinct_rows(9), [repeated]
    far = torch.tensor([130, 3, -1, 3, 64, 63, 200, 130], dtype=torch.int32)
    yield "distinct_rows_outside", "distinct_rows", distinct_rows(131), [far]


def set_rows(table, indices, updates):
    """The table with some rows replaced."""
    inside = (indices >= 0) & (indices < table.shape[0])
    # What cannot be differentiated here is not.
    return table.detach().index_copy(0, indices[inside].long(), updates.detach()[inside])


def distinct_rows(rows):
    """The distinct indices twice, with what stands behind them, and the place of each."""

    def of(indices):
        inside = (indices >= 0) & (indices < rows)
        distinct = torch.unique(indices[inside])
        padded = lambda value: torch.nn.functional.pad(distinct, (0, len(indices) - len(distinct)), value=value)
        places = torch.where(inside, torch.searchsorted(distinct, indices), -1)
        return torch.cat([padded(0), padded(-1), places])

    return of
