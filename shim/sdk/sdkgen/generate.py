"""Write the headers of the four frameworks."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from . import metadata, nullability, spelling
from .header import HeaderWriter
from .members import Context

PRELUDES = Path(__file__).resolve().parent.parent / "preludes"

# Framework, objc2 crate, headers that it imports.
FRAMEWORKS = [
    ("Foundation", "objc2-foundation", []),
    ("Metal", "objc2-metal", ["Foundation/Foundation.h"]),
    ("MetalPerformanceShaders", "objc2-metal-performance-shaders", ["Metal/Metal.h"]),
    (
        "MetalPerformanceShadersGraph",
        "objc2-metal-performance-shaders-graph",
        ["MetalPerformanceShaders/MetalPerformanceShaders.h"],
    ),
]


@dataclass
class Sources:
    """What the headers were made from: metadata by framework, and (owner, selector) pairs that objc2 has."""

    frameworks: dict
    translated: set

    def selectors(self) -> set:
        """All selectors of the metadata."""
        owners = [
            owner
            for framework in self.frameworks.values()
            for owner in [*framework.classes.values(), *framework.protocols.values()]
        ]
        return {method.selector for owner in owners for method in owner.methods}

    def agreement(self) -> str:
        """How many public methods of each framework both sources have."""
        counts = []
        for name, framework in self.frameworks.items():
            owners = [*framework.classes.values(), *framework.protocols.values()]
            methods = [(owner.name, method.selector) for owner in owners for method in owner.methods]
            counts.append(f"{name} {len(self.translated.intersection(methods))} of {len(set(methods))}")
        return ", ".join(counts)


def generate(cache: Path) -> Sources:
    """Write `cache/include` from the fetched inputs."""
    target = cache / "include"
    shutil.rmtree(target, ignore_errors=True)
    sources = Sources({}, set())
    known, typedefs, skipped = set(spelling.BUILTIN), {}, {}
    for name, crate, imports in FRAMEWORKS:
        framework = metadata.load(cache / "metadata" / f"{name}.fwinfo", name)
        translation = nullability.load(cache / "crates" / "vendor" / crate)
        context = Context(name, translation.signatures, typedefs, known, [])
        prelude = PRELUDES / f"{name}.h"
        writer = HeaderWriter(framework, translation.options, context)
        text = writer.write(["onestep_sdk/macros.h", *imports], prelude.read_text() if prelude.exists() else "")
        _write(target / name / f"{name}.h", text)
        sources.frameworks[name], skipped[name] = framework, context.skipped
        sources.translated.update(translation.signatures)
    _write(target / "onestep_sdk" / "macros.h", (PRELUDES / "macros.h").read_text())
    _write(cache / "skipped.json", json.dumps(skipped, indent=1) + "\n")
    return sources


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
