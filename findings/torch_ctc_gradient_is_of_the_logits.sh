#!/usr/bin/env bash
# PyTorch 2.15.0, CPU: the gradient that `ctc_loss` gives for its input is not the derivative of the loss by
# that input. The input is documented as logarithms of probabilities; the gradient that comes back is
# exp(input) - (share of the paths), which is the derivative by the logits in front of a log-softmax. Its sum
# over the classes is 0 at each time. By finite differences each entry is only -(share of the paths), and a
# time's entries sum to -1 / target length under the default mean.
#
# Behind a log_softmax the two are the same, since its own gradient takes away what each row sums to. So
# `gradcheck` of ctc_loss alone fails in f64, and an implementation must be held against PyTorch's logits, or
# against finite differences, but not against PyTorch's gradient of the log-probabilities.
#
# Seen:
#   gradient of ctc_loss, sum over the classes 0.000000
#   finite differences, sum over the classes -0.500000
#   behind log_softmax the largest difference is below 1e-6: True
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/v"
"$folder/v/bin/pip" install -q torch==2.15.0 numpy==2.4.6
seen=$("$folder/v/bin/python" - <<'P'
import torch
import torch.nn.functional as F

torch.manual_seed(0)
logits = torch.randn(5, 1, 4, dtype=torch.float64)
labels = torch.tensor([[1, 2]])


def loss(log_probs):
    return F.ctc_loss(log_probs, labels, torch.tensor([5]), torch.tensor([2]))


def differences(f, x, eps=1e-6):
    out = torch.zeros_like(x)
    for i in range(x.numel()):
        for sign in (1, -1):
            moved = x.clone().flatten()
            moved[i] += sign * eps
            out.view(-1)[i] += sign * f(moved.view_as(x)) / (2 * eps)
    return out


x = logits.log_softmax(2).requires_grad_()
loss(x).backward()
z = logits.clone().requires_grad_()
loss(z.log_softmax(2)).backward()
by_hand = differences(loss, x.detach())
through = differences(lambda v: loss(v.log_softmax(2)), logits)
print(f"gradient of ctc_loss, sum over the classes {x.grad[0].sum().abs():.6f}")
print(f"finite differences, sum over the classes {by_hand[0].sum():.6f}")
print("behind log_softmax the largest difference is below 1e-6:", bool((z.grad - through).abs().max() < 1e-6))
P
)
wanted='gradient of ctc_loss, sum over the classes 0.000000
finite differences, sum over the classes -0.500000
behind log_softmax the largest difference is below 1e-6: True'
[ "$seen" = "$wanted" ] || { printf 'changed:\n%s\n' "$seen" >&2; exit 1; }
printf 'as before:\n%s\n' "$seen"
