"""Builds PyTorch modules from the model description that onestep reads.

Children carry the description's layer names, so that PyTorch's state-dict names are onestep's
parameter names (`block1.body.conv1.weight`). Layouts are the same but for dense weights, which
onestep stores as [in, out]; see `to_ours`.
"""

import torch
from torch import nn
from torchvision.ops import StochasticDepth

from . import parametrized, spec_recurrent, spec_tables, spec_transformers, windows
from .own_cells import recurrent


class Sequence(nn.Module):
    """Layers in order, by name. Empty is the identity. A layer takes what the one before it gives, or
    what its `inputs` name: layers before it, `split.1`, or `input`. With `weights` it is another
    layer of the list, called again."""

    def __init__(self, layers, shape, others=None):
        super().__init__()
        self.order = []
        counts, shapes = {}, {"input": shape} | (others or {})
        for layer in layers:
            kind = layer["type"]
            counts[kind] = counts.get(kind, 0) + 1
            name = layer.get("name", f"{kind}{counts[kind]}")
            inputs = layer.get("inputs", [])
            inputs = [inputs] if isinstance(inputs, str) else inputs
            given = [find(shapes, n) for n in inputs] or [shape]
            if "weights" in layer:
                module, owner = getattr(self, layer["weights"]), layer["weights"]
            else:
                module, owner = make(kind, layer, given), name
                self.add_module(name, module)
            self.order.append((name, owner, inputs))
            shape = shapes[name] = shape_after(module, given)
        self.shape = shape

    def forward(self, x):
        values = self.values(x, {})
        return values[self.order[-1][0]] if self.order else x

    def values(self, x, others):
        """What each layer gives, by name."""
        values = {"input": x} | others
        for name, owner, inputs in self.order:
            given = [find(values, n) for n in inputs] or [x]
            x = values[name] = getattr(self, owner)(*given)
        return values


def make(kind, layer, shapes):
    """The module of a layer that takes values of these shapes."""
    if kind in OF_SEQUENCES:
        return OF_SEQUENCES[kind](Sequence)(layer, shapes)
    if kind in spec_transformers.OF_SHAPES:
        return spec_transformers.OF_SHAPES[kind](layer, shapes)
    return LAYERS[kind](layer, shapes[0])


def find(values, reference):
    """What `name`, or `name.number` of a layer with several outputs, stands for."""
    name, _, number = reference.partition(".")
    return values[name][int(number)] if number else values[name]


class Call(nn.Module):
    """A function of one or more tensors."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *x):
        return self.function(*x)


def repeat(layer, shape):
    """The body so many times, each with its own parameters: `NAME.0`, `NAME.1`, ..."""
    times = nn.Sequential()
    for _ in range(layer["times"]):
        times.append(Sequence(layer["body"], shape))
        shape = times[-1].shape
    return times


def total(layer, _):
    """c_0 x_0 + c_1 x_1 + ..."""
    factors = layer.get("coefficients")
    return Call(lambda *x: sum(c * y for c, y in zip(factors or [1.0] * len(x), x)))


def product(*x):
    """x_0 x_1 ..."""
    result = x[0]
    for factor in x[1:]:
        result = result * factor
    return result


def attention(layer, _):
    """PyTorch's function of query, key, value and perhaps a mask."""
    names = ("is_causal", "scale", "enable_gqa")
    options = {name: layer[name] for name in names if name in layer}
    attend = nn.functional.scaled_dot_product_attention
    return Call(lambda q, k, v, mask=None: attend(q, k, v, attn_mask=mask, **options))


def slice_(layer, _):
    """x[..., start:end, ...] along an axis."""
    dim = layer.get("dim", 1)

    def part(x):
        start, end, _ = slice(layer.get("start", 0), layer.get("end")).indices(x.shape[dim])
        return x.narrow(dim, start, end - start)

    return Call(part)


