"""Losses of several outputs, or of none but the model's own, and of strings.

Tensors of a case: `prediction`, `second` and `third` where there are as many outputs, `target` where there is
one, `weight` where samples have weights, `loss`, and a gradient for each output that is f32.
"""

import torch
from torch.nn import functional as F

from .writer import both, labels, leaf, normal, random, uniform

NAMES = ("prediction", "second", "third")


def write(writer):
    """Every loss with its options."""
    for name, spec, outputs, target, *weight in cases():
        entry = writer.case(name, spec=spec)
        for key, output in zip(NAMES, outputs):
            entry.put(key, output)
        if target is not None:
            entry.put("target", target)
        for of_samples in weight:
            entry.put("weight", of_samples)
        single, double = both(lambda dtype: run(spec, outputs, target, dtype, *weight))
        for key in single:
            entry.result(key, single[key], double[key])


def run(spec, outputs, target, dtype, weight=None):
    """Value and gradients in one dtype, on copies."""
    outputs = [leaf(x, dtype) if x.is_floating_point() else x for x in outputs]
    if target is not None and target.is_floating_point():
        target = target.to(dtype)
    options = {k: v for k, v in spec.items() if k not in ("type", "reduction")}
    each = LOSSES[spec["type"]](outputs, target, **options, reduction=spec.get("reduction", "mean"))
    if spec.get("reduction") == "sum":
        value = each.sum()
    elif weight is None:
        value = each.mean()
    else:
        w = weight.to(dtype).reshape(-1, *[1] * (each.dim() - 1)).expand(each.shape)
        value = (each * w).sum() / w.sum()
    value.backward()
    grads = {f"grad.{key}": x.grad for key, x in zip(NAMES, outputs) if x.is_floating_point()}
    return {"loss": value} | grads


def ranking(outputs, target, reduction, margin=0.0):
    return F.margin_ranking_loss(*outputs, target, margin=margin, reduction="none")


def triplet(outputs, _, reduction, **options):
    return F.triplet_margin_loss(*outputs, **options, reduction="none")


def cosine(outputs, target, reduction, margin=0.0):
    return F.cosine_embedding_loss(*outputs, target, margin=margin, reduction="none")


def gaussian(outputs, target, reduction, full=False, eps=1e-6):
    mean, var = outputs
    return F.gaussian_nll_loss(mean, target, var, full=full, eps=eps, reduction="none")


def vae_kl(outputs, _, reduction):
    """Of each sample, by the distributions themselves."""
    mean, log_var = outputs
    own = torch.distributions.Normal(mean, torch.exp(log_var / 2))
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    return torch.distributions.kl_divergence(own, standard).flatten(1).sum(1)


def nt_xent(outputs, _, reduction, temperature=0.5):
    """As the paper has it: a view of a pair against all other views."""
    first, second = outputs if len(outputs) == 2 else outputs[0].unbind(1)
    views = torch.cat([first, second])
    n = first.shape[0]
    similar = F.cosine_similarity(views[:, None], views[None], dim=2) / temperature
    similar = similar.masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    partner = (torch.arange(2 * n) + n) % (2 * n)
    each = F.cross_entropy(similar, partner, reduction="none")
    return (each[:n] + each[n:]) / 2


def ctc(outputs, target, reduction, blank=0, length=None, zero_infinity=False):
    logits, *steps = outputs
    counts = (target >= 0) & (target != blank)
    lengths = counts.sum(1)
    steps = steps[0].long() if steps else torch.full((logits.shape[0],), logits.shape[1])
    each = F.ctc_loss(
        logits.log_softmax(2).transpose(0, 1),
        target.long().clamp(min=0),
        steps,
        lengths,
        blank=blank,
        reduction="none",
        zero_infinity=zero_infinity,
    )
    return each / lengths.clamp(min=1) if reduction == "mean" else each


