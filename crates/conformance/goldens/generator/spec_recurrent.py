"""The PyTorch modules of recurrent networks."""

import torch
from torch import nn


def recurrent(module):
    """PyTorch's module, the batch first, with what is taken and given as onestep has it."""

    class Recurrent(module):
        def __init__(self, layer, shape):
            names = ("num_layers", "bias", "dropout", "bidirectional", "proj_size", "nonlinearity")
            options = {name: layer[name] for name in names if name in layer}
            super().__init__(shape[1], layer["hidden_size"], batch_first=True, **options)
            self.layer = layer
            count = self.num_layers * (2 if self.bidirectional else 1)
            if layer.get("initial") == "learned":
                self.h_0 = nn.Parameter(torch.zeros(count, self.proj_size or self.hidden_size))
                if module is nn.LSTM:
                    self.c_0 = nn.Parameter(torch.zeros(count, self.hidden_size))

        def forward(self, x, *first):
            if self.layer.get("initial") == "learned":
                kept = [self.h_0] + ([self.c_0] if module is nn.LSTM else [])
                first = [state.expand(x.shape[0], -1, -1) for state in kept]
            first = [state.transpose(0, 1).contiguous() for state in first]
            y, last = super().forward(x, tuple(first) if len(first) > 1 else first[0] if first else None)
            if not self.layer.get("state"):
                return y
            last = last if module is nn.LSTM else (last,)
            return (y, *(state.transpose(0, 1) for state in last))

    return Recurrent


LAYERS = {"rnn": recurrent(nn.RNN), "lstm": recurrent(nn.LSTM), "gru": recurrent(nn.GRU)}
