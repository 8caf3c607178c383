"""The PyTorch modules of attention, transformers and positions."""

import torch
from torch import nn
from torch.nn import functional as F


def causal_mask(queries, keys):
    """Not 0 where a query may not see a key."""
    return torch.ones(queries, keys, dtype=torch.bool).triu(1)


def positions_and_padding(layer, x, option="key_padding"):
    """The inputs without the last one where an option says that it is padding; and that one as a mask."""
    if option not in layer:
        return x, None
    assert layer[option] == "mask"
    return x[:-1], x[-1] != 0


class Attention(nn.MultiheadAttention):
    """PyTorch's, with one to three inputs."""

    def __init__(self, layer, shapes):
        (_, width), key, value = shapes[0], shapes[min(1, len(shapes) - 1)], shapes[-1]
        options = {"dropout": layer.get("dropout", 0.0), "bias": layer.get("bias", True)}
        options |= {"kdim": key[1], "vdim": value[1], "batch_first": True}
        super().__init__(width, layer["num_heads"], **options)
        self.layer = layer

    def forward(self, *x):
        x, padding = positions_and_padding(self.layer, x)
        query, key, value = x[0], x[min(1, len(x) - 1)], x[-1]
        mask = causal_mask(query.shape[1], key.shape[1]) if self.layer.get("causal") else None
        options = {"key_padding_mask": padding, "attn_mask": mask, "need_weights": False}
        return super().forward(query, key, value, **options)[0]


def rotated(x, options):
    """`x [..., t, d]` with pairs turned, as complex numbers."""
    width = options.get("dims", x.shape[-1])
    first, rest = x[..., :width], x[..., width:]
    angles = torch.arange(x.shape[-2], dtype=torch.float64)[:, None]
    angles = angles / options.get("base", 10000.0) ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
    turn = torch.polar(torch.ones_like(angles), angles)
    turn = turn.to(torch.complex128 if x.dtype == torch.float64 else torch.complex64)
    if options.get("interleaved"):
        pairs = torch.complex(first[..., 0::2], first[..., 1::2]) * turn
        first = torch.stack([pairs.real, pairs.imag], -1).flatten(-2)
    else:
        half = width // 2
        pairs = torch.complex(first[..., :half], first[..., half:]) * turn
        first = torch.cat([pairs.real, pairs.imag], -1)
    return torch.cat([first, rest], -1)


def alibi(heads, queries, keys):
    """-m |i - j|, for a power of two of heads."""
    assert heads & (heads - 1) == 0
    slopes = 2.0 ** (-8.0 * torch.arange(1, heads + 1) / heads)
    distance = (torch.arange(queries)[:, None] - torch.arange(keys)).abs()
    return -slopes[:, None, None] * distance


class GroupedAttention(nn.Module):
    """What PyTorch's module lacks, over its function: grouped queries, rotations, ALiBi."""

    def __init__(self, layer, width):
        super().__init__()
        self.layer, self.heads = layer, layer["num_heads"]
        self.groups = layer.get("kv_heads", self.heads)
        self.sizes = [width] + [width // self.heads * self.groups] * 2
        self.in_proj_weight = nn.Parameter(torch.empty(sum(self.sizes), width))
        self.in_proj_bias = nn.Parameter(torch.empty(sum(self.sizes)))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x):
        parts = F.linear(x, self.in_proj_weight, self.in_proj_bias).split(self.sizes, -1)
        counts = (self.heads, self.groups, self.groups)
        q, k, v = (y.unflatten(-1, (n, -1)).transpose(1, 2) for y, n in zip(parts, counts))
        if "rotary" in self.layer:
            q, k = rotated(q, self.layer["rotary"]), rotated(k, self.layer["rotary"])
        length = x.shape[1]
        mask = torch.zeros(self.heads, length, length, dtype=x.dtype)
        if self.layer.get("alibi"):
            mask = mask + alibi(self.heads, length, length).to(x.dtype)
        if self.layer.get("causal"):
            mask = mask.masked_fill(causal_mask(length, length), -torch.inf)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, enable_gqa=True)
        return self.out_proj(y.transpose(1, 2).flatten(-2))


