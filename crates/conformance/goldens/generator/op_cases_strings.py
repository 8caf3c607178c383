"""Cases of strings whose places are not known: (name, op, function, operands)."""

import torch
from torch.nn import functional as F

from .writer import normal, random

# Stands for the logarithm of 0.
NEVER = -1e30


def all_cases():
    """Every such case, with its gradient."""
    labels = torch.tensor([[1, 2, 2], [3, -1, -1], [-1, -1, -1], [2, 1, -1]], dtype=torch.int32)
    steps = torch.tensor([7, 2, 4, 5], dtype=torch.int32)
    for name, blank, more in (("", 0, []), ("_lengths", 0, [steps]), ("_blank", 3, [steps])):
        rng = random(f"ops/ctc{name}")
        logs = normal(rng, 4, 7, 4).log_softmax(2)
        own = torch.where(labels == 3, 0, labels) if blank else labels
        operands = [logs, own, *more]
        # The sum over the classes of a gradient that goes through them is 0, which PyTorch counts on.
        ctc = lambda logs, *rest, b=blank: losses(logs.log_softmax(2), *rest, blank=b)
        yield f"ctc{name}", "ctc", ctc, operands
        dy = normal(rng, 4)
        gradient = lambda *x, b=blank: share(*x, blank=b)
        yield f"ctc_grad{name}", "ctc_grad", gradient, [*operands, packed(*operands, blank=blank), dy]


def parts(logs, labels, steps, blank):
    """What PyTorch takes."""
    lengths = ((labels >= 0) & (labels != blank)).sum(1)
    steps = torch.full((logs.shape[0],), logs.shape[1]) if steps is None else steps.long()
    return logs.transpose(0, 1), labels.long().clamp(min=0), steps, lengths


def losses(logs, labels, steps=None, blank=0):
    return F.ctc_loss(*parts(logs, labels, steps, blank), blank=blank, reduction="none")


def packed(logs, labels, steps=None, blank=0):
    """What the op gives: the losses, and what leads to each state; 0 where nothing is asked."""
    given = parts(logs, labels, steps, blank)
    loss, paths = torch._ctc_loss(*given, blank=blank)
    paths = F.pad(paths, (0, 2 * labels.shape[1] + 1 - paths.shape[2]))
    paths = torch.where(paths.isinf(), NEVER, paths)
    counts = torch.arange(logs.shape[1])[None, :, None] < given[2][:, None, None]
    counts = counts & (torch.arange(paths.shape[2]) < 2 * given[3][:, None, None] + 1)
    return torch.cat([loss, torch.where(counts, paths, 0.0).reshape(-1)])


def share(logs, labels, *rest, blank):
    """How likely a string has each class at each step, times -dy."""
    *steps, _, dy = rest
    logs = logs.detach().requires_grad_()
    loss = losses(logs, labels, *steps, blank=blank)
    (grad,) = torch.autograd.grad(loss, logs, dy)
    # PyTorch's is that of what the logarithms were made of: with their own share.
    counts = torch.arange(logs.shape[1])[None, :, None] < parts(logs, labels, *(steps or [None]), blank)[2][:, None, None]
    return (grad - torch.where(counts, logs.exp() * dy[:, None, None], 0.0)).detach()
