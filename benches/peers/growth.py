#!/usr/bin/env python3
"""Curves of the time of a step against batch, width, depth, length and threads, of onestep and PyTorch.

Three families of networks: `cnn` has 3x3 convolutions on 32x32 pictures, `mlp` dense layers on 784
numbers, both trained by Adam; `gpt` has transformer layers on characters, trained by AdamW. Every point is a run of turns as in run.py, with the same checks
of the losses. Writes growth-AXIS.svg, and names each step of a curve at which the time grows much
faster than the work, or against the length the memory (a cliff).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import report
import run
from frameworks import Framework, Unavailable, prepare
from turns import WorkerError
from workloads import Workload

BASE = {
    "cnn": {"batch": 32, "width": 32, "depth": 4},
    "mlp": {"batch": 64, "width": 256, "depth": 3},
    "gpt": {"batch": 4, "width": 128, "depth": 2, "length": 64},
}
# The families whose curves against batch, width, depth and threads are drawn.
OF_SIZE = ("cnn", "mlp")
AXES = {
    "batch": {family: [1, 2, 4, 8, 16, 32, 64, 128, 256] for family in OF_SIZE},
    "width": {"cnn": [8, 16, 32, 64, 128], "mlp": [32, 64, 128, 256, 512, 1024, 2048]},
    "depth": {family: [1, 2, 4, 8, 16] for family in OF_SIZE},
    "length": {"gpt": [16, 64, 256, 1024, 2048]},
}
# Twice the work costs at most so much of the time, or is called a cliff; four times the work is
# held to the square, and so on. Wider layers and longer texts have up to the square of the work.
CLIFF = 2.6
QUADRATIC = ("width", "length")
PEERS = ("onestep", "torch")

EXAMPLES = """
examples:
  python3 benches/peers/growth.py
  python3 benches/peers/growth.py --axes batch --families mlp --rounds 3 --folder .
  python3 benches/peers/growth.py --draw growth.json        # only draw what was measured before

The plots need matplotlib: pip install matplotlib.
"""


def arguments() -> argparse.Namespace:
    axes = [*AXES, "threads"]
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--axes", metavar="A,B", default=",".join(axes), help="default: %(default)s")
    add("--families", metavar="A,B", default=",".join(BASE), help="default: %(default)s")
    add("--rounds", metavar="N", type=run.positive(int), default=7, help="a point (%(default)s)")
    add(
        "--seconds", metavar="S", type=run.positive(float), default=0.2, help="a turn (%(default)s)"
    )
    add("--threads", metavar="N", type=run.positive(int), default=min(2, os.cpu_count() or 1),
        help="where they are not the axis (%(default)s)")  # fmt: skip
    add("--max-threads", metavar="N", type=run.positive(int), default=os.cpu_count() or 1,
        help="the end of that axis (%(default)s, all processors)")  # fmt: skip
    add("--seed", metavar="N", type=int, default=0, help="parameters and batch (0)")
    add("--python", metavar="PATH", default=sys.executable, help="the interpreter that has PyTorch")
    add("--no-build", action="store_true", help="take the worker built before")
    add("--timeout", metavar="S", type=run.positive(float), default=600,
        help="the longest wait for an answer (%(default)s)")  # fmt: skip
    add("--json", metavar="FILE", type=Path, help="write the points there")
    add("--draw", metavar="FILE", type=Path, help="draw the points of a file; measure nothing")
    folder = Path(__file__).resolve().parents[2] / "docs"
    add("--folder", metavar="DIR", type=Path, default=folder, help="of the plots (docs)")
    options = parser.parse_args()
    for given, known in ((options.axes, axes), (options.families, list(BASE))):
        unknown = set(given.split(",")) - set(known)
        if unknown:
            parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return options


def threads_up_to(most: int) -> list[int]:
    """1, 2, 4, ... and the most."""
    return sorted({*(2**i for i in range(most.bit_length()) if 2**i <= most), most})


def points(options: argparse.Namespace) -> list[tuple[str, str, int]]:
    """Every axis, family and size."""
    threads = dict.fromkeys(OF_SIZE, threads_up_to(options.max_threads))
    axes = AXES | {"threads": threads}
    return [
        (axis, family, size)
        for axis in options.axes.split(",")
        for family in options.families.split(",")
        for size in axes[axis].get(family, [])
    ]


def measure(options: argparse.Namespace) -> list[dict]:
    frameworks = []
    for name in PEERS:
        try:
            frameworks.append(prepare(name, options.python, not options.no_build))
        except Unavailable as reason:
            if name == "onestep":
                raise
            print(f"left out: {reason}", file=sys.stderr)
    found = []
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        for axis, family, size in points(options):
            found.append(point(axis, family, size, Path(folder), frameworks, options))
            if options.json:
                document = {"machine": run.processor(), "points": found}
                options.json.write_text(json.dumps(document, indent=1) + "\n")
    run.progress("")
    return found


def point(
    axis: str, family: str, size: int, folder: Path, frameworks: list[Framework],
    options: argparse.Namespace,
) -> dict:  # fmt: skip
    """One point of a curve: the median milliseconds a step of each framework."""
    sizes = BASE[family] | ({axis: size} if axis != "threads" else {})
    threads = size if axis == "threads" else options.threads
    name = f"{family}-b{sizes['batch']}-w{sizes['width']}-d{sizes['depth']}"
    if "length" in sizes:
        name += f"-t{sizes['length']}"
    # Deep networks magnify rounding, and learn slowly at first.
    workload = Workload(name, compared=3, tolerance=1e-2, steps=30, fall=0.9999)
    settings = argparse.Namespace(**vars(options) | {"threads": threads})
    file = folder / f"{name}.safetensors"
    run.write_start(frameworks[0], name, file, settings)
    series = run.compare(workload, file, frameworks, settings)
    file.unlink()
    return {
        "axis": axis, "family": family, "size": size, "threads": threads, "workload": name,
        "ms": {one.name: statistics.median(one.turns) for one in series if one.turns},
        "quartiles": {one.name: report.quartiles(one.turns) for one in series if one.turns},
        "peak_bytes": {one.name: one.peak_bytes for one in series if one.peak_bytes},
        "errors": {one.name: one.error for one in series if one.error},
    }  # fmt: skip


def curve(found: list[dict], axis: str, family: str) -> list[dict]:
    return [one for one in found if (one["axis"], one["family"]) == (axis, family)]


def cliffs(found: list[dict]) -> list[str]:
    """The steps of onestep's curves at which the time grows much faster than the work."""
    named = []
    for axis in AXES:
        for family in BASE:
            line = curve(found, axis, family)
            for low, high in zip(line, line[1:], strict=False):
                growth = high["ms"]["onestep"] / low["ms"]["onestep"]
                ratio = high["size"] / low["size"]
                work = ratio**2 if axis in QUADRATIC else ratio
                if growth > work * CLIFF / 2:
                    named.append(
                        f"{family}: {axis} {low['size']} to {high['size']} takes {growth:.2f} "
                        f"times as long for at most {work:g} times the work"
                    )
                memory = [one.get("peak_bytes", {}).get("onestep", 0) for one in (low, high)]
                if axis == "length" and memory[1] > memory[0] * ratio:
                    named.append(
                        f"{family}: {axis} {low['size']} to {high['size']} takes "
                        f"{memory[1] / memory[0]:.2f} times the memory"
                    )
    return named


