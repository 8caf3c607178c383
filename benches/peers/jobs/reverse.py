"""An encoder and a decoder of 2 layers, 64 wide, that write three to nine digits backwards."""

import math

import torch
import torch.nn.functional as F
from common import adamw, arguments, cosine, update
from torch import Tensor, nn

PLACES, START, END, WIDTH, BATCH = 10, 10, 11, 64, 64


class Translator(nn.Module):
    """PyTorch's own transformer, with positions that are learnt."""

    def __init__(self) -> None:
        super().__init__()
        sides = {"batch_first": True, "norm_first": True, "dropout": 0.0}
        self.transformer = nn.Transformer(WIDTH, 4, 2, 2, 4 * WIDTH, **sides)
        self.source, self.target = nn.Embedding(12, WIDTH), nn.Embedding(12, WIDTH)
        self.source_places, self.target_places = nn.Embedding(PLACES, WIDTH), nn.Embedding(PLACES, WIDTH)
        self.head = nn.Linear(WIDTH, 12)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(PLACES))

    def forward(self, source: Tensor, so_far: Tensor) -> Tensor:
        source = self.source(source) + self.source_places.weight
        so_far = self.target(so_far) + self.target_places.weight
        return self.head(self.transformer(source, so_far, tgt_mask=self.mask, tgt_is_causal=True))


def strings(count: int) -> tuple[Tensor, Tensor]:
    """Digits, and the digits backwards."""
    digits = torch.randint(10, (count, PLACES))
    lengths = torch.randint(3, 10, (count, 1))
    places = torch.arange(PLACES)
    outside = places >= lengths
    turned = digits.gather(1, (lengths - 1 - places).clamp(min=0))
    return digits.masked_fill(outside, END), turned.masked_fill(outside, END)


said = arguments(__doc__)
source, wanted = strings(6000)
model, steps, lr = Translator(), said.steps or 1500, said.lr or 2e-3
optimizer, rate = adamw(model, lr, 0.01), cosine(lr, 0.0, 100, steps)
step = 0
while step < steps:
    for batch in torch.randperm(len(source)).split(BATCH):
        if step == steps:
            break
        so_far = F.pad(wanted[batch, :-1], (1, 0), value=START)
        logits = model(source[batch], so_far)
        loss = F.cross_entropy(logits.flatten(0, 1), wanted[batch].flatten())
        update(model, optimizer, loss, rate(step), math.inf)
        step += 1
source, wanted = strings(1000)
so_far, written = torch.full((1000, PLACES), START), torch.empty_like(wanted)
with torch.no_grad():
    for place in range(PLACES):
        written[:, place] = model(source, so_far)[:, place].argmax(1)
        if place + 1 < PLACES:
            so_far[:, place + 1] = written[:, place]
right = (written == wanted).all(1).float().mean().item()
print(f"reverse: {100 * right:.1f} % of 1000 new strings whole after {steps} updates, seed {said.seed}")
