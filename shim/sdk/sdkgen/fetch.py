"""Fetch the pinned inputs with ordinary registry clients (pip, cargo) into a cache directory.

Nothing is fetched when the cache already holds what `inputs/` pins, so later runs are offline.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

INPUTS = Path(__file__).resolve().parent.parent / "inputs"
DARWIN_HEADERS = "ziglang/lib/libc/include/any-darwin-any/"


class FetchError(RuntimeError):
    """An input could not be fetched, or is not the pinned one."""


def fetch(cache: Path) -> None:
    """Bring every pinned input into `cache`: `metadata/`, `darwin/` and `crates/`."""
    cache.mkdir(parents=True, exist_ok=True)
    stamp = cache / "inputs.sha256"
    pinned = _digest_of_inputs()
    if stamp.exists() and stamp.read_text() == pinned:
        return
    pip = _pip(cache)
    for framework, pin in json.loads((INPUTS / "metadata.json").read_text()).items():
        _fetch_metadata(pip, pin, cache / "metadata" / f"{framework}.fwinfo")
    _fetch_darwin_headers(pip, cache / "darwin")
    _fetch_crates(cache / "crates")
    stamp.write_text(pinned)


def _digest_of_inputs() -> str:
    digest = hashlib.sha256()
    for path in sorted(INPUTS.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _run(command: list, **options) -> subprocess.CompletedProcess:
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def _pip(cache: Path) -> list:
    """The pip of a virtual environment in the cache: the system's may refuse to run, or be missing."""
    python = cache / "venv" / "bin" / "python"
    if not python.exists():
        made = _run([sys.executable, "-m", "venv", cache / "venv"])
        if made.returncode:
            raise FetchError(f"cannot make a virtual environment (apt: python3-venv): {made.stderr or made.stdout}")
    return [python, "-m", "pip", "--disable-pip-version-check"]


def _fetch_metadata(pip: list, pin: dict, target: Path) -> None:
    """Fetch one .fwinfo file out of a PyObjC source distribution.

    `pip download` verifies and unpacks the archive, then asks its setup.py for metadata, which needs
    macOS and fails here. `--no-clean` leaves the verified, unpacked sources behind, and those are all
    that is wanted, so pip's exit status says nothing; the hash of the file itself decides.
    """
    if target.exists() and _sha256(target) == pin["sha256"]:
        return
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(f"{pin['requirement']} --hash={pin['sdist']}\n")
        options = ["--no-binary", ":all:", "--no-build-isolation", "--no-clean"]
        done = _download(pip, options, requirements, scratch)
        found = list(Path(scratch).glob(f"**/{pin['member']}"))
        if len(found) != 1 or _sha256(found[0]) != pin["sha256"]:
            raise FetchError(
                f"{pin['requirement']}: no {pin['member']} with the pinned hash\n{done.stdout}{done.stderr}"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(found[0], target)


def _download(pip: list, options: list, requirements: Path, scratch: str) -> subprocess.CompletedProcess:
    """Run `pip download` with hashes required, all temporary files in `scratch`."""
    command = [*pip, "download", "--no-deps", "--require-hashes", *options, "--dest", scratch]
    return _run([*command, "--requirement", requirements], env={**os.environ, "TMPDIR": scratch})


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fetch_darwin_headers(pip: list, target: Path) -> None:
    """Take the macOS headers of libc, libobjc and libdispatch out of the ziglang wheel."""
    with tempfile.TemporaryDirectory() as scratch:
        done = _download(pip, ["--only-binary", ":all:"], INPUTS / "ziglang.txt", scratch)
        wheels = list(Path(scratch).glob("ziglang-*.whl"))
        if done.returncode or len(wheels) != 1:
            raise FetchError(f"ziglang: {done.stderr}")
        shutil.rmtree(target, ignore_errors=True)
        with zipfile.ZipFile(wheels[0]) as wheel:
            for name in wheel.namelist():
                if name.startswith(DARWIN_HEADERS) and not name.endswith("/"):
                    path = target / name.removeprefix(DARWIN_HEADERS)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(wheel.read(name))


def _fetch_crates(target: Path) -> None:
    """Vendor the objc2 crates; Cargo.lock carries their checksums."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copyfile(INPUTS / name, target / name)
    (target / "lib.rs").touch()
    done = _run(["cargo", "vendor", "--locked", "--quiet", "vendor"], cwd=target)
    if done.returncode:
        raise FetchError(f"cargo vendor: {done.stderr}")
