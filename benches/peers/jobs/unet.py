"""A U-Net (base 8) finds the discs in pictures that have squares and noise too, as the example `unet` does."""

import argparse

import torch
from torch import Tensor, nn

SIDE, BASE, LEVELS, BATCH, EPOCHS = 32, 8, 4, 8, 10


def twice(given: int, channels: int) -> nn.Sequential:
    """Two convolutions, each normalised and rectified."""
    layers = []
    for inputs in (given, channels):
        conv = nn.Conv2d(inputs, channels, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(channels), nn.ReLU()]
    return nn.Sequential(*layers)


class UNet(nn.Module):
    """Four levels down and up again."""

    def __init__(self) -> None:
        super().__init__()
        widths = [BASE << level for level in range(LEVELS + 1)]
        self.down = nn.ModuleList(twice(a, b) for a, b in zip([1, *widths], widths))
        pairs = list(zip(widths[1:], widths))
        self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairs)
        self.decoder = nn.ModuleList(twice(2 * b, b) for _, b in pairs)
        self.head = nn.Conv2d(BASE, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level, down in enumerate(self.down):
            x = down(x if level == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for level in reversed(range(LEVELS)):
            x = self.decoder[level](torch.cat([kept[level], self.up[level](x)], 1))
        return self.head(x)


def drawn(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures and masks of the discs."""

    def below(n: int, *shape: int) -> Tensor:
        return torch.randint(n, shape, generator=generator)

    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    at = torch.stack([y, x])
    places = 6 + below(SIDE - 12, count, 2, 2, 1, 1)
    sizes = 3 + below(4, count, 2, 1, 1)
    apart = (at - places).abs()
    disc = apart[:, 0].square().sum(1) <= sizes[:, 0].square()
    square = apart[:, 1].amax(1) <= sizes[:, 1]
    noise = torch.rand(count, SIDE, SIDE, generator=generator)
    return (0.5 * (disc | square) + 0.5 * noise)[:, None], disc[:, None].float()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    seed = parser.parse_args().seed
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    (pictures, masks), (unseen, truth) = drawn(400, generator), drawn(100, generator)
    model = UNet()
    adam = torch.optim.Adam(model.parameters(), lr=0.003)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(400, generator=generator).split(BATCH):
            adam.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(pictures[batch]), masks[batch]).backward()
            adam.step()
        schedule.step()
    model.eval()
    with torch.no_grad():
        said, truth = model(unseen) > 0, truth > 0.5
    common, either = ((a(said, truth)).sum((1, 2, 3)) for a in (torch.logical_and, torch.logical_or))
    print(f"seed {seed}: {float((common / either).mean()):.4f} of disc and answer in common")


if __name__ == "__main__":
    main()
