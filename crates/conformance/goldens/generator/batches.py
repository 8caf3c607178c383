"""What becomes of samples on their way into a batch: transforms, mixing, padding.

Every result is torchvision's (or torch's) own in float32, of draws that are given here and not drawn,
and ours is the same to the bit. Fields of a case: `kind`, and what was drawn.

crop, flip, normalise  `input` and `output`, one picture [channels, height, width]
mixup, cutmix          `input` and `output` [batch, ...], `label` [batch], `probabilities` [batch, classes]
pad                    `lengths` [samples] of all samples, whose `tokens`, `labels` and `features` stand one
                       after the other; for each bucket N the batch of it, in the order of the samples:
                       `tokens_N`, `labels_N` (padded with -100), `features_N`, `mask_N`
"""

import torch
from torch.nn.utils.rnn import pad_sequence
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from .writer import random, uniform

CLASSES = 5


def numbers(name, shape):
    """Numbers from 0 to 1 that depend on the name alone."""
    return uniform(random(name), *shape)


def write(writer):
    """Every case."""
    transforms(writer)
    mixing(writer)
    padding(writer)


def transforms(writer):
    """The transforms of one picture."""
    for name, shape, pad, down, right in [
        ("crop_corner", [3, 6, 5], 2, 0, 4),
        ("crop_inside", [1, 8, 8], 3, 4, 2),
        ("crop_still", [2, 4, 4], 1, 1, 1),
    ]:
        entry = writer.case(name, kind="crop", padding=pad, down=down, right=right)
        picture = numbers(name, shape)
        whole = functional.pad(picture, [pad, pad, pad, pad])
        entry.put("input", picture)
        entry.put("output", functional.crop(whole, down, right, *shape[-2:]))
    entry = writer.case("flip", kind="flip")
    picture = numbers("flip", [3, 4, 5])
    entry.put("input", picture)
    entry.put("output", functional.horizontal_flip(picture))
    for name, mean, std in [
        ("normalise_channels", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ("normalise_one", [0.1307], [0.3081]),
    ]:
        entry = writer.case(name, kind="normalise", mean=mean, std=std)
        picture = numbers(name, [len(mean), 4, 5])
        entry.put("input", picture)
        entry.put("output", v2.Normalize(mean, std)(picture))


def mixing(writer):
    """MixUp and CutMix of a batch, with a share and a middle that are given."""
    for name, shape, share in [
        ("mixup", [4, 3, 5, 6], 0.3),
        ("mixup_of_rows", [3, 1, 1, 7], 0.9),
        ("mixup_of_one", [1, 1, 2, 2], 0.25),
    ]:
        mix(writer.case(name, kind="mixup", share=share), name, v2.MixUp, shape, share, (0, 0))
    for name, shape, share, row, column in [
        ("cutmix", [4, 3, 5, 6], 0.6, 2, 3),
        ("cutmix_corner", [3, 1, 8, 8], 0.2, 0, 7),
        ("cutmix_nothing", [2, 1, 4, 4], 0.999, 1, 1),
        ("cutmix_all", [3, 2, 4, 6], 0.0, 2, 3),
    ]:
        entry = writer.case(name, kind="cutmix", share=share, row=row, column=column)
        mix(entry, name, v2.CutMix, shape, share, (row, column))


def mix(entry, name, kind, shape, share, middle):
    """One batch through torchvision's own transform, whose draws are replaced."""
    pictures = numbers(name, shape)
    labels = torch.tensor([2, 0, 0, 4][: shape[0]])
    transform = kind(num_classes=CLASSES)
    transform._dist.sample = lambda _: torch.tensor([share], dtype=torch.float64)
    row, column = middle
    # It draws the column first.
    draws = iter([column, row])
    before = torch.randint
    torch.randint = lambda *_, **__: torch.tensor([next(draws)])
    try:
        output, probabilities = transform(pictures, labels)
    finally:
        torch.randint = before
    entry.put("input", pictures)
    entry.put("label", labels)
    entry.put("output", output)
    entry.put("probabilities", probabilities)


def padding(writer):
    """Sequences of several lengths in two buckets."""
    lengths = [3, 5, 1, 8, 2, 7, 3, 6]
    bounds = [3, 8]
    entry = writer.case("pad", kind="pad", bounds=bounds)
    tokens = [(torch.arange(n) * 7 + n) % 50 + 1 for n in lengths]
    labels = [(token + 1) % 4 for token in tokens]
    features = [numbers(f"pad_{n}_{i}", [n, 2]) for i, n in enumerate(lengths)]
    entry.put("lengths", torch.tensor(lengths))
    entry.put("tokens", torch.cat(tokens))
    entry.put("labels", torch.cat(labels))
    entry.put("features", torch.cat(features))
    least = 0
    for bound in bounds:
        own = [i for i, n in enumerate(lengths) if least < n <= bound]
        least = bound

        def padded(values, own=own, value=0):
            return pad_sequence([values[i] for i in own], batch_first=True, padding_value=value)

        entry.put(f"tokens_{bound}", padded(tokens))
        entry.put(f"labels_{bound}", padded(labels, value=-100))
        entry.put(f"features_{bound}", padded(features))
        ones = [torch.ones(n, dtype=torch.int32) for n in lengths]
        entry.put(f"mask_{bound}", padded(ones))
