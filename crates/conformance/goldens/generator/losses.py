"""Losses: value and gradient of the prediction.

Tensors of a case: `prediction`, `target`, where samples have weights `weight`, `loss`,
`grad.prediction`.
"""

import torch
from torch.nn import functional as F
from torchvision.ops import sigmoid_focal_loss

from . import loss_cases_classes as classes
from .writer import both, labels, leaf, normal, random, uniform


def write(writer):
    """Every loss with its options."""
    for name, spec, prediction, target, *weight in cases():
        entry = writer.case(name, spec=spec)
        entry.put("prediction", prediction)
        entry.put("target", target)
        for of_samples in weight:
            entry.put("weight", of_samples)
        single, double = both(lambda dtype: run(spec, prediction, target, dtype, *weight))
        for key in single:
            entry.result(key, single[key], double[key])


def run(spec, prediction, target, dtype, weight=None):
    """Value and gradient in one dtype, on copies."""
    prediction = leaf(prediction, dtype)
    target = target.to(dtype) if target.is_floating_point() else target
    if weight is None:
        value = loss(spec, prediction, target)
    else:
        value = weighted(spec, prediction, target, weight.to(dtype))
    value.backward()
    return {"loss": value, "grad.prediction": prediction.grad}


def weighted(spec, prediction, target, weight):
    """With a weight a sample: sum(w l) / sum(w), where `w` has the weight of the class too."""
    options = {"type": spec} if isinstance(spec, str) else dict(spec)
    mean = options.get("reduction", "mean") == "mean"
    each = loss(options | {"reduction": "none"}, prediction, target)
    w = weight.reshape(-1, *[1] * (each.dim() - 1)).expand(each.shape)
    total = (each * w).sum()
    if not mean:
        return total
    if options["type"] in ("cross_entropy", "nll") and not target.is_floating_point():
        ignored = target == options.get("ignore_index", -100)
        classes = torch.tensor(options.get("weight", [1.0] * prediction.shape[1]), dtype=torch.float32)
        of_classes = classes.to(w.dtype)[target.masked_fill(ignored, 0)]
        w = (w * of_classes).masked_fill(ignored, 0.0)
    return total / w.sum()


def log_cosh(prediction, target, _):
    """log cosh(p - t)."""
    return torch.log(torch.cosh(prediction - target))


def tversky(prediction, target, options):
    """1 - (b + s) / (b + alpha f + beta m + s) of each sample."""
    p, axes = torch.sigmoid(prediction), tuple(range(1, prediction.dim()))
    both, false, missed = (x.sum(axes) for x in (p * target, p * (1 - target), (1 - p) * target))
    smooth = options.get("smooth", 1.0)
    under = both + options.get("alpha", 0.5) * false + options.get("beta", 0.5) * missed
    return 1 - (both + smooth) / (under + smooth)


def dice(prediction, target, options):
    """1 - (2 sum(p t) + s) / (sum(p) + sum(t) + s) of each sample."""
    p, axes = torch.sigmoid(prediction), tuple(range(1, prediction.dim()))
    smooth = options.get("smooth", 1.0)
    over = 2 * (p * target).sum(axes) + smooth
    return 1 - over / (p.sum(axes) + target.sum(axes) + smooth)


def formula(prediction, target, options):
    """A formula of y and t, in Python's terms."""
    names = {"y": prediction, "t": target, "log": torch.log, "exp": torch.exp}
    return eval(options["loss"].replace("^", "**"), names)  # noqa: S307: the cases are our own


# What PyTorch has no function for: the losses of elements or samples, by the equation.
BEYOND = {"log_cosh": log_cosh, "tversky": tversky, "dice": dice, "formula": formula}