LOSSES = {
    "margin_ranking": ranking,
    "triplet_margin": triplet,
    "cosine_embedding": cosine,
    "gaussian_nll": gaussian,
    "vae_kl": vae_kl,
    "nt_xent": nt_xent,
    "ctc": ctc,
}


def cases():
    """(name, description, outputs, target) of every case."""
    total = {"reduction": "sum"}
    of_four = torch.tensor([0.5, 0.0, 3.0, 1.0])
    for name, kind, options, count, shape, target, *weight in (
        ("margin_ranking", "margin_ranking", {}, 2, (5, 3), "sign"),
        ("margin_ranking_margin_sum", "margin_ranking", {"margin": 0.7} | total, 2, (4,), "sign"),
        ("margin_ranking_of_samples", "margin_ranking", {"margin": 0.2}, 2, (4, 3), "sign", of_four),
        ("triplet_margin", "triplet_margin", {}, 3, (6, 4), None),
        ("triplet_margin_swap", "triplet_margin", {"swap": True, "margin": 2.0}, 3, (6, 4), None),
        ("triplet_margin_one", "triplet_margin", {"p": 1.0, "eps": 1e-3}, 3, (3, 2, 4), None),
        ("triplet_margin_three_sum", "triplet_margin", {"p": 3.0} | total, 3, (6, 4), None),
        ("cosine_embedding", "cosine_embedding", {}, 2, (6, 4), "rows"),
        ("cosine_embedding_margin_sum", "cosine_embedding", {"margin": 0.3} | total, 2, (6, 4), "rows"),
        ("gaussian_nll", "gaussian_nll", {}, 2, (5, 3), "numbers"),
        ("gaussian_nll_full", "gaussian_nll", {"full": True}, 2, (5, 3), "numbers"),
        ("gaussian_nll_one_variance_sum", "gaussian_nll", total, 2, (5, 3), "numbers"),
        ("vae_kl", "vae_kl", {}, 2, (5, 3), None),
        ("vae_kl_sum", "vae_kl", total, 2, (3, 2, 2), None),
        ("nt_xent", "nt_xent", {}, 2, (5, 4), None),
        ("nt_xent_stacked", "nt_xent", {"temperature": 0.1}, 1, (4, 2, 3), None),
        ("nt_xent_of_samples", "nt_xent", {}, 2, (4, 3), None, of_four),
    ):
        rng = random(f"losses/{name}")
        outputs = [normal(rng, *shape) for _ in range(count)]
        if kind == "gaussian_nll":
            outputs[1] = uniform(rng, 5, 1 if "one" in name else 3, low=0.2, high=2.0)
        signs = 2.0 * labels(rng, 2, *shape).float() - 1.0
        wanted = {"sign": signs, "rows": signs[:, 0] if len(shape) > 1 else signs, "numbers": normal(rng, *shape)}
        yield name, {"type": kind} | options, outputs, wanted.get(target), *weight
    yield from strings()


def strings():
    """Labels with repeats, strings of all lengths from none on."""
    target = torch.tensor([[1, 2, 2], [3, -1, -1], [-1, -1, -1], [2, 1, -1]], dtype=torch.int32)
    steps = torch.tensor([7, 2, 4, 5], dtype=torch.int32)
    other = torch.where(target == 2, 0, target)
    never = torch.tensor([[1, 1, 1], [3, 2, -1], [2, 2, 1], [2, 1, -1]], dtype=torch.int32)
    for name, options, more, wanted in (
        ("ctc", {}, [], target),
        ("ctc_lengths", {}, [steps], target),
        ("ctc_sum", {"reduction": "sum"}, [], target),
        ("ctc_blank", {"blank": 2}, [], other),
        ("ctc_zero_infinity", {"zero_infinity": True}, [torch.tensor([4, 7, 3, 5], dtype=torch.int32)], never),
    ):
        rng = random(f"losses/{name}")
        yield name, {"type": "ctc", "length": 3} | options, [normal(rng, 4, 7, 4), *more], wanted
