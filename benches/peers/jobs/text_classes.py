"""An encoder of 2 layers, 128 wide, over words: the table that the example text_classes writes."""

import csv
import math
import re
from collections import Counter

import torch
import torch.nn.functional as F
from common import adamw, arguments, update
from torch import Tensor, nn

LENGTH, BATCH, EPOCHS, WIDTH = 24, 32, 12, 128


class Encoder(nn.Module):
    """PyTorch's own encoder over tokens, of which 0 fills up; the mean over what is no filling."""

    def __init__(self, tokens: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, WIDTH)
        layer = nn.TransformerEncoderLayer(
            WIDTH, 4, 4 * WIDTH, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, 2, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, classes)
        place = torch.arange(LENGTH)[:, None]
        rate = torch.exp(torch.arange(0, WIDTH, 2) * (-math.log(10000.0) / WIDTH))
        waves = torch.stack([torch.sin(place * rate), torch.cos(place * rate)], dim=2)
        self.register_buffer("positions", waves.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        padding = x == 0
        y = self.encoder(self.embed(x) + self.positions, src_key_padding_mask=padding)
        kept = (~padding).float()[:, :, None]
        return self.head((y * kept).sum(1) / kept.sum(1))


said = arguments(__doc__, "table")
rows = [(row["text"].lower(), row["mood"]) for row in csv.DictReader(open(said.table, encoding="utf-8"))]
order = torch.randperm(len(rows)).tolist()
held, train = order[: len(rows) // 5], order[len(rows) // 5 :]
split = re.compile(r"[^\W_]+|[^\w\s]")
counts = Counter(word for i in train for word in split.findall(rows[i][0]))
place = {word: i + 2 for i, (word, n) in enumerate(counts.most_common()) if n > 1}
classes = sorted({mood for _, mood in rows})


def tensors(part: list[int]) -> tuple[Tensor, Tensor]:
    tokens = torch.zeros(len(part), LENGTH, dtype=torch.long)
    for row, i in enumerate(part):
        numbers = [place.get(word, 1) for word in split.findall(rows[i][0])][:LENGTH]
        tokens[row, : len(numbers)] = torch.tensor(numbers)
    return tokens, torch.tensor([classes.index(rows[i][1]) for i in part])


(inputs, labels), (new, wanted) = tensors(train), tensors(held)
model = Encoder(len(place) + 2, len(classes))
steps = EPOCHS * math.ceil(len(train) / BATCH)
optimizer = adamw(model, said.lr or 5e-4, 0.01)
rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, said.lr or 5e-4, steps, cycle_momentum=False)
for epoch in range(EPOCHS):
    model.train()
    for batch in torch.randperm(len(train)).split(BATCH):
        loss = F.cross_entropy(model(inputs[batch]), labels[batch])
        update(model, optimizer, loss, optimizer.param_groups[0]["lr"], math.inf)
        rates.step()
model.eval()
with torch.no_grad():
    right = (model(new).argmax(1) == wanted).float().mean().item()
print(f"text_classes: {100 * right:.1f} % of {len(held)} right after {steps} updates, seed {said.seed}")
