"""Tones, chirps and noise told apart by one-dimensional convolutions, as the example `audio` does."""

import argparse

import torch
from torch import Tensor, nn

RATE, LENGTH, BATCH, EPOCHS = 8000, 2000, 32, 10


def sounds(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """So many chirps, noises and tones."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator)

    inputs = []
    for kind in ("chirp", "noise", "tone"):
        hertz, loud, phase = 200 + 1500 * uniform(count, 1), 0.2 + 0.6 * uniform(count, 1), uniform(count, 1)
        rise = 1 + torch.arange(LENGTH) / LENGTH if kind == "chirp" else torch.ones(LENGTH)
        wave = (2 * torch.pi * (phase + (hertz * rise / RATE).cumsum(1))).sin()
        pure = 2 * uniform(count, LENGTH) - 1 if kind == "noise" else wave
        inputs.append(loud * (0.7 * pure + 0.3 * (2 * uniform(count, LENGTH) - 1)))
    return torch.cat(inputs)[:, None], torch.arange(3).repeat_interleave(count)


def model() -> nn.Sequential:
    """Four convolutions (M5 of Dai et al., 2016)."""
    layers, channels = [], 1
    for number, (width, kernel, stride) in enumerate([(32, 80, 4), (32, 3, 1), (64, 3, 1), (64, 3, 1)]):
        layers += [nn.Conv1d(channels, width, kernel, stride), nn.BatchNorm1d(width), nn.ReLU()]
        layers.append(nn.MaxPool1d(4 if number < 3 else 2))
        channels = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(channels, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    (seen, labels), (unseen, truth) = sounds(100, generator), sounds(50, generator)
    mean, deviation = seen.mean(), seen.std(correction=0)
    seen, unseen = (seen - mean) / deviation, (unseen - mean) / deviation
    network = model()
    adam = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(seen), generator=generator).split(BATCH):
            adam.zero_grad()
            nn.functional.cross_entropy(network(seen[batch]), labels[batch]).backward()
            adam.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        accuracy = (network(unseen).argmax(1) == truth).float().mean()
    print(f"seed {seed}: {100 * float(accuracy):.2f} % of new recordings are told right")


if __name__ == "__main__":
    main()
