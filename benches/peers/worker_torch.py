"""PyTorch's worker of the comparison: worker_torch.py [FLAG,..] WORKLOAD FILE

Flags: compile (torch.compile), channels-last (pictures with their channels innermost), fused (the
optimizer's fused kernels). The protocol is that of worker/src/lib.rs. PEER_THREADS is the number of
threads.
"""

import json
import os
import re
import sys
import time
from collections import OrderedDict

try:
    import safetensors.torch
    import torch
    from torch import Tensor, nn
except ModuleNotFoundError as error:
    sys.exit(f"{error}; pip install torch safetensors numpy")


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers in a row under onestep's names, which are those in the file."""
    return nn.Sequential(OrderedDict(layers))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = named(
            conv1=nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            bn1=nn.BatchNorm2d(outputs),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            bn2=nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = named(conv=conv, bn=nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.body(x) + self.shortcut(x))


class UNet(nn.Module):
    """A U-Net of four levels with normalised 3x3 convolutions."""

    def __init__(self, base: int) -> None:
        super().__init__()
        inputs = 1
        for level in range(4):
            self.add_module(f"down{level}", twice(inputs, base << level))
            inputs = base << level
        self.bottom = twice(inputs, base << 4)
        for level in range(3, -1, -1):
            width = base << level
            self.add_module(f"up{level}", nn.ConvTranspose2d(2 * width, width, 2, 2))
            self.add_module(f"decoder{level}", twice(2 * width, width))
        self.head = nn.Conv2d(base, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level in range(4):
            kept.append(getattr(self, f"down{level}")(x))
            x = nn.functional.max_pool2d(kept[-1], 2)
        x = self.bottom(x)
        for level in range(3, -1, -1):
            x = torch.cat([kept[level], getattr(self, f"up{level}")(x)], 1)
            x = getattr(self, f"decoder{level}")(x)
        return self.head(x)


def twice(inputs: int, outputs: int) -> nn.Sequential:
    return named(
        conv1=nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False),
        bn1=nn.BatchNorm2d(outputs),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
        bn2=nn.BatchNorm2d(outputs),
        relu2=nn.ReLU(),
    )


class SelfAttention(nn.Module):
    """Attention of several heads, its three products in one, as fast as PyTorch's own ops do it."""

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        b, t, d = x.shape
        parts = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias).split(d, 2)
        q, k, v = (p.view(b, t, self.heads, d // self.heads).transpose(1, 2) for p in parts)
        y = nn.functional.scaled_dot_product_attention(q, k, v, mask, is_causal=self.causal)
        return self.out_proj(y.transpose(1, 2).reshape(b, t, d))


class Block(nn.Module):
    """A transformer's layer with its norms in front."""

    def __init__(self, width: int, heads: int, causal: bool, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps)
        self.self_attn = SelfAttention(width, heads, causal)
        self.norm2 = nn.LayerNorm(width, eps)
        self.linear1 = nn.Linear(width, 4 * width)
        self.linear2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.norm1(x), mask)
        return x + self.linear2(nn.functional.gelu(self.linear1(self.norm2(x))))


class Encoder(nn.Module):
    """Layers and a norm behind."""

    def __init__(self, layers: int, width: int, heads: int, causal=False, eps=1e-5) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Block(width, heads, causal, eps) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


class Positions(nn.Module):
    """A learned vector a position, added."""

    def __init__(self, positions: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(positions, width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.weight


class ClassToken(nn.Module):
    """A learned vector in front of the positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 1, width))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.weight.expand(x.shape[0], -1, -1), x], 1)


class Gpt(nn.Module):
    """A language model; its classes are an axis behind the positions."""

    def __init__(self, vocabulary: int, positions: int, layers: int, width: int, heads: int):
        super().__init__()
        self.te = nn.Embedding(vocabulary, width)
        self.pe = Positions(positions, width)
        self.b = Encoder(layers, width, heads, causal=True)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.b(self.pe(self.te(tokens))))


class TextEncoder(nn.Module):
    """Two layers over bytes, of which 0 fills up, and the mean over what is no filling."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(256, 128)
        self.encoder = Encoder(2, 128, 4)
        self.head = nn.Linear(128, 2)
        self.register_buffer("positions", sinusoids(128, 128))

    def forward(self, tokens: Tensor) -> Tensor:
        seen = tokens != 0
        x = self.encoder(self.embed(tokens) + self.positions, seen[:, None, None, :])
        weight = seen.to(x.dtype)[:, :, None]
        return self.head((x * weight).sum(1) / weight.sum(1).clamp(min=1e-6))


def sinusoids(positions: int, width: int) -> Tensor:
    angle = torch.arange(positions)[:, None] / 10000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)


class VitTiny(nn.Module):
    """ViT-Ti with patches of 4 x 4."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, 192, 4, 4)
        self.class_token = ClassToken(192)
        self.pos_embedding = Positions(65, 192)
        self.encoder = Encoder(12, 192, 3, eps=1e-6)
        self.head = nn.Linear(192, 10)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.conv_proj(pictures).flatten(2).transpose(1, 2)
        return self.head(self.encoder(self.pos_embedding(self.class_token(x)))[:, 0])


class LastStep(nn.Module):
    """A recurrent network over 64 features a step, and classes from its last output."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.r = kind(64, 256, batch_first=True)
        self.f = nn.Linear(256, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.f(self.r(x)[0][:, -1])


def lstm() -> nn.Module:
    return LastStep(nn.LSTM)


def gru() -> nn.Module:
    return LastStep(nn.GRU)


def char_gpt() -> nn.Module:
    return Gpt(65, 64, 4, 128, 4)


def nano_gpt() -> nn.Module:
    return Gpt(65, 256, 6, 384, 6)


def seed_cnn() -> nn.Module:
    return named(
        conv1=nn.Conv2d(3, 8, 3, 1, 1),
        relu1=nn.ReLU(),
        pool=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        fc=nn.Linear(8, 2),
    )


def mlp_mnist() -> nn.Module:
    return named(
        fc1=nn.Linear(784, 256),
        relu1=nn.ReLU(),
        fc2=nn.Linear(256, 128),
        relu2=nn.ReLU(),
        fc3=nn.Linear(128, 10),
    )


def seed_custom() -> nn.Module:
    return named(
        conv1=nn.Conv2d(3, 32, 5, 1, 2),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(32, 64, 3, 2, 1),
        relu2=nn.ReLU(),
        flat=nn.Flatten(),
        fc1=nn.Linear(64 * 32 * 32, 128),
        relu3=nn.ReLU(),
        fc2=nn.Linear(128, 10),
    )


def cifar_cnn() -> nn.Module:
    return named(
        conv1=nn.Conv2d(3, 32, 3, 1, 1),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(32, 64, 3, 1, 1),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flat=nn.Flatten(),
        fc1=nn.Linear(64 * 8 * 8, 128),
        relu3=nn.ReLU(),
        fc2=nn.Linear(128, 10),
    )


def resnet18() -> nn.Module:
    conv = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    layers = {"conv1": conv, "bn1": nn.BatchNorm2d(64), "relu1": nn.ReLU()}
    inputs = 64
    for stage, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage > 0 and block == 0 else 1
            layers[f"layer{stage + 1}_{block}"] = BasicBlock(inputs, width, stride)
            inputs = width
    return named(**layers, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(512, 10))


def mlp(width: int, depth: int) -> nn.Module:
    layers: dict[str, nn.Module] = {}
    for i in range(1, depth + 1):
        layers[f"fc{i}"] = nn.Linear(784 if i == 1 else width, width)
        layers[f"relu{i}"] = nn.ReLU()
    return named(**layers, head=nn.Linear(width, 10))


def cnn(width: int, depth: int) -> nn.Module:
    layers: dict[str, nn.Module] = {}
    for i in range(1, depth + 1):
        layers[f"conv{i}"] = nn.Conv2d(3 if i == 1 else width, width, 3, 1, 1)
        layers[f"relu{i}"] = nn.ReLU()
    pool = nn.AdaptiveAvgPool2d(1)
    return named(**layers, pool=pool, flat=nn.Flatten(), head=nn.Linear(width, 10))


NETWORKS = {
    "seed_cnn_sgd": seed_cnn,
    "seed_cnn_adam": seed_cnn,
    "mlp_mnist": mlp_mnist,
    "seed_custom": seed_custom,
    "cifar_cnn": cifar_cnn,
    "resnet18_b32": resnet18,
    "lstm": lstm,
    "gru": gru,
    "unet": lambda: UNet(16),
    "char_gpt": char_gpt,
    "nano_gpt": nano_gpt,
    "vit_tiny": VitTiny,
    "text_encoder": TextEncoder,
}
# These are trained by AdamW.
TRANSFORMERS = ("char_gpt", "nano_gpt", "vit_tiny", "text_encoder", "gpt")


def gpt(width: int, depth: int, length: int) -> nn.Module:
    return Gpt(65, length, depth, width, max(1, width // 32))


# Networks of any size, such as cnn-b32-w32-d4; see onestep/src/families.rs.
FAMILIES = {"mlp": mlp, "cnn": cnn, "gpt": gpt}


def network(workload: str) -> nn.Module:
    if workload in NETWORKS:
        return NETWORKS[workload]()
    member = re.fullmatch(r"(\w+)-b\d+-w(\d+)-d(\d+)(?:-t(\d+))?", workload)
    if not member or member[1] not in FAMILIES:
        sys.exit(f"worker_torch.py has no workload {workload}")
    return FAMILIES[member[1]](*(int(size) for size in member.groups()[1:] if size))


def optimizer(workload: str, model: nn.Module, fused: bool) -> torch.optim.Optimizer:
    # None leaves the choice to PyTorch, as its users do.
    choice = True if fused else None
    if workload == "seed_cnn_sgd":
        return torch.optim.SGD(model.parameters(), lr=0.01, fused=choice)
    if workload == "resnet18_b32":
        return torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, fused=choice)
    if workload.split("-")[0] in TRANSFORMERS:
        return torch.optim.AdamW(model.parameters(), lr=1e-3, fused=choice)
    return torch.optim.Adam(model.parameters(), lr=1e-3, fused=choice)


def load(model: nn.Module, path: str) -> tuple[Tensor, Tensor]:
    """Fills the parameters and gives the batch."""
    # Weights of products are [in, out] in the file.
    turned = {
        f"{name}.{own}"
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.RNNBase)
        for own, _ in module.named_parameters(recurse=False)
        if own.startswith("weight")
    }
    with safetensors.safe_open(path, "pt") as file:
        parameters = dict(model.named_parameters())
        unknown = {name for name in file.keys() if not name.startswith("batch.")} - set(parameters)
        if unknown:
            sys.exit(f"worker_torch.py has no parameters {', '.join(sorted(unknown))}")
        for name, parameter in parameters.items():
            value = file.get_tensor(name)
            parameter.data.copy_(value.T if name in turned else value.reshape(parameter.shape))
        batch = file.get_tensor("batch.input"), file.get_tensor("batch.target")
        return tuple(x if x.is_floating_point() else x.long() for x in batch)


class Trainer:
    """One step a call, its loss not yet read."""

    def __init__(self, flags: set[str], workload: str, path: str) -> None:
        self.model = network(workload)
        self.input, self.target = load(self.model, path)
        if "channels-last" in flags and self.input.dim() == 4:
            self.model.to(memory_format=torch.channels_last)
            self.input = self.input.contiguous(memory_format=torch.channels_last)
        self.optimizer = optimizer(workload, self.model, "fused" in flags)
        self.loss_of = torch.compile(self.forward) if "compile" in flags else self.forward

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        # Of many positions, one row each: the classes are the last axis.
        output = self.model(x)
        if y.is_floating_point():
            return nn.functional.binary_cross_entropy_with_logits(output, y)
        if y.dim() == 2:
            output, y = output.flatten(0, 1), y.flatten()
        return nn.functional.cross_entropy(output, y)

    def step(self) -> Tensor:
        loss = self.loss_of(self.input, self.target)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def run(self, steps: int) -> float:
        for _ in range(steps):
            loss = self.step()
        return loss.item()


def peak_bytes() -> int | None:
    """The most resident memory of this process."""
    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def answer(trainer: Trainer, request: dict) -> dict:
    if "losses" in request:
        return {"losses": [trainer.step().item() for _ in range(request["losses"])]}
    if request.get("warm"):
        trainer.run(request["warm"])
    start = time.perf_counter()
    loss = trainer.run(request["steps"])
    return {"ms": (time.perf_counter() - start) * 1e3, "loss": loss}


def main() -> None:
    *flags, workload, path = sys.argv[1:]
    torch.set_num_threads(int(os.environ["PEER_THREADS"]))
    trainer = Trainer(set(",".join(flags).split(",")), workload, path)
    print(json.dumps({"ready": f"torch {torch.__version__}"}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("quit"):
            print(json.dumps({"peak_bytes": peak_bytes()}), flush=True)
            break
        print(json.dumps(answer(trainer, request)), flush=True)


if __name__ == "__main__":
    main()
