"""Worker processes, and the turns that they take."""

import json
import os
import queue
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from workloads import Workload

# A turn is preceded by a step that is not timed where a step is shorter than this share of it.
WARM_SHARE = 0.1
# A peer whose step is longer than so many turns takes its turn only in every SPARSE-th round.
SLOW = 5.0
SPARSE = 4


class WorkerError(Exception):
    """A worker ended, was silent for too long, or said something else than an answer."""


class Worker:
    """A process that trains one workload in one framework, one request at a time."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], timeout: float):
        self.name, self.timeout = name, timeout
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        # What it used of the processors when its last turn was over, and when that was.
        self.asleep: tuple[float, float] | None = None
        self.idle_cpu = self.idle_wall = 0.0
        try:
            self.version = self._answer("ready")["ready"]
        except WorkerError:
            self.end()
            raise

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")

    def _answer(self, key: str) -> dict:
        try:
            line = self.lines.get(timeout=self.timeout)
        except queue.Empty:
            raise WorkerError(f"{self.name}: no answer within {self.timeout:g} s") from None
        if not line:
            raise WorkerError(f"{self.name}: ended with status {self._status()}")
        try:
            answer = json.loads(line)
        except json.JSONDecodeError:
            answer = {}
        if not isinstance(answer, dict) or key not in answer:
            raise WorkerError(f"{self.name}: expected {key}, got {line.strip()}")
        return answer

    def _status(self) -> int | str:
        """The exit status of a process that has closed its output."""
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            return "unknown"

    def ask(self, request: dict, key: str) -> dict:
        """The answer to a request; returns once the worker has gone to sleep."""
        cpu = cpu_seconds(self.process.pid)
        if self.asleep and cpu is not None:
            self.idle_cpu += cpu - self.asleep[0]
            self.idle_wall += time.monotonic() - self.asleep[1]
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise WorkerError(f"{self.name}: ended with status {self._status()}") from None
        answer = self._answer(key)
        used = fall_asleep(self.process.pid)
        self.asleep = None if used is None else (used, time.monotonic())
        return answer

    def losses(self, count: int) -> list[float]:
        return self.ask({"losses": count}, "losses")["losses"]

    def steps(self, count: int, warm: int = 0) -> tuple[float, float]:
        """Milliseconds a step, and the last loss."""
        answer = self.ask({"steps": count, "warm": warm}, "ms")
        return answer["ms"] / count, answer["loss"]

    def idle_share(self) -> float:
        """The share of one processor that it used while it was not its turn."""
        return self.idle_cpu / self.idle_wall if self.idle_wall > 0 else 0.0

    def quit(self) -> int | None:
        """Ends the process and gives its peak of resident memory in bytes."""
        return self.ask({"quit": True}, "peak_bytes")["peak_bytes"]

    def end(self) -> None:
        """Ends the process whatever it is at."""
        self.process.kill()
        self.process.wait()


def cpu_seconds(pid: int) -> float | None:
    """What the threads of a process have used of the processors; None where that is not known."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        times = [int((thread / "schedstat").read_text().split()[0]) for thread in threads]
    except (OSError, ValueError, IndexError):
        return None
    return sum(times) / 1e9


def fall_asleep(pid: int) -> float | None:
    """Waits until the threads of a process no longer spin, at most a quarter of a second. Thread
    pools spin for a while after their work, which would slow down the worker whose turn is next."""
    used = cpu_seconds(pid)
    if used is None:
        time.sleep(0.05)
        return None
    for _ in range(50):
        time.sleep(0.005)
        before, used = used, cpu_seconds(pid)
        if used is None or used - before < 1e-4:
            break
    return used


@dataclass
class Series:
    """What one framework did on one workload."""

    name: str
    version: str = ""
    losses: list[float] = field(default_factory=list)
    last_loss: float = float("nan")
    steps: int = 0
    # Milliseconds a step of each turn.
    turns: list[float] = field(default_factory=list)
    # A peer's time over onestep's in the turn before.
    ratios: list[float] = field(default_factory=list)
    peak_bytes: int | None = None
    idle_share: float = 0.0
    error: str | None = None


class Contestant:
    """A worker, what it has shown, and how long its turns are."""

    def __init__(self, worker: Worker, workload: Workload, seconds: float):
        self.worker = worker
        self.series = Series(worker.name, worker.version)
        self.series.losses = worker.losses(workload.compared)
        self.series.steps = workload.compared
        self.count = 1
        ms, _ = self.run(max(1, workload.steps - workload.compared))
        ms, _ = self.run(max(1, min(1000, int(100 / ms))))
        self.count = max(1, round(seconds * 1e3 / ms))
        self.warm = int(ms < WARM_SHARE * seconds * 1e3)
        self.every = SPARSE if ms > SLOW * seconds * 1e3 else 1

    def run(self, count: int, warm: int = 0) -> tuple[float, float]:
        ms, self.series.last_loss = self.worker.steps(count, warm)
        self.series.steps += count + warm
        return ms, self.series.last_loss

    def turn(self) -> float:
        ms, _ = self.run(self.count, self.warm)
        self.series.turns.append(ms)
        return ms

    @contextmanager
    def losing(self):
        """Notes that the worker failed; the others go on."""
        try:
            yield
        except WorkerError as error:
            self.series.error = str(error)

    def finish(self) -> Series:
        self.series.idle_share = self.worker.idle_share()
        if not self.series.error:
            with self.losing():
                self.series.peak_bytes = self.worker.quit()
        return self.series


def compete(ours: Contestant, peers: list[Contestant], rounds: int, progress) -> None:
    """Rounds of turns: ours, a peer, ours, the next peer, and so on."""
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        for peer in peers:
            if number % peer.every == 0 and not peer.series.error:
                base = ours.turn()
                with peer.losing():
                    peer.series.ratios.append(peer.turn() / base)
        if not peers:
            ours.turn()


def environment(threads: int) -> dict[str, str]:
    """The environment of a worker: so many threads for every pool that a framework may have."""
    names = ("PEER_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    # Without it torch.compile would leave processes behind that wait for more to compile.
    extra = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    return os.environ | dict.fromkeys(names, str(threads)) | extra
