"""Tokens a second of onestep and of PyTorch, one text at a time, each with keys and values kept.

python3 benches/peers/generate.py --onestep target/release/onestep --checkpoint RUN [--tokens N] [--rounds N]

RUN is a checkpoint of `char_gpt` that `onestep train --data text:FILE?length=64` made; its weights do not
matter for the time. PyTorch runs the same network with weights of its own, greedily, without gradients, in
the plainest way that keeps keys and values: tensors for the whole window, filled in place. Where the window
is full, both compute its later half anew. They take turns, and a turn of each counts its own time.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear, scaled_dot_product_attention
from worker_torch import Gpt, char_gpt

WINDOW = 64


class Cached:
    """The network, with the keys and values of the positions so far."""

    def __init__(self, model: Gpt, window: int) -> None:
        self.model = model
        attention = model.b.layers[0].self_attn
        self.heads, width = attention.heads, attention.out_proj.in_features
        shape = (2, len(model.b.layers), 1, self.heads, window, width // self.heads)
        self.keys, self.values = torch.zeros(shape)
        self.length = 0

    def logits(self, tokens: Tensor) -> Tensor:
        """Of what follows the last of some tokens [1, t], which come behind those so far."""
        model, first, last = self.model, self.length, self.length + tokens.shape[1]
        x = model.te(tokens) + model.pe.weight[first:last]
        for layer, keys, values in zip(model.b.layers, self.keys, self.values):
            own, y = layer.self_attn, layer.norm1(x)
            b, t, d = y.shape
            parts = linear(y, own.in_proj_weight, own.in_proj_bias).split(d, 2)
            q, k, v = (p.view(b, t, self.heads, d // self.heads).transpose(1, 2) for p in parts)
            keys[:, :, first:last], values[:, :, first:last] = k, v
            y = scaled_dot_product_attention(
                q, keys[:, :, :last], values[:, :, :last], is_causal=first == 0
            )
            x = x + own.out_proj(y.transpose(1, 2).reshape(b, t, d))
            x = x + layer.linear2(gelu(layer.linear1(layer.norm2(x))))
        self.length = last
        return model.head(model.b.norm(x[:, -1]))


@torch.inference_mode()
def write(model: Gpt, count: int) -> float:
    """Tokens a second."""
    cached, written, tokens = Cached(model, WINDOW), [0], torch.zeros(1, 1, dtype=torch.long)
    start = time.perf_counter()
    for _ in range(count):
        token = int(cached.logits(tokens).argmax())
        written.append(token)
        if cached.length == WINDOW:
            cached.length = 0
            tokens = torch.tensor([written[-WINDOW // 2 :]])
        else:
            tokens = torch.tensor([[token]])
    return count / (time.perf_counter() - start)


@torch.inference_mode()
def check(model: Gpt) -> None:
    """The logits with what is kept are those of the whole network."""
    tokens = torch.arange(20)[None] % 65
    wanted = model.b(model.te(tokens) + model.pe.weight[:20])
    cached = Cached(model, WINDOW)
    cached.logits(tokens[:, :7])
    for at in range(7, 20):
        got = cached.logits(tokens[:, at : at + 1])
    torch.testing.assert_close(got, model.head(wanted[:, -1]), rtol=1e-4, atol=1e-4)


def onestep(binary: str, checkpoint: str, count: int, threads: int) -> float:
    command = [binary, "generate", "--checkpoint", checkpoint, "--tokens", str(count)]
    command += ["--temperature", "0", "--threads", str(threads), "--json"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(json.loads(said)["tokens_per_second"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--onestep", default="target/release/onestep")
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    flags = parser.parse_args()
    torch.set_num_threads(flags.threads)
    torch.manual_seed(0)
    model = char_gpt().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.05)
    check(model)
    write(model, 100)
    rounds = []
    for _ in range(flags.rounds):
        ours = onestep(flags.onestep, flags.checkpoint, flags.tokens, flags.threads)
        theirs = write(model, flags.tokens)
        rounds.append((ours, theirs))
        print(f"onestep {ours:8.0f} tokens/s, PyTorch {theirs:8.0f} tokens/s: {ours / theirs:.2f}")
    ratio = statistics.median(ours / theirs for ours, theirs in rounds)
    print(f"median of the ratios: {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