class LoraLinear(nn.Linear):
    """A linear layer and (alpha / rank) B A x, with the names of onestep and the layouts of PEFT."""

    def __init__(self, inputs, outputs, bias, rank, alpha):
        super().__init__(inputs, outputs, bias=bias)
        self.lora_a = nn.Parameter(torch.empty(rank, inputs))
        self.lora_b = nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.lora_a, a=5**0.5)
        self.scale = alpha / rank

    def forward(self, x):
        low = nn.functional.linear(x, self.lora_a)
        return super().forward(x) + self.scale * nn.functional.linear(low, self.lora_b)


def dense(layer, shape):
    sizes = shape[-1], layer["out_features"]
    if "lora" in layer:
        return LoraLinear(*sizes, layer.get("bias", True), **layer["lora"])
    return nn.Linear(*sizes, bias=layer.get("bias", True))


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


def shape_after(module, shapes):
    """The per-sample shape of a module's output, or those of its outputs."""
    training = module.training
    module.eval()
    with torch.no_grad():
        dtype = torch.long if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) else torch.float32
        # Indices first; factors of them are numbers.
        dtypes = [dtype] + [torch.float32] * (len(shapes) - 1)
        given = [torch.zeros(2, *shape, dtype=own) for shape, own in zip(shapes, dtypes)]
        result = module(*given)
    module.train(training)
    if isinstance(result, tuple):
        return [list(part.shape[1:]) for part in result]
    return list(result.shape[1:])


def pad(layer, shape):
    """The modules of PyTorch, which list the last axis first."""
    sizes = [n for pair in reversed(layer["padding"]) for n in pair]
    mode, axes = layer.get("mode", "constant"), len(layer["padding"])
    if mode == "constant":
        return Call(lambda x: nn.functional.pad(x, sizes, value=layer.get("value", 0.0)))
    kind = {"reflect": "Reflection", "replicate": "Replication", "circular": "Circular"}[mode]
    return getattr(nn, f"{kind}Pad{axes}d")(tuple(sizes))


def upsample(layer, _):
    options = {k: layer[k] for k in ("scale_factor", "mode") if k in layer}
    if "size" in layer:
        options["size"] = tuple(layer["size"])
    return nn.Upsample(**options, align_corners=layer.get("align_corners"))


def formula(layer, _):
    """A formula, in Python's terms."""
    functions = {"where": torch.where, "max": torch.maximum, "softplus": nn.functional.softplus}
    functions |= {"tanh": torch.tanh, "sigmoid": torch.sigmoid}
    code = layer["y"].replace("^", "**")

    def call(*x):
        names = {"x": x[0]} | {f"x{i}": value for i, value in enumerate(x)}
        return eval(code, functions | names)  # noqa: S307: the cases are our own

    return Call(call)


def instance_norm(layer, shape):
    kinds = {2: nn.InstanceNorm1d, 3: nn.InstanceNorm2d, 4: nn.InstanceNorm3d}
    options = {k: layer[k] for k in ("eps", "momentum", "affine", "track_running_stats") if k in layer}
    return kinds[len(shape)](shape[0], **options)


def group_norm(layer, shape):
    affine = layer.get("affine", True)
    return nn.GroupNorm(layer["num_groups"], shape[0], eps=layer.get("eps", 1e-5), affine=affine)


def rms_norm(layer, shape):
    return nn.RMSNorm(
        layer.get("normalized_shape", shape[-1:]),
        eps=layer.get("eps", torch.finfo(torch.float32).eps),  # what None means for float32
        elementwise_affine=layer.get("affine", True),
    )


def local_response_norm(layer, _):
    options = {k: layer[k] for k in ("alpha", "beta", "k") if k in layer}
    return nn.LocalResponseNorm(layer["size"], **options)


def gated(activation):
    """activation(a) b for the halves a and b."""

    def build_(layer, _):
        def gate(x):
            a, b = x.chunk(2, layer.get("dim", -1))
            return activation(a) * b

        return Call(gate)

    return build_


