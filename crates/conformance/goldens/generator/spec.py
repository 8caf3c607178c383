"""Builds PyTorch modules from the model description that onestep reads.

Children carry the description's layer names, so that PyTorch's state-dict names are onestep's
parameter names (`block1.body.conv1.weight`). Layouts are the same but for dense weights, which
onestep stores as [in, out]; see `to_ours`.
"""

import torch
from torch import nn


class Sequence(nn.Module):
    """Layers in order, by name. Empty is the identity."""

    def __init__(self, layers, shape):
        super().__init__()
        self.order = []
        counts = {}
        for layer in layers:
            kind = layer["type"]
            counts[kind] = counts.get(kind, 0) + 1
            name = layer.get("name", f"{kind}{counts[kind]}")
            module = LAYERS[kind](layer, shape)
            self.add_module(name, module)
            self.order.append(name)
            shape = shape_after(module, shape)
        self.shape = shape

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
        return x


class Residual(nn.Module):
    """body(x) + shortcut(x)."""

    def __init__(self, layer, shape):
        super().__init__()
        self.body = Sequence(layer["body"], shape)
        self.shortcut = Sequence(layer.get("shortcut", []), shape)

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class Concat(nn.Module):
    """The outputs of all branches, joined along `dim` (which counts the batch)."""

    def __init__(self, layer, shape):
        super().__init__()
        self.dim = layer.get("dim", 1)
        self.count = len(layer["branches"])
        for i, branch in enumerate(layer["branches"]):
            self.add_module(f"branch{i}", Sequence(branch, shape))

    def forward(self, x):
        return torch.cat([getattr(self, f"branch{i}")(x) for i in range(self.count)], self.dim)


class Reshape(nn.Module):
    """A new shape for each sample."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(x.shape[0], *self.shape)


def shape_after(module, shape):
    """The per-sample shape of a module's output."""
    training = module.training
    module.eval()
    with torch.no_grad():
        dtype = torch.long if isinstance(module, nn.Embedding) else torch.float32
        result = module(torch.zeros(2, *shape, dtype=dtype)).shape[1:]
    module.train(training)
    return list(result)


def size(value):
    """An integer or [height, width]."""
    return value if isinstance(value, (int, str)) else tuple(value)


def conv2d(layer, shape):
    return nn.Conv2d(
        shape[0],
        layer["out_channels"],
        size(layer["kernel_size"]),
        stride=size(layer.get("stride", 1)),
        padding=size(layer.get("padding", 0)),
        dilation=size(layer.get("dilation", 1)),
        groups=layer.get("groups", 1),
        bias=layer.get("bias", True),
    )


def max_pool2d(layer, _):
    kernel = size(layer["kernel_size"])
    return nn.MaxPool2d(
        kernel,
        stride=size(layer.get("stride", kernel)),
        padding=size(layer.get("padding", 0)),
        dilation=size(layer.get("dilation", 1)),
        ceil_mode=layer.get("ceil_mode", False),
    )


def avg_pool2d(layer, _):
    kernel = size(layer["kernel_size"])
    return nn.AvgPool2d(
        kernel,
        stride=size(layer.get("stride", kernel)),
        padding=size(layer.get("padding", 0)),
        ceil_mode=layer.get("ceil_mode", False),
        count_include_pad=layer.get("count_include_pad", True),
    )


def batch_norm(layer, shape):
    kind = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
    return kind(
        shape[0],
        eps=layer.get("eps", 1e-5),
        momentum=layer.get("momentum", 0.1),
        affine=layer.get("affine", True),
    )


def layer_norm(layer, shape):
    return nn.LayerNorm(
        layer.get("normalized_shape", shape[-1:]),
        eps=layer.get("eps", 1e-5),
        elementwise_affine=layer.get("affine", True),
    )


LAYERS = {
    "dense": lambda l, s: nn.Linear(s[-1], l["out_features"], bias=l.get("bias", True)),
    "conv2d": conv2d,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "adaptive_avg_pool2d": lambda l, s: nn.AdaptiveAvgPool2d(size(l["output_size"])),
    "global_avg_pool2d": lambda l, s: nn.AdaptiveAvgPool2d(1),
    "flatten": lambda l, s: nn.Flatten(l.get("start_dim", 1)),
    "reshape": lambda l, s: Reshape(l["shape"]),
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "dropout": lambda l, s: nn.Dropout(l.get("p", 0.5)),
    "embedding": lambda l, s: nn.Embedding(l["num_embeddings"], l["embedding_dim"]),
    "relu": lambda l, s: nn.ReLU(),
    "leaky_relu": lambda l, s: nn.LeakyReLU(l.get("negative_slope", 0.01)),
    "elu": lambda l, s: nn.ELU(l.get("alpha", 1.0)),
    "prelu": lambda l, s: nn.PReLU(l.get("num_parameters", 1), init=l.get("init", 0.25)),
    "sigmoid": lambda l, s: nn.Sigmoid(),
    "tanh": lambda l, s: nn.Tanh(),
    "silu": lambda l, s: nn.SiLU(),
    "gelu": lambda l, s: nn.GELU(approximate=l.get("approximate", "none")),
    "softmax": lambda l, s: nn.Softmax(dim=l.get("dim", -1)),
    "log_softmax": lambda l, s: nn.LogSoftmax(dim=l.get("dim", -1)),
    "residual": Residual,
    "concat": Concat,
}


def build(spec):
    """The PyTorch module of a model description, with PyTorch's initial parameters."""
    return Sequence(spec["layers"], spec["input"]["shape"])


def to_ours(model):
    """{name: tensor in onestep's layout} of a model's parameters, then of its gradients (for
    those that have one), then of its running statistics."""
    dense = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Linear)}

    def layout(name, tensor):
        return tensor.detach().t().contiguous() if name in dense else tensor.detach().clone()

    parameters = {n: layout(n, p) for n, p in model.named_parameters()}
    gradients = {n: layout(n, p.grad) for n, p in model.named_parameters() if p.grad is not None}
    statistics = {
        n: b.detach().clone() for n, b in model.named_buffers() if not n.endswith("num_batches_tracked")
    }
    return parameters, gradients, statistics
