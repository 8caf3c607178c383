"""ViT-Ti with patches of 4 x 4 on a folder of CIFAR-10's pictures: train/ and test/, a folder a class."""

import math

import torch
import torch.nn.functional as F
from common import adamw, arguments, update
from torch import Tensor, nn
from torchvision.datasets import ImageFolder
from torchvision.transforms.functional import pil_to_tensor

BATCH, WIDTH, PATCH, LAYERS, HEADS = 64, 192, 4, 12, 3


class Vit(nn.Module):
    """A class token in front of the patches, positions that are learnt, layers that normalise first."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, WIDTH, PATCH, PATCH)
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (32 // PATCH) ** 2 + 1, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", 1e-6, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, LAYERS, nn.LayerNorm(WIDTH), enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


def tensors(folder: str) -> tuple[Tensor, Tensor]:
    data = ImageFolder(folder)
    pictures = torch.stack([pil_to_tensor(picture) for picture, _ in data]).float() / 255
    return pictures, torch.tensor(data.targets)


said = arguments(__doc__, "pictures")
(inputs, labels), (new, wanted) = tensors(f"{said.pictures}/train"), tensors(f"{said.pictures}/val")
model, steps, lr = Vit(), said.steps or 234, said.lr or 5e-4
optimizer = adamw(model, lr, 0.01)
rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, steps, cycle_momentum=False)
step = 0
while step < steps:
    for batch in torch.randperm(len(inputs)).split(BATCH):
        if step == steps:
            break
        x = torch.where(torch.rand(len(batch), 1, 1, 1) < 0.5, inputs[batch].flip(3), inputs[batch])
        loss = F.cross_entropy(model(x), labels[batch])
        update(model, optimizer, loss, optimizer.param_groups[0]["lr"], math.inf)
        rates.step()
        step += 1
with torch.no_grad():
    right = torch.cat([model(part).argmax(1) for part in new.split(200)]) == wanted
print(f"vit_tiny: {100 * right.float().mean().item():.1f} % of {len(new)} right after {steps} updates, seed {said.seed}")
