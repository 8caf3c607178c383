"""Which of Apple's declarations the shim uses.

Two independent sources. The *census* compiles the shim with every declaration of the generated headers
marked deprecated, so that the compiler itself resolves and reports each use. The *selector references*
are those that the compiler writes into the assembly, so nothing that is sent can be missed, not even
what the compiler sends for literals and fast enumeration.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from .clang import Clang, language

CENSUS = ["-DONESTEP_SDK_CENSUS", "-Wno-everything", "-Wdeprecated-declarations"]
_USE = re.compile(r"deprecated: sdk\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|\s]*)")
_SELECTOR = re.compile(r"^l_OBJC_METH_VAR_NAME_[.\d]*:[^\n]*\n\s*\.asciz\s+\"([^\"]*)\"", re.M)
_DEFINED = re.compile(r"^\"\\001[-+]\[(?:\w+(?:\(\w+\))?) ([^\]]+)\]\":", re.M)


@dataclass(frozen=True, order=True)
class Use:
    """A declaration of the SDK. `kind` is `+`, `-`, `class`, `function` or `constant`."""

    framework: str
    kind: str
    owner: str
    name: str
    introduced: str

    @property
    def label(self) -> str:
        """The declaration as it is usually written."""
        return f"{self.kind}[{self.owner} {self.name}]" if self.kind in "+-" else self.name


@dataclass
class Usage:
    """Uses with their places, and the selectors that the compiled code refers to or defines."""

    uses: Counter = field(default_factory=Counter)
    places: dict = field(default_factory=dict)
    selectors: set = field(default_factory=set)
    defined: set = field(default_factory=set)


def collect(clang: Clang, sources: list) -> Usage:
    """Take the census of the sources, and their selector references."""
    usage = Usage()
    for source in sources:
        for diagnostic in clang.diagnose(source, CENSUS):
            if match := _USE.search(diagnostic.text):
                use = Use(*match.groups())
                usage.uses[use] += 1
                usage.places.setdefault(use, []).append(f"{Path(diagnostic.file).name}:{diagnostic.line}")
        _read_assembly(clang, source, usage)
    return usage


def _read_assembly(clang: Clang, source: Path, usage: Usage) -> None:
    """Compile one source for macOS to assembly, which also proves that code is generated for it."""
    done = clang.run([*language(source), "-w", "-O0", "-S", "-o", "-", source])
    if done.returncode:
        raise RuntimeError(f"{source}: no code is generated\n{done.stderr}")
    usage.selectors.update(_SELECTOR.findall(done.stdout))
    usage.defined.update(_DEFINED.findall(done.stdout))


def runtime_selectors(header: Path) -> set:
    """The selectors that Apple's own objc/NSObject.h declares (retain, alloc, isEqual: and so on)."""
    selectors = set()
    for line in header.read_text().splitlines():
        if match := re.match(r"[-+] \([^)]*\)(.*)", line.strip()):
            parts = re.findall(r"(\w+:)\(", match[1])
            selectors.add("".join(parts) if parts else re.match(r"\w+", match[1])[0])
        elif match := re.match(r"@property (?:\([^)]*\)) .*?(\w+);", line.strip()):
            selectors.add(match[1])
    return selectors