def loss(spec, prediction, target):
    """The value of a loss description, a string or an object."""
    options = {} if isinstance(spec, str) else {k: v for k, v in spec.items() if k != "type"}
    kind = spec if isinstance(spec, str) else spec["type"]
    reduction = options.get("reduction", "mean")

    def vector(name):
        values = options.get(name)
        return None if values is None else torch.tensor(values, dtype=torch.float32).to(prediction.dtype)

    if kind == "cross_entropy":
        smoothing = options.get("label_smoothing", 0.0)
        return F.cross_entropy(
            prediction,
            target,
            label_smoothing=smoothing,
            weight=vector("weight"),
            ignore_index=options.get("ignore_index", -100),
            reduction=reduction,
        )
    if kind == "kl_div":
        log_target = options.get("log_target", False)
        return F.kl_div(prediction, target, reduction=reduction, log_target=log_target)
    if kind in BEYOND:
        each = BEYOND[kind](prediction, target, options)
        return each if reduction == "none" else getattr(each, reduction)()
    functions = {
        "bce": F.binary_cross_entropy,
        "soft_margin": F.soft_margin_loss,
        "multilabel_margin": F.multilabel_margin_loss,
        "multilabel_soft_margin": lambda p, t, reduction: F.multilabel_soft_margin_loss(
            p, t, weight=vector("weight"), reduction=reduction
        ),
        "multi_margin": lambda p, t, reduction: F.multi_margin_loss(
            p,
            t,
            p=options.get("p", 1),
            margin=options.get("margin", 1.0),
            weight=vector("weight"),
            reduction=reduction,
        ),
        "hinge_embedding": lambda p, t, reduction: F.hinge_embedding_loss(
            p, t, margin=options.get("margin", 1.0), reduction=reduction
        ),
        "poisson_nll": lambda p, t, reduction: F.poisson_nll_loss(
            p, t, **{k: v for k, v in options.items() if k != "reduction"}, reduction=reduction
        ),
        "nll": lambda p, t, reduction: F.nll_loss(
            p, t, weight=vector("weight"), ignore_index=options.get("ignore_index", -100), reduction=reduction
        ),
        "focal": lambda p, t, reduction: sigmoid_focal_loss(
            p,
            t,
            alpha=-1 if options.get("alpha", 0.25) is None else options.get("alpha", 0.25),
            gamma=options.get("gamma", 2.0),
            reduction=reduction,
        ),
        "bce_with_logits": lambda p, t, reduction: F.binary_cross_entropy_with_logits(
            p, t, pos_weight=vector("pos_weight"), reduction=reduction
        ),
        "mse": F.mse_loss,
        "mae": F.l1_loss,
        "huber": lambda p, t, reduction: F.huber_loss(p, t, reduction, options.get("delta", 1.0)),
        "smooth_l1": lambda p, t, reduction: F.smooth_l1_loss(
            p, t, reduction=reduction, beta=options.get("beta", 1.0)
        ),
    }
    return functions[kind](prediction, target, reduction=reduction)


