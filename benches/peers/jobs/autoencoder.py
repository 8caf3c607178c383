"""A convolutional autoencoder on the digits, as the example `autoencoder` has it."""

import argparse
import gzip
import pathlib

import torch
from torch import Tensor, nn

DIGITS = pathlib.Path(__file__).parents[3] / "crates/data/assets/digits.bin.gz"
SAMPLES, HELD_OUT, BATCH, EPOCHS, CODE = 1797, 358, 32, 20, 32


def digits() -> Tensor:
    """[1797, 1, 8, 8] from 0 to 1."""
    content = bytearray(gzip.decompress(DIGITS.read_bytes()))
    # The labels stand behind the pixels.
    pixels = torch.frombuffer(content, dtype=torch.uint8)[: SAMPLES * 64]
    return pixels.reshape(SAMPLES, 1, 8, 8).float() / 16


def model() -> nn.Sequential:
    """To a code of 32 numbers and back."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4, CODE),
        nn.Linear(CODE, 32 * 4),
        nn.ReLU(),
        nn.Unflatten(1, (32, 2, 2)),
        nn.ConvTranspose2d(32, 16, 3, stride=2, padding=1, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(16, 1, 3, stride=2, padding=1, output_padding=1),
        nn.Sigmoid(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    order = torch.randperm(SAMPLES, generator=generator)
    unseen, seen = digits()[order].split([HELD_OUT, SAMPLES - HELD_OUT])
    network = model()
    adam = torch.optim.Adam(network.parameters(), lr=0.003)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(seen), generator=generator).split(BATCH):
            adam.zero_grad()
            nn.functional.mse_loss(network(seen[batch]), seen[batch]).backward()
            adam.step()
        schedule.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(network(unseen), unseen)
    print(f"seed {seed}: a pixel of a new digit is {float(error.sqrt()):.4f} off")


if __name__ == "__main__":
    main()
