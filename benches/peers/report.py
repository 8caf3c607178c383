"""What a run shows: whether the losses agree and fall, and the table."""

import math
import statistics
from dataclasses import asdict

from turns import Series
from workloads import Workload

# The first losses that must agree within CLOSE on every workload: that of the initial parameters,
# and that after one update by every gradient.
FIRST, CLOSE = 2, 1e-3
# Losses below this share of the first are compared with it rather than with themselves, since the
# rounding of a logit is relative to the logit.
FLOOR = 1e-3


def disagreement(workload: Workload, reference: list[float], losses: list[float]) -> str | None:
    """Where losses differ from the reference's by too much."""
    if len(losses) != len(reference):
        return f"expected {len(reference)} losses, got {len(losses)}"
    for step, (want, got) in enumerate(zip(reference, losses, strict=True), 1):
        tolerance = min(CLOSE, workload.tolerance) if step <= FIRST else workload.tolerance
        allowed = tolerance * max(abs(want), FLOOR * abs(reference[0]))
        # Written so that a loss that is not a number fails.
        if not abs(got - want) <= allowed:
            return f"loss {step}: expected {want:.6g} within {tolerance:g}, got {got:.6g}"
    return None


def check(workload: Workload, series: list[Series]) -> None:
    """Notes in each series what is wrong with its losses. PyTorch is the reference where it takes
    part, else the first, onestep."""
    sound = [one for one in series if not one.error]
    torch = [one for one in sound if one.name.startswith("torch")]
    for one in sound:
        reference = (torch or sound)[0]
        wrong = disagreement(workload, reference.losses, one.losses)
        if wrong:
            one.error = f"{wrong} ({reference.name}'s)"
        elif not one.last_loss <= workload.fall * one.losses[0]:
            one.error = (
                f"the loss fell from {one.losses[0]:.6g} to {one.last_loss:.6g} in {one.steps} "
                f"steps; expected at most {workload.fall:g} of the first"
            )


def best_peer(series: list[Series]) -> Series | None:
    """The peer with the lowest median."""
    peers = [one for one in series[1:] if one.turns and not one.error]
    return min(peers, key=lambda one: statistics.median(one.turns), default=None)


def quartiles(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def summary(one: Series) -> dict:
    """A series as JSON, with its statistics."""
    row = asdict(one)
    if one.turns:
        row["ms_per_step"] = statistics.median(one.turns)
    if one.ratios:
        row["ratio"] = statistics.median(one.ratios)
        row["ratio_quartiles"] = quartiles(one.ratios)
        row["ratio_range"] = (min(one.ratios), max(one.ratios))
    return row


HEADER = (
    "workload", "framework", "ms/step", "time / onestep's", "quartiles", "least..most", "peak MiB",
    "first loss", "last loss", "losses",
)  # fmt: skip


def rows(workload: Workload, series: list[Series]) -> list[tuple[str, ...]]:
    best = best_peer(series)
    table = []
    for one in series:
        ratio = quarter = reach = ""
        if one.ratios:
            ratio = f"{statistics.median(one.ratios):.2f}"
            quarter = "{:.2f}..{:.2f}".format(*quartiles(one.ratios))
            reach = f"{min(one.ratios):.2f}..{max(one.ratios):.2f}"
        peak = "" if one.peak_bytes is None else f"{one.peak_bytes / 2**20:.0f}"
        table.append((
            workload.name,
            one.name + (" *" if one is best else ""),
            digits(statistics.median(one.turns)) if one.turns else "",
            ratio, quarter, reach, peak,
            f"{one.losses[0]:.5f}" if one.losses else "",
            f"{one.last_loss:.5f}" if one.losses else "",
            "FAILED" if one.error else "agree",
        ))  # fmt: skip
    return table


def digits(ms: float) -> str:
    """Milliseconds with three or four digits that count."""
    return f"{ms:.{max(0, min(4, 2 - math.floor(math.log10(ms))))}f}" if ms > 0 else f"{ms}"


def render(table: list[tuple[str, ...]], markdown: bool) -> str:
    """The table, its numbers flush right."""
    lines = [HEADER, *table]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    left = {0, 1, len(HEADER) - 1}

    def line(cells: tuple[str, ...]) -> str:
        padded = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |" if markdown else "  ".join(padded).rstrip()

    marks = [
        "-" * width if c in left else "-" * (width - 1) + ":" for c, width in enumerate(widths)
    ]
    rule = line(tuple(marks)) if markdown else "-" * (sum(widths) + 2 * len(widths) - 2)
    return "\n".join([line(HEADER), rule, *map(line, table)])


CAPTION = (
    "ms/step: median of the turns. time / onestep's: a peer's turn over onestep's turn just before "
    "it; median, quartiles and extremes of these pairs. *: the best peer, by ms/step. peak MiB: "
    "the most resident memory of the worker's process, that of the interpreter and the framework "
    "included, as its user pays for it."
)