def layer_norm(layer, shape):
    return nn.LayerNorm(
        layer.get("normalized_shape", shape[-1:]),
        eps=layer.get("eps", 1e-5),
        elementwise_affine=layer.get("affine", True),
    )


LAYERS = {
    "dense": parametrized.parametrized(dense),
    "conv1d": windows.conv(nn.Conv1d),
    "conv2d": windows.conv(nn.Conv2d),
    "conv3d": windows.conv(nn.Conv3d),
    "max_pool1d": windows.max_pool(nn.MaxPool1d),
    "max_pool2d": windows.max_pool(nn.MaxPool2d),
    "max_pool3d": windows.max_pool(nn.MaxPool3d),
    "avg_pool1d": windows.avg_pool(nn.AvgPool1d),
    "avg_pool2d": windows.avg_pool(nn.AvgPool2d),
    "avg_pool3d": windows.avg_pool(nn.AvgPool3d),
    "adaptive_avg_pool1d": windows.adaptive(nn.AdaptiveAvgPool1d),
    "adaptive_avg_pool2d": windows.adaptive(nn.AdaptiveAvgPool2d),
    "adaptive_avg_pool3d": windows.adaptive(nn.AdaptiveAvgPool3d),
    "adaptive_max_pool1d": windows.adaptive(nn.AdaptiveMaxPool1d),
    "adaptive_max_pool2d": windows.adaptive(nn.AdaptiveMaxPool2d),
    "adaptive_max_pool3d": windows.adaptive(nn.AdaptiveMaxPool3d),
    "unfold": lambda l, s: nn.Unfold(**windows.moves(l)),
    "fold": lambda l, s: nn.Fold(windows.size(l["output_size"]), **windows.moves(l)),
    "global_avg_pool2d": lambda l, s: nn.AdaptiveAvgPool2d(1),
    "flatten": lambda l, s: nn.Flatten(l.get("start_dim", 1)),
    "reshape": lambda l, s: Reshape(l["shape"]),
    "batch_norm": windows.batch_norm,
    "layer_norm": layer_norm,
    "dropout": lambda l, s: nn.Dropout(l.get("p", 0.5)),
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
    "relu6": lambda l, s: nn.ReLU6(),
    "conv_transpose1d": windows.conv_transpose(nn.ConvTranspose1d),
    "conv_transpose2d": windows.conv_transpose(nn.ConvTranspose2d),
    "conv_transpose3d": windows.conv_transpose(nn.ConvTranspose3d),
    "pad": pad,
    "pixel_shuffle": lambda l, s: nn.PixelShuffle(l["upscale_factor"]),
    "pixel_unshuffle": lambda l, s: nn.PixelUnshuffle(l["downscale_factor"]),
    "channel_shuffle": lambda l, s: nn.ChannelShuffle(l["groups"]),
    "upsample": upsample,
    "formula": formula,
    "group_norm": group_norm,
    "instance_norm": instance_norm,
    "rms_norm": rms_norm,
    "local_response_norm": local_response_norm,
    "dropout1d": lambda l, s: nn.Dropout1d(l.get("p", 0.5)),
    "dropout2d": lambda l, s: nn.Dropout2d(l.get("p", 0.5)),
    "dropout3d": lambda l, s: nn.Dropout3d(l.get("p", 0.5)),
    "alpha_dropout": lambda l, s: nn.AlphaDropout(l.get("p", 0.5)),
    "feature_alpha_dropout": lambda l, s: nn.FeatureAlphaDropout(l.get("p", 0.5)),
    "stochastic_depth": lambda l, s: StochasticDepth(l["p"], l.get("mode", "row")),
    "hardtanh": lambda l, s: nn.Hardtanh(l.get("min_val", -1.0), l.get("max_val", 1.0)),
    "hardsigmoid": lambda l, s: nn.Hardsigmoid(),
    "hardswish": lambda l, s: nn.Hardswish(),
    "celu": lambda l, s: nn.CELU(l.get("alpha", 1.0)),
    "selu": lambda l, s: nn.SELU(),
    "rrelu": lambda l, s: nn.RReLU(l.get("lower", 1 / 8), l.get("upper", 1 / 3)),
    "log_sigmoid": lambda l, s: nn.LogSigmoid(),
    "softplus": lambda l, s: nn.Softplus(l.get("beta", 1.0), l.get("threshold", 20.0)),
    "softsign": lambda l, s: nn.Softsign(),
    "softshrink": lambda l, s: nn.Softshrink(l.get("lambd", 0.5)),
    "hardshrink": lambda l, s: nn.Hardshrink(l.get("lambd", 0.5)),
    "tanhshrink": lambda l, s: nn.Tanhshrink(),
    "threshold": lambda l, s: nn.Threshold(l.get("threshold", 0.0), l.get("value", 0.0)),
    "mish": lambda l, s: nn.Mish(),
    "squared_relu": lambda l, s: Call(lambda x: x.relu().square()),
    "quick_gelu": lambda l, s: Call(lambda x: x * torch.sigmoid(1.702 * x)),
    "glu": lambda l, s: nn.GLU(l.get("dim", -1)),
    "swiglu": gated(nn.functional.silu),
    "geglu": gated(nn.functional.gelu),
    "softmin": lambda l, s: nn.Softmin(dim=l.get("dim", -1)),
    "sum": total,
    "scaled_dot_product_attention": attention,
    "multiply": lambda l, s: Call(product),
    "mean": lambda l, s: Call(lambda x: x.mean(l["dims"], keepdim=l.get("keepdim", False))),
    "permute": lambda l, s: Call(lambda x: x.permute(l["dims"])),
    "slice": slice_,
    "split": lambda l, s: Call(lambda x: x.split(l["sizes"], l.get("dim", 1))),
    "select": lambda l, s: Call(lambda x: x.select(l.get("dim", 1), l["index"])),
    "block": lambda l, s: Sequence(l["body"], s),
    "repeat": repeat,
    "residual": Residual,
    "concat": lambda l, s: Concat(l, s)
    if "branches" in l
    else Call(lambda *x: torch.cat(x, l.get("dim", 1))),
} | spec_transformers.LAYERS | spec_recurrent.LAYERS | spec_tables.LAYERS