def cases():
    """(name, description, prediction, target) of every case."""
    yield from classes.cross_entropies()
    yield from classes.ignoring()
    yield from classes.probabilities()
    yield from classes.of_samples()
    yield from of_numbers()
    yield from of_labels()
    yield from others_of_samples()
    yield from classes.together()
    for kind in ("bce_with_logits", "mse", "mae", "huber", "smooth_l1"):
        for name, shape in {"": (5, 3), "_one": (1, 1), "_pictures": (2, 3, 4, 2)}.items():
            rng = random(f"losses/{kind}{name}")
            prediction = normal(rng, *shape, scale=2.0)
            zero_to_one = kind == "bce_with_logits"
            target = uniform(rng, *shape) if zero_to_one else normal(rng, *shape)
            yield kind + name, kind, prediction, target
        rng = random(f"losses/{kind} sum")
        yield f"{kind}_sum", {"type": kind, "reduction": "sum"}, normal(rng, 4, 3), uniform(rng, 4, 3)
    rng = random("losses/bce hard targets")
    hard = labels(rng, 2, 4, 3).float()
    yield "bce_with_logits_hard", "bce_with_logits", normal(rng, 4, 3), hard
    weighted = {"type": "bce_with_logits", "pos_weight": [0.5, 3.0, 1.0]}
    yield "bce_with_logits_pos_weight", weighted, normal(rng, 4, 3), uniform(rng, 4, 3)
    for name, beta in (("beta", 0.4), ("beta_zero", 0.0)):
        rng = random(f"losses/smooth_l1 {name}")
        yield f"smooth_l1_{name}", {"type": "smooth_l1", "beta": beta}, normal(rng, 5, 3), normal(rng, 5, 3)
    # One digit above the subnormal numbers, and the largest.
    for name, beta in (("least", 1.2e-38), ("tiny", 1e-30), ("subnormal", 1e-40), ("huge", 3e38)):
        at = torch.tensor([[0.0, 0.01, -2.0, 1e-10, -1e15]])
        yield f"smooth_l1_{name}", {"type": "smooth_l1", "beta": beta}, at, torch.zeros(1, 5)
    infinite = torch.tensor([[torch.inf, -torch.inf, 2.0, 0.25]])
    for kind in ("mae", "huber", "smooth_l1"):
        yield f"{kind}_infinite", {"type": kind, "reduction": "sum"}, infinite, torch.zeros(1, 4)
    far = torch.tensor([[-120.0, -30.0, 0.0, 30.0, 120.0]])
    yield "bce_with_logits_far", "bce_with_logits", far, torch.tensor([[0.0, 1.0, 1.0, 0.0, 1.0]])
    rng = random("losses/huber options")
    yield ("huber_delta", {"type": "huber", "delta": 0.4}, normal(rng, 5, 3), normal(rng, 5, 3))
    # Exactly at zero, at delta and beside it.
    at = torch.tensor([[0.0, 0.5, -0.5, 0.25, -0.75, 2.0]])
    yield "huber_edges", {"type": "huber", "delta": 0.5}, at, torch.zeros(1, 6)
    yield "mae_edges", "mae", torch.tensor([[0.0, 1.0, -1.0, 2.0]]), torch.tensor([[0.0, 1.0, 1.0, -1.0]])


def of_numbers():
    """Losses of an output and a target of one shape."""
    probability, sign, count = "probability", "sign", "count"
    for name, kind, given, wanted, options in (
        ("bce", "bce", probability, probability, {}),
        ("hinge_embedding", "hinge_embedding", None, sign, {}),
        ("hinge_embedding_margin", "hinge_embedding", None, sign, {"margin": 0.4}),
        ("soft_margin", "soft_margin", None, sign, {}),
        ("log_cosh", "log_cosh", None, None, {}),
        ("formula", "formula", None, None, {"loss": "(y - t)^2 / (1 + (y - t)^2) + log(1 + exp(y)) / 7"}),
        ("poisson_nll", "poisson_nll", None, count, {}),
        ("poisson_nll_full", "poisson_nll", None, count, {"full": True}),
        ("poisson_nll_rate", "poisson_nll", probability, count, {"log_input": False, "eps": 1e-3}),
        ("focal", "focal", None, probability, {}),
        ("focal_hard", "focal", None, "hard", {"alpha": None, "gamma": 1.5}),
        ("focal_no_power", "focal", None, "hard", {"alpha": 0.6, "gamma": 0.0}),
        ("kl_div", "kl_div", "log", "classes", {}),
        ("kl_div_log_target", "kl_div", "log", "log", {"log_target": True}),
        ("multilabel_soft_margin", "multilabel_soft_margin", None, "hard", {}),
        ("multilabel_soft_margin_weight", "multilabel_soft_margin", None, "hard", {"weight": [0.5, 2, 1]}),
        ("dice", "dice", None, "hard", {}),
        ("dice_smooth", "dice", None, probability, {"smooth": 0.1}),
        ("tversky", "tversky", None, "hard", {"alpha": 0.3, "beta": 0.7}),
    ):
        for suffix, shape, more in (("", (5, 3), {}), ("_sum", (2, 4, 3), {"reduction": "sum"})):
            rng = random(f"losses/{name}{suffix}")
            spec = {"type": kind} | options | more
            yield name + suffix, spec, drawn(rng, given, shape), drawn(rng, wanted, shape)
    rng = random("losses/kl_div batchmean")
    spec = {"type": "kl_div", "reduction": "batchmean"}
    zeros = drawn(rng, "classes", (2, 4, 3))
    zeros[0, 1] = torch.tensor([1.0, 0.0, 0.0])
    yield "kl_div_batchmean", spec, drawn(rng, "log", (2, 4, 3)), zeros
    far = torch.tensor([[-120.0, -30.0, 0.0, 30.0, 120.0]])
    sides = torch.tensor([[-1.0, 1.0, 1.0, -1.0, 1.0]])
    yield "soft_margin_far", "soft_margin", far, sides
    yield "focal_far", "focal", far, (sides + 1) / 2


