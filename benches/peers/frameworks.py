"""The frameworks: how each is built and started, and what to do where one is missing."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TORCH_FLAGS = ("compile", "channels-last", "fused")
DEFAULT_PEERS = "torch,torch-compile,candle,burn"


class Unavailable(Exception):
    """A framework cannot take part; the text says what to do about it."""


@dataclass(frozen=True)
class Framework:
    """One that takes part, ready to be started."""

    name: str
    # Without the workload and its file.
    command: list[str]

    def start(self, workload: str, file: Path) -> list[str]:
        return [*self.command, workload, str(file)]


def prepare(name: str, python: str, build: bool) -> Framework:
    """Finds or builds a framework's worker. Raises Unavailable."""
    if name in ("onestep", "candle", "burn"):
        return Framework(name, [str(binary(name, build))])
    flags = name.removeprefix("torch")
    for flag in TORCH_FLAGS:
        flags = flags.replace(f"-{flag}", "")
    if not name.startswith("torch") or flags:
        known = f"{DEFAULT_PEERS}, or torch with any of -{', -'.join(TORCH_FLAGS)} behind it"
        raise Unavailable(f"{name}: unknown; there are {known}")
    chosen = ",".join(flag for flag in TORCH_FLAGS if f"-{flag}" in name)
    return Framework(name, [check_torch(python), str(HERE / "worker_torch.py"), chosen])


def check_torch(python: str) -> str:
    code = "import torch, safetensors.torch"
    try:
        found = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=300)
    except OSError as error:
        raise Unavailable(f"{python}: {error.strerror}") from None
    if found.returncode != 0:
        reason = found.stderr.strip().splitlines()[-1:]
        raise Unavailable(
            f"{python} has no PyTorch ({''.join(reason)}): {python} -m pip install torch "
            "safetensors numpy, or name an interpreter that has them with --python"
        )
    return python


def target_folder() -> Path:
    chosen = os.environ.get("CARGO_TARGET_DIR")
    return Path(chosen) if chosen else HERE.parent.parent / "target" / "peers"


def binary(name: str, build: bool) -> Path:
    """A worker in Rust, built where that is wanted."""
    path = target_folder().resolve() / "release" / f"peer-{name}"
    if build:
        if not shutil.which("cargo"):
            raise Unavailable(f"{name} is built by cargo, which is not on PATH: https://rustup.rs")
        print(f"building peer-{name} ...", file=sys.stderr, flush=True)
        environment = os.environ | {"CARGO_TARGET_DIR": str(target_folder().resolve())}
        if name != "onestep":
            # onestep chooses its kernels when it runs; some of the peers' are chosen here.
            flags = os.environ.get("RUSTFLAGS", "")
            environment["RUSTFLAGS"] = f"{flags} -C target-cpu=native".strip()
        command = ["cargo", "build", "--release", "--quiet", "--locked", "-p", f"peer-{name}"]
        if subprocess.run(command, cwd=HERE, env=environment, stdout=sys.stderr).returncode != 0:
            raise Unavailable(f"{name}: `{' '.join(command)}` failed in {HERE}; see above")
    if not path.exists():
        raise Unavailable(f"{name}: {path} is missing; leave out --no-build")
    return path
