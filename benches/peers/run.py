#!/usr/bin/env python3
"""Compare onestep's training steps with those of PyTorch, candle and burn on the CPU.

Builds what is needed, gives every framework the same initial parameters and the same batch, and
lets a worker process for each take turns within one run: onestep, a peer, onestep, the next peer,
and so on. Ratios are of neighbouring turns, so that a machine that drifts does not matter. The
first losses must agree, and the last must have fallen; otherwise the run says FAILED and its exit
status is 1.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import report
from frameworks import DEFAULT_PEERS, Framework, Unavailable, prepare
from turns import Contestant, Series, Worker, WorkerError, compete, environment
from workloads import WORKLOADS, Workload

EXAMPLES = f"""
workloads: {", ".join(WORKLOADS)}

peers: torch (eager), candle, burn (its flex backend), and torch with any of -compile,
-channels-last and -fused behind it, such as torch-compile-channels-last

examples:
  python3 benches/peers/run.py
  python3 benches/peers/run.py --workloads seed_cnn_sgd --rounds 40 --seconds 0.1
  python3 benches/peers/run.py --peers torch,torch-channels-last --json out.json --markdown
  python3 benches/peers/run.py --python ~/torch/bin/python --peers torch --rounds 3

Let nothing else run on the machine. candle and burn take minutes to build for the first time.
"""


def positive(kind: type):
    def parse(text: str):
        value = kind(text)
        if not 0 < value < 1e6:
            raise argparse.ArgumentTypeError(f"expected a number above 0, got {text}")
        return value

    return parse


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--workloads", metavar="A,B", default=",".join(WORKLOADS), help="default: all"
    )
    parser.add_argument(
        "--peers", metavar="A,B", default=DEFAULT_PEERS, help="default: %(default)s"
    )
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=positive(int),
        default=15,
        help="rounds of turns (%(default)s)",
    )
    parser.add_argument(
        "--seconds", metavar="S", type=positive(float), default=0.3,
        help="length of a turn, at least one step (%(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--threads",
        metavar="N",
        type=positive(int),
        default=2,
        help="of each framework (%(default)s)",
    )
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="parameters and batch (0)")
    parser.add_argument(
        "--python", metavar="PATH", default=sys.executable,
        help="the interpreter that has PyTorch (default: the one that runs this)",
    )  # fmt: skip
    parser.add_argument("--no-build", action="store_true", help="take the workers built before")
    parser.add_argument(
        "--timeout", metavar="S", type=positive(float), default=600,
        help="the longest wait for an answer of a worker (%(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every turn and loss there")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.add_argument(
        "--self-check", action="store_true", help="test this program; measure nothing"
    )
    return parser.parse_args()


def progress(text: str) -> None:
    """A line on stderr; on a terminal it replaces the last."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def compare(
    workload: Workload, file: Path, frameworks: list[Framework], options: argparse.Namespace
) -> list[Series]:
    """One workload in every framework; onestep is the first of them."""
    workers: list[Worker] = []
    field: list[Contestant] = []
    lost: list[Series] = []
    try:
        for framework in frameworks:
            progress(f"{workload.name}: {framework.name} loads and warms up")
            try:
                command = framework.start(workload.name, file)
                worker = Worker(
                    framework.name, command, environment(options.threads), options.timeout
                )
                workers.append(worker)
                field.append(Contestant(worker, workload, options.seconds))
            except WorkerError as error:
                if not field:
                    raise
                lost.append(Series(framework.name, error=str(error)))
        say = lambda text: progress(f"{workload.name}: {text}")  # noqa: E731
        compete(field[0], field[1:], options.rounds, say)
        series = [contestant.finish() for contestant in field] + lost
    finally:
        for worker in workers:
            worker.end()
    report.check(workload, series)
    return series


def available(options: argparse.Namespace) -> tuple[list[Framework], list[str]]:
    """onestep and the peers that there are, and what to do about the others."""
    names = ["onestep", *(name for name in options.peers.split(",") if name)]
    found, notes = [], []
    for name in names:
        try:
            found.append(prepare(name, options.python, not options.no_build))
        except Unavailable as reason:
            if name == "onestep":
                raise
            notes.append(f"left out: {name}. {reason}")
    return found, notes


def write_start(ours: Framework, workload: str, path: Path, options: argparse.Namespace) -> None:
    """Lets onestep write the parameters and the batch that all start from."""
    command = [*ours.command, "--write", workload, str(path), str(options.seed)]
    done = subprocess.run(command, env=environment(options.threads), timeout=options.timeout)
    if done.returncode != 0:
        raise WorkerError(f"onestep cannot write the start of {workload}")


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} processors, {platform.system()}"


def chosen_workloads(names: str) -> list[Workload]:
    chosen = [name for name in names.split(",") if name]
    unknown = [name for name in chosen if name not in WORKLOADS]
    if unknown:
        sys.exit(f"unknown workload {', '.join(unknown)}; there are {', '.join(WORKLOADS)}")
    return [WORKLOADS[name] for name in chosen]


def write_json(path: Path, options: argparse.Namespace, results: dict[str, list[Series]]) -> None:
    document = {
        "machine": processor(),
        "threads": options.threads,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "seed": options.seed,
        "workloads": {
            name: [report.summary(one) for one in series] for name, series in results.items()
        },
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def measure(options: argparse.Namespace) -> dict[str, list[Series]]:
    workloads = chosen_workloads(options.workloads)
    frameworks, notes = available(options)
    for note in notes:
        progress(note + "\n")
    results: dict[str, list[Series]] = {}
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        for workload in workloads:
            file = Path(folder) / f"{workload.name}.safetensors"
            write_start(frameworks[0], workload.name, file, options)
            field = [one for one in frameworks if one.name not in workload.lacking]
            results[workload.name] = compare(workload, file, field, options)
            file.unlink()
            if options.json:
                write_json(options.json, options, results)
    progress("")
    return results


def conclude(options: argparse.Namespace, results: dict[str, list[Series]]) -> int:
    """Prints what was found and gives the exit status."""
    table = [
        row for name, series in results.items() for row in report.rows(WORKLOADS[name], series)
    ]
    print(f"{processor()}; {options.threads} threads each; {options.rounds} rounds\n")
    print(report.render(table, options.markdown))
    print(f"\n{report.CAPTION}")
    versions = {one.version for series in results.values() for one in series if one.version}
    print(f"Versions: {'; '.join(sorted(versions))}.")
    status = 0
    for name, series in results.items():
        for one in series:
            if one.idle_share > 0.01:
                print(
                    f"{name}: {one.name} used {one.idle_share:.1%} of a processor out of its turn"
                )
            if one.error:
                status = 1
                print(f"FAILED {name}: {one.name}: {one.error}")
    return status


def main() -> int:
    options = arguments()
    if options.self_check:
        import selfcheck

        return selfcheck.check()
    try:
        return conclude(options, measure(options))
    except (Unavailable, WorkerError) as error:
        print(f"FAILED {error}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