def drawn(rng, kind, shape):
    """Numbers of a kind."""
    if kind is None:
        return normal(rng, *shape, scale=2.0)
    if kind == "probability":
        return uniform(rng, *shape, low=0.05, high=0.95)
    if kind == "sign":
        return 2.0 * labels(rng, 2, *shape).float() - 1.0
    if kind == "hard":
        return labels(rng, 2, *shape).float()
    if kind == "count":
        return labels(rng, 5, *shape).float()
    numbers = normal(rng, *shape)
    return torch.log_softmax(numbers, -1) if kind == "log" else torch.softmax(numbers, -1)


def of_labels():
    """Losses of scores and labels."""
    weight = [0.5, 2.0, 1.25, 0.1]
    for name, options in {
        "": {},
        "_weight": {"weight": weight},
        "_weight_sum": {"weight": weight, "reduction": "sum"},
    }.items():
        rng = random(f"losses/nll{name}")
        target = labels(rng, 4, 3, 5)
        target[0, 1:4] = -100
        logs = torch.log_softmax(normal(rng, 3, 4, 5), 1)
        yield f"nll{name}", {"type": "nll"} | options, logs, target
        rng = random(f"losses/multi_margin{name}")
        spec = {"type": "multi_margin"} | options
        yield f"multi_margin{name}", spec, normal(rng, 6, 4), labels(rng, 4, 6)
    rng = random("losses/nll rows")
    spec = {"type": "nll", "ignore_index": 2}
    yield "nll_index", spec, torch.log_softmax(normal(rng, 6, 4), 1), labels(rng, 4, 6)
    rng = random("losses/multi_margin square")
    spec = {"type": "multi_margin", "p": 2, "margin": 0.7}
    yield "multi_margin_square", spec, normal(rng, 6, 4), labels(rng, 4, 6)
    several = torch.tensor([[2, 0, -1, 1], [-1, 3, 2, 1], [3, 2, 1, 0], [1, -1, -1, -1]])
    for name, options in {"": {}, "_sum": {"reduction": "sum"}}.items():
        rng = random(f"losses/multilabel_margin{name}")
        spec = {"type": "multilabel_margin"} | options
        yield f"multilabel_margin{name}", spec, normal(rng, 4, 4), several


def others_of_samples():
    """As `of_samples`."""
    rng = random("losses/others of samples")
    of_six = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 0.25])
    positions = labels(rng, 4, 6, 3)
    positions[1, 1:] = -100
    for name, spec, shape, target in (
        ("nll", {"type": "nll", "weight": [0.5, 2.0, 1.25, 0.1]}, (6, 4, 3), positions),
        ("multi_margin", "multi_margin", (6, 4), labels(rng, 4, 6)),
        ("focal", "focal", (6, 3), uniform(rng, 6, 3)),
        ("dice", "dice", (6, 3, 2), uniform(rng, 6, 3, 2)),
        ("kl_div", "kl_div", (6, 4), torch.softmax(normal(rng, 6, 4), 1)),
    ):
        prediction = normal(rng, *shape)
        if name in ("nll", "kl_div"):
            prediction = torch.log_softmax(prediction, 1)
        yield f"{name}_of_samples", spec, prediction, target, of_six
