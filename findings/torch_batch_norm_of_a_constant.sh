#!/usr/bin/env bash
# PyTorch 2.15.0, CPU, f32: batch normalisation in training mode of data that does not vary gives large
# numbers, where layer and group normalisation of the same numbers give 0. Every element of the input is
# 1,000,000; the mean is exact, so each output should be 0. It is 8.69 (0.73 for 100,000). In f64 it is 1e-8.
#
# So goldens of a normalisation must not be taken from data far from 0 in f32, and "as PyTorch" is no
# argument there: right is 0, or the bias.
#
# Seen:
#   batch_norm f32 8.685547
#   batch_norm f64 0.000000
#   layer_norm f32 0.000000
#   group_norm f32 0.000000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q torch==2.15.0 numpy==2.4.6
seen=$("$folder/v/bin/python" - <<'P'
import torch
import torch.nn.functional as F

x = torch.full((64, 3, 5, 5), 1e6)
print(f"batch_norm f32 {F.batch_norm(x, None, None, training=True).abs().max():.6f}")
print(f"batch_norm f64 {F.batch_norm(x.double(), None, None, training=True).abs().max():.6f}")
print(f"layer_norm f32 {F.layer_norm(x, (5, 5)).abs().max():.6f}")
print(f"group_norm f32 {F.group_norm(x, 3).abs().max():.6f}")
P
)
wanted='batch_norm f32 8.685547
batch_norm f64 0.000000
layer_norm f32 0.000000
group_norm f32 0.000000'
[ "$seen" = "$wanted" ] || { printf 'changed:\n%s\n' "$seen" >&2; exit 1; }
printf 'as before:\n%s\n' "$seen"
