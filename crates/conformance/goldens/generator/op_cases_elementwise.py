"""Cases of elementwise ops: (name, op, function, operands)."""

import torch

from .writer import normal, random, uniform

# Kinks, both zeros, tiny, tails. Beyond +-88 e^x leaves float32.
EDGES = torch.tensor(
    [0.0, -0.0, 1e-8, -1e-8, 1e-3, -1e-3, 1.0, -1.0, 2.5, -2.5, 10.0, -10.0, 40.0, -40.0, 87.0, -87.0]
)
POSITIVE_EDGES = torch.tensor([1e-30, 1e-8, 1e-3, 0.5, 1.0, 1.0000001, 1.5, 1e3, 1e8, 1e30])

CONSTANT = torch.tensor([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]])

UNARY = {
    "neg": torch.neg,
    "abs": torch.abs,
    "sign": torch.sign,
    "floor": torch.floor,
    "exp": torch.exp,
    "expm1": torch.expm1,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "erf": torch.erf,
    "relu": torch.relu,
}
POSITIVE = {
    "log": torch.log,
    "log1p": torch.log1p,
    "sqrt": torch.sqrt,
    "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal,
}
BINARY = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "div": torch.div,
    "max": torch.maximum,
    "min": torch.minimum,
    "pow": torch.pow,
}
COMPARE = {"eq": torch.eq, "ne": torch.ne, "lt": torch.lt, "le": torch.le, "gt": torch.gt, "ge": torch.ge}


def all_cases():
    """Every elementwise case."""
    yield from unary()
    yield from binary()
    yield from others()


def unary():
    for op, function in UNARY.items():
        yield op, op, function, [normal(random(f"ops/{op}"), 3, 7, scale=2.0)]
        yield f"{op}_edges", op, function, [EDGES]
    for op, function in POSITIVE.items():
        yield op, op, function, [uniform(random(f"ops/{op}"), 3, 7, low=0.1, high=4.0)]
        # x^-1.5 of the tiny ones would leave float32.
        edges = POSITIVE_EDGES[1:-1] if op in ("rsqrt", "reciprocal", "sqrt") else POSITIVE_EDGES
        yield f"{op}_edges", op, function, [edges]


def binary():
    shapes = {
        "": ((3, 7), (3, 7)),
        "_broadcast": ((3, 1, 4), (2, 1)),
        "_row": ((5, 4), (4,)),
        "_scalar": ((5, 4), ()),
    }
    for op, function in BINARY.items():
        for suffix, (a, b) in shapes.items():
            rng = random(f"ops/{op}{suffix}")
            if op == "pow":
                operands = [uniform(rng, *a, low=0.2, high=3.0), normal(rng, *b, scale=2.0)]
            elif op == "div":
                operands = [normal(rng, *a), uniform(rng, *b, low=0.3, high=3.0)]
            else:
                operands = [normal(rng, *a, scale=2.0), normal(rng, *b, scale=2.0)]
            yield op + suffix, op, function, operands
    # Ties: each side gets half of the gradient.
    ties = [torch.tensor([1.0, 2.0, -1.0, 0.0, 3.0]), torch.tensor([1.0, -2.0, -1.0, 0.0, 4.0])]
    yield "max_ties", "max", torch.maximum, ties
    yield "min_ties", "min", torch.minimum, ties
    # Where one side is infinite or undefined, the other's gradient is 0, not 0 times that.
    wild = [
        torch.tensor([torch.inf, torch.nan, 1.0, -torch.inf, -torch.inf]),
        torch.tensor([1.0, 1.0, torch.nan, -torch.inf, 2.0]),
    ]
    yield "max_infinite", "max", torch.maximum, wild
    yield "min_infinite", "min", torch.minimum, wild
    yield "div_negative", "div", torch.div, [torch.tensor([1.0, -2.0, 0.0]), torch.tensor([-4.0, 0.5, -3.0])]
    yield (
        "pow_edges",
        "pow",
        torch.pow,
        [torch.tensor([0.0, 0.0, 1.0, 4.0, 9.0, 2.0]), torch.tensor([2.0, 1.0, 0.0, 0.5, -0.5, 10.0])],
    )
    # 0 to powers that are not positive.
    yield (
        "pow_zero",
        "pow",
        torch.pow,
        [torch.tensor([0.0, 0.0, 0.0, torch.inf, 2.0]), torch.tensor([0.0, -1.0, 0.5, 0.0, 3.0])],
    )


def others():
    a = torch.tensor([[1.0, 2.0, -1.0, 0.0], [3.0, -0.0, 0.5, -2.0]])
    b = torch.tensor([[1.0, -2.0, 1.0, -0.0], [4.0, 0.0, 0.25, -2.0]])
    for op, function in COMPARE.items():
        # Comparisons are 1 where they hold, else 0, and have no gradient.
        yield op, op, lambda x, y, f=function: f(x.detach(), y.detach()).float(), [a, b]
    rng = random("ops/constant")
    table = normal(rng, 2, 3)
    yield "constant_scalar", "constant", lambda x: x * 1.75, [normal(rng, 2, 3)]
    yield "constant_tensor", "constant", lambda x: x * CONSTANT.to(x.dtype), [table]
    yield "constant_indices", "constant", lambda x: x[[1, 0, 1]], [table]
    rng = random("ops/select")
    condition = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    yield (
        "select",
        "select",
        lambda c, x, y: torch.where(c != 0, x, y),
        [condition, normal(rng, 2, 3), normal(rng, 2, 3)],
    )
    values = torch.tensor([0.0, -0.0, 0.9, -0.9, 1.5, -1.5, 2.5, 1e6, -1e6, 16777216.0])
    yield "cast_i32", "cast", lambda x: x.detach().to(torch.int32), [values]
    yield (
        "cast_f32",
        "cast",
        lambda x: x.to(torch.float32),
        [torch.tensor([0, 1, -1, 7, 16777216, -2147483648], dtype=torch.int32)],
    )
    for name, dtype in (("f16", torch.float16), ("bf16", torch.bfloat16)):
        rng = random(f"ops/cast_{name}")
        # There and back: rounding to nearest even.
        yield (
            f"cast_{name}",
            "cast",
            lambda x, d=dtype: x.detach().to(d).to(torch.float32),
            [
                torch.cat(
                    [normal(rng, 20, scale=30.0), torch.tensor([1.0009765625, 1.00390625, 65504.0, 6e-8])]
                )
            ],
        )
