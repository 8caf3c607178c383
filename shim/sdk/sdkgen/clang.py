"""Run clang for macOS against the generated headers."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

DEPLOYMENT_TARGET = "13.0"
OBJECTIVE_CXX = ["-x", "objective-c++", "-std=c++17", "-fno-objc-arc", "-fblocks", "-fexceptions", "-fobjc-exceptions"]
OBJECTIVE_CXX += ["-fno-objc-convert-messages-to-runtime-calls"]  # so that retain and alloc are seen as messages
LANGUAGES = {
    ".c": ["-x", "c", "-std=c11"],
    ".cpp": ["-x", "c++", "-std=c++17", "-nostdinc++"],
}

# Every warning is an error; these are off by default, or named because the check rests on them.
WARNINGS = [
    "-Werror",
    "-Wall",
    "-Wextra",
    *[
        f"-W{name}"
        for name in [
            "deprecated-declarations",
            "incompatible-pointer-types",
            "nonnull",
            "objc-literal-conversion",
            "objc-method-access",
            "objc-missing-super-calls",
            "unguarded-availability",
            "unguarded-availability-new",
            "undeclared-selector",
        ]
    ],
]
_DIAGNOSTIC = re.compile(
    r"^(?P<file>[^\s:][^:]*):(?P<line>\d+):\d+: (?P<level>error|warning|fatal error): (?P<text>.*)$"
)


@dataclass(frozen=True)
class Diagnostic:
    """One error or warning of the compiler."""

    file: str
    line: int
    level: str
    text: str

    def __str__(self) -> str:
        """The diagnostic in one line."""
        return f"{self.file}:{self.line}: {self.text}"


@dataclass
class Clang:
    """A clang with the search paths of the generated headers, and nothing of the host."""

    path: str
    paths: list

    def run(self, arguments: list) -> subprocess.CompletedProcess:
        """Run clang with the target and the search paths."""
        target = ["-target", f"arm64-apple-macos{DEPLOYMENT_TARGET}", "-nostdinc"]
        command = [self.path, *target, *self.paths, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True)

    def diagnose(self, source: Path, arguments: list) -> list:
        """Check a source without compiling it; returns all diagnostics but those of system headers."""
        return self._compile(source, ["-fsyntax-only", *arguments])[0]

    def assemble(self, source: Path, arguments: list) -> tuple:
        """Compile to unoptimised assembly with every message sent; returns the diagnostics and the assembly."""
        return self._compile(source, ["-O0", "-S", "-o", "-", *arguments])

    def _compile(self, source: Path, arguments: list) -> tuple:
        options = ["-ferror-limit=0", "-fno-caret-diagnostics", "-fdiagnostics-absolute-paths"]
        done = self.run([*language(source), *options, *arguments, source])
        found = diagnostics(done.stderr)
        if done.returncode and not any(diagnostic.level != "warning" for diagnostic in found):
            raise RuntimeError(f"clang failed on {source}:\n{done.stderr}")
        return found, done.stdout


def language(source: Path) -> list:
    """How a source is compiled: everything but C and plain C++ is Objective-C++, `bridge.m` too."""
    return LANGUAGES.get(source.suffix, [*OBJECTIVE_CXX, "-nostdinc++"])


def diagnostics(output: str) -> list:
    """The errors and warnings in clang's output, without repetitions."""
    found = dict.fromkeys(
        Diagnostic(match["file"], int(match["line"]), match["level"], match["text"])
        for match in map(_DIAGNOSTIC.match, output.splitlines())
        if match
    )
    return list(found)


def find(cache: Path, include: list) -> Clang:
    """The clang to use (`$ONESTEP_SDK_CLANG`, or clang++-19), its built-in headers and libc++'s."""
    path = os.environ.get("ONESTEP_SDK_CLANG") or shutil.which("clang++-19") or "clang++"
    try:
        asked = subprocess.run([path, "-print-resource-dir"], capture_output=True, text=True, check=True)
    except OSError as error:
        raise RuntimeError(f"{path}: {error} (apt: clang-19 libc++-19-dev)") from error
    resources = Path(asked.stdout.strip())
    libcxx = resources.parents[2] / "include" / "c++" / "v1"
    if not libcxx.is_dir():
        raise RuntimeError(f"no libc++ headers at {libcxx} (apt: libc++-19-dev)")
    system = [cache / "include", libcxx, resources / "include", cache / "darwin"]
    paths = [option for path in include for option in ("-I", str(path))]
    return Clang(path, paths + [option for path in system for option in ("-isystem", str(path))])