# Those whose parts are layers.
OF_SEQUENCES = {"recurrent": recurrent}


def build(spec):
    """The PyTorch module of a model description, with PyTorch's initial parameters."""
    return Sequence(spec["layers"], spec["input"]["shape"])


def to_ours(model):
    """{name: tensor in onestep's layout} of a model's parameters, then of its gradients (for
    those that have one), then of its running statistics."""
    linear = [n for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    learned = [f"parametrizations.weight.{last}" for last in parametrized.LEARNED]
    dense = {f"{n}.{last}" for n in linear for last in ("weight", "lora_a", "lora_b", *learned)}
    for n, m in model.named_modules():
        if isinstance(m, nn.RNNBase):
            dense |= {f"{n}.{last}" for last, _ in m.named_parameters() if last.startswith("weight_")}

    def layout(name, tensor):
        return tensor.detach().t().contiguous() if name in dense else tensor.detach().clone()

    parameters = {n: layout(n, p) for n, p in model.named_parameters()}
    gradients = {n: layout(n, p.grad) for n, p in model.named_parameters() if p.grad is not None}
    counted = [n for n, m in model.named_modules() if getattr(m, "momentum", 0.1) is None]
    statistics = {
        n: b.detach().clone()
        for n, b in model.named_buffers()
        if not n.endswith("num_batches_tracked") or n.rpartition(".")[0] in counted
    }
    return parameters, gradients, statistics