def draw(found: list[dict], machine: str, folder: Path) -> list[Path]:
    """One file an axis, a panel a family."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        sys.exit(f"no matplotlib: {sys.executable} -m pip install matplotlib")
    matplotlib.use("svg")
    # The same points give the same file.
    matplotlib.rcParams["svg.hashsalt"] = "onestep"
    files = []
    for axis in (*AXES, "threads"):
        families = [family for family in BASE if curve(found, axis, family)]
        if families:
            files.append(folder / f"growth-{axis}.svg")
            draw_axis(found, axis, families, machine, files[-1])
    return files


def draw_axis(found: list[dict], axis: str, families: list[str], machine: str, file: Path) -> None:
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(
        1, len(families), figsize=(5 * len(families), 3.8), squeeze=False, layout="constrained"
    )
    for panel, family in zip(panels[0], families, strict=True):
        line = curve(found, axis, family)
        sizes = [one["size"] for one in line]
        for name, marker in zip(PEERS, "os", strict=True):
            known = [one for one in line if name in one["ms"]]
            x, y = [one["size"] for one in known], [one["ms"][name] for one in known]
            panel.plot(x, y, marker=marker, label="PyTorch" if name == "torch" else name)
            low, high = (
                zip(*(one["quartiles"][name] for one in known), strict=True) if known else ([], [])
            )
            panel.fill_between(x, low, high, alpha=0.2)
        base = ", ".join(f"{key} {value}" for key, value in BASE[family].items() if key != axis)
        threads = "" if axis == "threads" else f", {line[0]['threads']} threads"
        panel.set(
            xscale="log",
            yscale="log",
            xlabel=axis,
            ylabel="ms/step",
            title=f"{family}: {base}{threads}",
        )
        panel.set_xticks(sizes, [str(size) for size in sizes])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
        panel.legend()
    figure.supxlabel(machine, fontsize="small")
    figure.savefig(file, metadata={"Date": None})
    pyplot.close(figure)


def main() -> int:
    options = arguments()
    machine = run.processor()
    if options.draw:
        document = json.loads(options.draw.read_text())
        found, machine = document["points"], document["machine"]
    else:
        try:
            found = measure(options)
        except (Unavailable, WorkerError) as error:
            print(f"FAILED {error}")
            return 1
    for one in found:
        times = ", ".join(f"{name} {report.digits(ms)}" for name, ms in one["ms"].items())
        print(f"{one['family']} {one['axis']} {one['size']}: {times} ms/step")
    for cliff in cliffs(found):
        print(f"a cliff: {cliff}")
    failed = [
        f"FAILED {one['workload']}: {n}: {e}" for one in found for n, e in one["errors"].items()
    ]
    print("\n".join(failed + [f"wrote {file}" for file in draw(found, machine, options.folder)]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
