"""nanoGPT's network for a CPU: 4 layers, 128 wide, 64 long; 2,000 updates of 12 windows."""

import torch
import torch.nn.functional as F
from common import adamw, arguments, cosine, update
from torch import Tensor, nn

LAYERS, WIDTH, HEADS, LENGTH, BATCH = 4, 128, 4, 64, 12


class Block(nn.Module):
    """Attention and a feed-forward network, each normalised before and added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        b, t, d = x.shape
        heads = (y.view(b, t, HEADS, d // HEADS).transpose(1, 2) for y in self.qkv(self.norm1(x)).split(d, 2))
        seen = F.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(b, t, d))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Gpt(nn.Module):
    """GPT-2's form, begun as nanoGPT begins it."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(tokens, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, p in self.named_parameters():
            if p.dim() >= 2:
                added = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(p, std=0.02 / ((2 * LAYERS) ** 0.5 if added else 1.0))

    def forward(self, x: Tensor) -> Tensor:
        x = self.wte(x) + self.wpe.weight
        return self.norm(self.blocks(x)) @ self.wte.weight.T


said = arguments(__doc__, "text")
text = open(said.text, encoding="utf-8").read()
place = {c: i for i, c in enumerate(sorted(set(text)))}
data = torch.tensor([place[c] for c in text])
border = len(data) - int(len(data) * 0.1)
train, held = data[:border], data[border:]
model, steps, lr = Gpt(len(place)), said.steps or 2000, said.lr or 1e-3
optimizer, rate = adamw(model, lr, 0.1, 0.99), cosine(lr, lr / 10, 100, steps)
for step in range(steps):
    starts = torch.randint(len(train) - LENGTH, (BATCH,))
    windows = torch.stack([train[s : s + LENGTH + 1] for s in starts])
    loss = F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())
    update(model, optimizer, loss, rate(step), 1.0)
with torch.no_grad():
    count = (len(held) - 1) // LENGTH
    inputs = held[: count * LENGTH].view(count, LENGTH).split(64)
    targets = held[1 : count * LENGTH + 1].view(count, LENGTH).split(64)
    sums = [F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum") for x, y in zip(inputs, targets)]
    print(f"nano_gpt: validation loss {sum(sums).item() / (count * LENGTH):.3f} after {steps} updates, seed {said.seed}")
