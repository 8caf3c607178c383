"""Cases of losses of classes: (name, description, prediction, target), and a weight for each sample where samples have
one."""

import torch

from .writer import labels, normal, random, uniform


def cross_entropies():
    weight = [0.5, 2.0, 1.25, 0.1]
    for name, options in {
        "": {},
        "_smoothing": {"label_smoothing": 0.1},
        "_weight": {"weight": weight},
        "_weight_smoothing": {"weight": weight, "label_smoothing": 0.2},
        "_sum": {"reduction": "sum"},
        "_weight_smoothing_sum": {"weight": weight, "label_smoothing": 0.2, "reduction": "sum"},
    }.items():
        rng = random(f"losses/cross_entropy{name}")
        spec = {"type": "cross_entropy"} | options if options else "cross_entropy"
        yield f"cross_entropy{name}", spec, normal(rng, 6, 4, scale=2.0), labels(rng, 4, 6)
    rng = random("losses/cross_entropy sizes")
    yield "cross_entropy_one_sample", "cross_entropy", normal(rng, 1, 10), labels(rng, 10, 1)
    yield "cross_entropy_one_class", "cross_entropy", normal(rng, 3, 1), labels(rng, 1, 3)
    yield "cross_entropy_many", "cross_entropy", normal(rng, 33, 17), labels(rng, 17, 33)
    # A class that cannot be, beside the one that is.
    never = torch.tensor([[1.0, 2.0, -torch.inf], [0.5, -1.0, 2.0]])
    for name, options in {
        "": {},
        "_weight": {"weight": [1.0, 2.0, 3.0]},
        "_weight_zero": {"weight": [1.0, 2.0, 0.0]},
        "_smoothing": {"label_smoothing": 0.1},
    }.items():
        spec = {"type": "cross_entropy"} | options
        yield f"cross_entropy_never{name}", spec, never, torch.tensor([0, 2])
    far = torch.tensor([[1e4, 0.0, -1e4], [-1e4, -1e4 + 1, -1e4 - 1], [88.0, 100.0, 1000.0]])
    yield "cross_entropy_far", "cross_entropy", far, torch.tensor([1, 0, 2])


def ignoring():
    """Labels that do not count."""
    weight = [0.5, 2.0, 1.25, 0.1]
    for name, options in {
        "": {},
        "_smoothing": {"label_smoothing": 0.1},
        "_weight": {"weight": weight},
        "_weight_smoothing": {"weight": weight, "label_smoothing": 0.2},
        "_sum": {"reduction": "sum"},
        "_index": {"ignore_index": 2},
    }.items():
        rng = random(f"losses/cross_entropy_ignore{name}")
        prediction, target = normal(rng, 3, 4, 5, scale=2.0), labels(rng, 4, 3, 5)
        if "ignore_index" not in options:
            target[0, 1:4] = -100
            target[2] = -100
        spec = {"type": "cross_entropy"} | options
        yield f"cross_entropy_ignore{name}", spec, prediction, target
    rng = random("losses/cross_entropy_ignore rows")
    target = torch.tensor([1, -100, 0, 3, -100, 2])
    spec = {"type": "cross_entropy", "ignore_index": -100}
    yield "cross_entropy_ignore_rows", spec, normal(rng, 6, 4), target


def probabilities():
    """Targets that say how likely each class is."""
    weight = [0.5, 2.0, 1.25, 0.1]
    for name, shape, options in (
        ("", (6, 4), {}),
        ("_positions", (3, 4, 5), {}),
        ("_smoothing", (6, 4), {"label_smoothing": 0.1}),
        ("_weight_smoothing", (3, 4, 5), {"weight": weight, "label_smoothing": 0.2}),
        ("_sum", (6, 4), {"reduction": "sum"}),
    ):
        rng = random(f"losses/cross_entropy_probabilities{name}")
        target = torch.softmax(normal(rng, *shape, scale=2.0), 1)
        spec = {"type": "cross_entropy", "target": "probabilities"} | options
        yield f"cross_entropy_probabilities{name}", spec, normal(rng, *shape, scale=2.0), target


def of_samples():
    """A weight for each sample, one of them 0."""
    classes = {"type": "cross_entropy", "weight": [0.5, 2.0, 1.25, 0.1]}
    chances = {"type": "cross_entropy", "target": "probabilities", "label_smoothing": 0.1}
    rng = random("losses/of samples")
    of_six = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 0.25])
    positions = labels(rng, 4, 6, 3)
    positions[1, 1:] = -100
    likely = torch.softmax(normal(rng, 6, 4, 2), 1)
    for name, spec, shape, target in (
        ("cross_entropy", "cross_entropy", (6, 4), labels(rng, 4, 6)),
        ("cross_entropy_classes", classes, (6, 4, 3), positions),
        ("cross_entropy_probabilities", chances, (6, 4, 2), likely),
        ("cross_entropy_sum", {"type": "cross_entropy", "reduction": "sum"}, (6, 4), labels(rng, 4, 6)),
        ("bce_with_logits", "bce_with_logits", (6, 3), uniform(rng, 6, 3)),
        ("mse", "mse", (6, 2, 3), normal(rng, 6, 2, 3)),
        ("mae", "mae", (6, 3), normal(rng, 6, 3)),
        ("huber", {"type": "huber", "reduction": "sum"}, (6, 3), normal(rng, 6, 3)),
        ("smooth_l1", "smooth_l1", (6,), normal(rng, 6)),
    ):
        yield f"{name}_of_samples", spec, normal(rng, *shape), target, of_six


def together():
    """Cross-entropies of samples with weights whose labels are smoothed, do not count, are per position."""
    classes = {"weight": [0.5, 2.0, 1.25, 0.1]}
    smooth = {"label_smoothing": 0.2}
    likely = {"target": "probabilities"}
    of_three = torch.tensor([0.5, 0.0, 3.0])
    for name, options, shape in (
        ("smoothing", smooth, (3, 4)),
        ("positions", {}, (3, 4, 5)),
        ("positions_smoothing", smooth, (3, 4, 5)),
        ("positions_weight_smoothing", classes | smooth, (3, 4, 2, 3)),
        ("positions_smoothing_sum", smooth | {"reduction": "sum"}, (3, 4, 5)),
        ("ignore_index", {"ignore_index": 1} | smooth, (3, 4, 5)),
        ("probabilities_positions", likely, (3, 4, 2, 3)),
        ("probabilities_weight_smoothing", likely | classes | smooth, (3, 4, 5)),
        ("probabilities_sum", likely | smooth | {"reduction": "sum"}, (3, 4)),
    ):
        rng = random(f"losses/together {name}")
        prediction = normal(rng, *shape, scale=2.0)
        if name.startswith("probabilities"):
            target = torch.softmax(normal(rng, *shape, scale=2.0), 1)
        else:
            target = labels(rng, 4, shape[0], *shape[2:])
        if name.startswith("positions"):
            target[0, 1:] = -100
            target[2, :1] = -100
        yield f"cross_entropy_samples_{name}", {"type": "cross_entropy"} | options, prediction, target, of_three
