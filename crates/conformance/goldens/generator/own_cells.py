"""The layer that runs a cell of one's own along a sequence, as a loop over PyTorch's modules."""

import torch
from torch import nn


def recurrent(sequence):
    """The module's constructor; `sequence` builds lists of layers."""

    class Recurrent(nn.Module):
        def __init__(self, layer, shapes):
            super().__init__()
            self.layer, self.names = layer, sorted(layer["carried"])
            sizes = {name: layer["carried"][name]["shape"] for name in self.names}
            self.sizes = sizes
            self.cell = sequence(layer["cell"], shapes[0][1:], {"x": shapes[0][1:]} | sizes)
            if layer.get("initial") == "learned":
                for name in self.names:
                    setattr(self, f"{name}_0", nn.Parameter(torch.empty(sizes[name])))

        def begin(self, x, fed):
            kind = self.layer.get("initial", "zeros")
            if kind == "input":
                return dict(zip(self.names, fed, strict=True))
            if kind == "learned":
                first = {name: getattr(self, f"{name}_0") for name in self.names}
                return {name: value.expand(x.shape[0], *value.shape) for name, value in first.items()}
            return {name: x.new_zeros(x.shape[0], *self.sizes[name]) for name in self.names}

        def forward(self, x, *fed):
            carried, outputs = self.begin(x, fed), {}
            steps = range(x.shape[1])
            for t in reversed(steps) if self.layer.get("reverse") else steps:
                values = self.cell.values(x[:, t], {"x": x[:, t]} | carried)
                carried = {name: values[self.layer["carried"][name]["next"]] for name in self.names}
                outputs[t] = values[self.layer.get("output", self.cell.order[-1][0])]
            y = torch.stack([outputs[t] for t in steps], 1)
            if self.layer.get("state"):
                return (y, *carried.values())
            return y

    return Recurrent
