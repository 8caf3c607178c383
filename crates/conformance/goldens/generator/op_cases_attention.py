"""Cases of attention: (name, op, function, operands)."""

import torch
from torch.nn import functional as F

from .writer import normal, random, vjp

# Samples, heads of queries and of keys, queries, keys, numbers of a key and of a value.
PLAIN = (2, 4, 4, 5, 5, 6, 3)


def all_cases():
    """Every such case, with its gradient."""
    rows = torch.ones(1, 1, 5, 5, dtype=torch.int32).tril().expand(2, 4, 5, 5).clone()
    # A query that sees no key.
    rows[0, :, 2] = 0
    rows[1, 1, 0] = 0
    few = torch.tensor([3, 0], dtype=torch.int32)
    for name, sizes, options, extras in (
        ("", PLAIN, {}, {}),
        ("_scale", PLAIN, {"scale": 0.5}, {}),
        ("_causal", PLAIN, {"is_causal": True}, {}),
        ("_causal_more_keys", (2, 2, 2, 3, 6, 4, 4), {"is_causal": True}, {}),
        ("_causal_more_queries", (2, 2, 2, 6, 3, 4, 4), {"is_causal": True}, {}),
        ("_grouped", (2, 6, 2, 4, 5, 3, 2), {"enable_gqa": True}, {}),
        ("_bias", PLAIN, {}, {"bias": normal(random("ops/attention bias"), 1, 4, 5, 5)}),
        ("_mask", PLAIN, {}, {"mask": rows}),
        ("_lengths", PLAIN, {}, {"lengths": few}),
        ("_long", (1, 1, 1, 40, 300, 8, 4), {}, {}),
    ):
        yield from pair(name, sizes, options, extras)


def pair(name, sizes, options, extras):
    """The attention, and its gradient in queries, keys and values."""
    b, h, g, t, s, d, e = sizes
    rng = random(f"ops/attention{name}")
    operands = [normal(rng, b, h, t, d), normal(rng, b, g, s, d), normal(rng, b, g, s, e)]
    attend = lambda q, k, v, *more: values(q, k, v, dict(zip(extras, more)), options)
    operands += list(extras.values())
    yield f"attention{name}", "attention", attend, operands
    if name in ("", "_grouped", "_mask"):
        dy = normal(rng, b * t * h * e)
        flat = lambda q, k, v, *more: attend(q, k, v, *more).transpose(1, 2).reshape(-1)
        yield (
            f"attention_grad{name}",
            "attention_grad",
            lambda *x: packed_gradient(flat, x),
            operands + [packed(attend, operands), dy],
        )


def values(q, k, v, extras, options):
    """PyTorch's attention, with whatever hides keys as one mask."""
    mask = None
    if "mask" in extras:
        mask = extras["mask"] != 0
    if "lengths" in extras:
        mask = (torch.arange(k.shape[2]) < extras["lengths"][:, None])[:, None, None]
    if "bias" in extras:
        mask = extras["bias"].expand(q.shape[0], q.shape[1], q.shape[2], k.shape[2])
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, **options)


def packed(attend, operands):
    """What the op gives: the values, and what its gradient is told of them."""
    q, k, v, *more = operands
    y = attend(q, k, v, *more).transpose(1, 2).reshape(-1)
    scores = q @ k.repeat_interleave(q.shape[1] // k.shape[1], 1).mT / q.shape[3] ** 0.5
    if more:
        scores = scores.masked_fill(more[0] == 0, -torch.inf)
    sums = scores.logsumexp(-1)
    return torch.cat([y, torch.where(sums.isinf(), 0.0, sums).reshape(-1)])


def packed_gradient(flat, operands):
    """The gradients in queries, keys and values one behind the other."""
    *own, _, dy = operands
    q, k, v, *more = own
    gradients = [vjp(lambda x, i=i: flat(*[x if j == i else o for j, o in enumerate((q, k, v))], *more), x, dy)
                 for i, x in enumerate((q, k, v))]
    return torch.cat([grad.transpose(1, 2).reshape(-1) for grad in gradients])
