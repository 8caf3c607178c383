"""Prove that the checks bite: every seeded mistake is found, and the control file has none."""

import re
from dataclasses import dataclass
from pathlib import Path

from . import signatures
from .clang import WARNINGS, Clang

SEEDED = Path(__file__).resolve().parent.parent / "seeded"
HEADERS = SEEDED / "headers"
_SEED = re.compile(r"// seed ([\w-]+): (.*)$")
_HEADER_SEED = re.compile(r"// seed (.*)$", re.M)


@dataclass
class Result:
    """How many mistakes were seeded, and what went wrong with finding them."""

    seeds: int
    complaints: list


def check_sources(clang: Clang) -> Result:
    """Compile `mistakes.mm` and `control.mm` with the options that the shim is compiled with."""
    mistakes = SEEDED / "mistakes.mm"
    found = {}
    for diagnostic in clang.diagnose(mistakes, WARNINGS):
        found.setdefault(diagnostic.line, []).append(diagnostic.text)
    seeds, complaints = 0, []
    for number, line in enumerate(mistakes.read_text().splitlines(), 1):
        match = _SEED.search(line)
        texts = found.pop(number, [])
        seeds += match is not None
        if match and not any(_is_of_group(text, match[1]) for text in texts):
            complaints.append(f"mistakes.mm:{number}: not found ({match[1]}: {match[2]}), only {texts}")
        if not match and texts:
            complaints.append(f"mistakes.mm:{number}: an error where no mistake is: {texts}")
    complaints += [f"mistakes.mm:{number}: {texts}" for number, texts in found.items()]
    control = clang.diagnose(SEEDED / "control.mm", WARNINGS)
    complaints += [f"control.mm:{diagnostic.line}: {diagnostic.text}" for diagnostic in control]
    return Result(seeds, complaints)


def _is_of_group(text: str, group: str) -> bool:
    return "[-W" not in text if group == "error" else text.endswith(f"[-Werror,-W{group}]")


def check_headers(sdk: signatures.Surface, written: signatures.Surface) -> Result:
    """Compare the headers in `seeded/headers`, read as `written`, with the SDK's."""
    text = "".join(path.read_text() for path in sorted(HEADERS.glob("**/*.h")))
    expected = [name for name in _HEADER_SEED.findall(text) if not name.startswith("NAME")]
    found = signatures.compare(sdk, written, [])
    complaints = []
    for name in expected:
        match = next((complaint for complaint in found if name in complaint), None)
        if match is None:
            complaints.append(f"seeded headers: not found: {name}")
        else:
            found.remove(match)
    complaints += [f"seeded headers: a complaint where no mistake is: {complaint}" for complaint in found]
    return Result(len(expected), complaints)
