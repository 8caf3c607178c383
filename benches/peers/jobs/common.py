"""What several jobs need."""

import argparse
import math

import torch
from torch import nn


def arguments(about: str, *places: str) -> argparse.Namespace:
    """The places of data, --seed and --threads; PyTorch is set up by them."""
    parser = argparse.ArgumentParser(description=about)
    for place in places:
        parser.add_argument(place)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--lr", type=float)
    parser.add_argument("--steps", type=int)
    said = parser.parse_args()
    torch.manual_seed(said.seed)
    torch.set_num_threads(said.threads)
    return said


def adamw(model: nn.Module, lr: float, decay: float, beta2: float = 0.999) -> torch.optim.AdamW:
    """AdamW whose decay spares biases and normalisations, as onestep's does."""
    groups = [
        {"params": [p for p in model.parameters() if p.dim() >= 2], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=lr, betas=(0.9, beta2))


def cosine(lr: float, least: float, warmup: int, steps: int):
    """The rate of an update: it rises in a straight line from a hundredth, then falls along half a cosine."""

    def rate(step: int) -> float:
        if step < warmup:
            return lr * (0.01 + 0.99 * step / warmup)
        t = (step - warmup) / (steps - warmup)
        return least + (lr - least) * (1 + math.cos(math.pi * t)) / 2

    return rate


def update(model: nn.Module, optimizer: torch.optim.Optimizer, loss, rate: float, clip: float) -> None:
    """One update at a rate, with the norm of all gradients bounded."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
