"""Which of Apple's declarations the shim uses.

Two independent sources. The *census* compiles the shim with every declaration of the generated headers
marked deprecated, so that the compiler itself resolves and reports each use. The *selector references*
are those that the compiler writes into the assembly, so nothing that is sent can be missed, not even
what the compiler sends for literals and fast enumeration.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .clang import LANGUAGES, WARNINGS, Clang

CENSUS = ["-DONESTEP_SDK_CENSUS", "-Wno-everything", "-Wdeprecated-declarations"]
MOST_ERRORS = 20  # shown of one source
_USE = re.compile(r"deprecated: sdk\|([^|]*)\|([^|]*)\|([^|]*)\|([^|]*)\|([^|\s]*)")
# In assembly: the names of selectors, the references to those that are sent, and methods that are defined.
_NAME = re.compile(r"^(l_OBJC_METH_VAR_NAME_[.\d]*):[^\n]*\n\s*\.asciz\s+\"([^\"]*)\"", re.M)
_REFERENCE = re.compile(r"^_OBJC_SELECTOR_REFERENCES_[.\d]*:\n\s*\.quad\s+(\w[\w.]*)", re.M)
_DEFINED = re.compile(r"^\"[-+]\[\w+(?:\(\w*\))? ([^\]]+)\]\":", re.M)


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
    """The places of each use, the selectors that compiled code refers to or defines, and what is wrong."""

    places: dict = field(default_factory=dict)
    selectors: set = field(default_factory=set)
    defined: set = field(default_factory=set)
    sources: list = field(default_factory=list)
    complaints: list = field(default_factory=list)


def collect(clang: Clang, sources: list) -> Usage:
    """Compile the sources, all warnings errors, and take the census of those that have none."""
    usage = Usage()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, (found, assembly, census) in zip(sources, pool.map(partial(_examine, clang), sources), strict=True):
            if found:
                usage.complaints += [f"{source.name}: {error}" for error in found[:MOST_ERRORS]]
                continue
            usage.sources.append(source.name)
            names = dict(_NAME.findall(assembly))
            usage.selectors.update(names[label] for label in _REFERENCE.findall(assembly))
            usage.defined.update(_DEFINED.findall(assembly))
            for use, place in _uses(census):
                usage.places.setdefault(use, set()).add(place)
    return usage


def _examine(clang: Clang, source: Path) -> tuple:
    """The diagnostics of one source, its assembly, and the census of its uses."""
    found, assembly = clang.assemble(source, WARNINGS)
    has_uses = not found and source.suffix not in LANGUAGES
    return found, assembly, clang.diagnose(source, CENSUS) if has_uses else []


def _uses(census: list):
    for diagnostic in census:
        if match := _USE.search(diagnostic.text):
            yield Use(*match.groups()), f"{Path(diagnostic.file).name}:{diagnostic.line}"


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