def attention(layer, shapes):
    if any(option in layer for option in ("kv_heads", "rotary", "alibi")):
        return GroupedAttention(layer, shapes[0][1])
    return Attention(layer, shapes[: len(shapes) - ("key_padding" in layer)])


OPTIONS = ("dim_feedforward", "dropout", "activation", "layer_norm_eps", "norm_first", "bias")


def options_of(layer, shape):
    options = {k: layer[k] for k in OPTIONS if k in layer}
    return options | {"d_model": shape[1], "nhead": layer["nhead"], "batch_first": True}


class EncoderLayer(nn.TransformerEncoderLayer):
    def __init__(self, layer, shape):
        super().__init__(**options_of(layer, shape))
        self.layer = layer

    def forward(self, *x):
        (x,), padding = positions_and_padding(self.layer, x)
        mask = causal_mask(x.shape[1], x.shape[1]) if self.layer.get("causal") else None
        return super().forward(x, src_mask=mask, src_key_padding_mask=padding)


class DecoderLayer(nn.TransformerDecoderLayer):
    def __init__(self, layer, shape):
        super().__init__(**options_of(layer, shape))
        self.layer = layer

    def forward(self, *x):
        x, memory_padding = positions_and_padding(self.layer, x, "memory_padding")
        (x, memory), padding = positions_and_padding(self.layer, x)
        mask = causal_mask(x.shape[1], x.shape[1]) if self.layer.get("causal") else None
        options = {"tgt_key_padding_mask": padding, "memory_key_padding_mask": memory_padding}
        return super().forward(x, memory, tgt_mask=mask, **options)


class Stack(nn.Module):
    """The names of PyTorch's stacks; their layers get the further inputs again."""

    def __init__(self, kind, layer, shape):
        super().__init__()
        self.layers = nn.ModuleList(kind(layer["layer"], shape) for _ in range(layer["num_layers"]))
        eps = layer["layer"].get("layer_norm_eps", 1e-5)
        self.norm = nn.LayerNorm(shape[1], eps=eps) if layer.get("norm") else nn.Identity()

    def forward(self, x, *others):
        for layer in self.layers:
            x = layer(x, *others)
        return self.norm(x)


class LearnedPositions(nn.Module):
    def __init__(self, layer, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(layer["max_length"], shape[1]))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class SinusoidalPositions(nn.Module):
    def __init__(self, layer, _):
        super().__init__()
        self.base = layer.get("base", 10000.0)

    def forward(self, x):
        _, length, width = x.shape
        position = torch.arange(length, dtype=torch.float64)[:, None]
        waves = torch.zeros(length, width, dtype=torch.float64)
        angles = position / self.base ** (torch.arange(0, width, 2, dtype=torch.float64) / width)
        waves[:, 0::2] = angles.sin()
        waves[:, 1::2] = angles.cos()[:, : width // 2]
        return x + waves.to(x.dtype)


class Rotary(nn.Module):
    def __init__(self, layer, _):
        super().__init__()
        self.options = layer

    def forward(self, x):
        return rotated(x, self.options)


class ClassToken(nn.Module):
    def __init__(self, _, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, shape[1]))

    def forward(self, x):
        return torch.cat([self.weight.expand(x.shape[0], -1, -1), x], 1)


class PatchEmbedding(nn.Conv2d):
    def __init__(self, layer, shape):
        size = layer["patch_size"]
        size = size if isinstance(size, int) else tuple(size)
        super().__init__(shape[0], layer["embed_dim"], size, stride=size, bias=layer.get("bias", True))

    def forward(self, x):
        return super().forward(x).flatten(2).transpose(1, 2)


# Those that are made from the shapes of all their inputs.
OF_SHAPES = {"multi_head_attention": attention}

LAYERS = {
    "transformer_encoder_layer": EncoderLayer,
    "transformer_encoder": lambda l, s: Stack(EncoderLayer, l, s),
    "transformer_decoder_layer": DecoderLayer,
    "transformer_decoder": lambda l, s: Stack(DecoderLayer, l, s),
    "learned_positions": LearnedPositions,
    "sinusoidal_positions": SinusoidalPositions,
    "rotary": Rotary,
    "class_token": ClassToken,
    "patch_embedding": PatchEmbedding,
}
