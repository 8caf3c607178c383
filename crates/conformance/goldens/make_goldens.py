"""Writes the golden numbers that onestep is held against, from PyTorch on the CPU.

usage: python make_goldens.py [--out DIR] [--only FAMILY,...] [--check]

DIR (default: data/ beside this script) gets one safetensors file and one JSON file per family.
The same versions (requirements.txt) write the same bytes each time; with --check nothing is
written, and the files of DIR are compared with what would be.

Every number is computed twice from the same float32 inputs: in float64, which is what is stored
(rounded once to float32), and in float32, whose largest deviation from the float64 result is
stored in the index as `f32_error`. A tolerance can then be argued from PyTorch's own rounding
error instead of being guessed. generator/writer.py describes the files.
"""

import os

# Before torch is imported: one code path and one thread, whatever the machine offers.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["MKL_CBWR"] = "COMPATIBLE"
os.environ["ATEN_CPU_CAPABILITY"] = "default"

import argparse
import pathlib
import warnings

import torch

from generator import layers, losses, networks, ops, optimizers, sampling, schedules, several_losses
from generator.writer import Writer

FAMILIES = {
    "ops": ops.write,
    "layers": layers.write,
    "losses": lambda writer: (losses.write(writer), several_losses.write(writer)),
    "optimizers": optimizers.write,
    "schedules": schedules.write,
    "networks": networks.write,
    "sampling": sampling.write,
}

PRESETS = "presets"
BATCHES = "batches"


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description="Write golden numbers from PyTorch.")
    parser.add_argument("--out", type=pathlib.Path, default=here / "data")
    parser.add_argument("--only", default="", help="families, comma separated (default: all)")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()

    warnings.filterwarnings("ignore", message="Using padding=.same. with even kernel")
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.mkldnn.enabled = False

    families = [*FAMILIES, BATCHES, PRESETS]
    chosen = arguments.only.split(",") if arguments.only else families
    unknown = sorted(set(chosen) - set(families))
    if unknown:
        parser.error(f"unknown families {unknown}; known: {sorted(families)}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    stale = []
    for family in chosen:
        writer = Writer(family)
        if family == PRESETS:
            # It needs torchvision, which the others do without.
            from generator import presets

            files = {f"{PRESETS}.json": presets.text().encode()}
        elif family == BATCHES:
            # So does this.
            from generator import batches

            batches.write(writer)
            files = writer.files()
        else:
            FAMILIES[family](writer)
            files = writer.files()
        for name, data in files.items():
            path = arguments.out / name
            if not arguments.check:
                path.write_bytes(data)
            elif not path.exists() or path.read_bytes() != data:
                stale.append(name)
        size = sum(map(len, files.values()))
        print(f"{family:12s} {len(writer.cases):4d} cases {size / 1024:8.1f} KiB")
    if stale:
        parser.exit(1, f"not what this script writes: {', '.join(stale)}\n")


if __name__ == "__main__":
    main()
