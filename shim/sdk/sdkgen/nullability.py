"""Nullability and NS_OPTIONS, read from the generated Rust sources of the objc2 crates.

The SDK metadata says which types a method takes, but not which of them may be nil. The objc2 crates,
translated from the same headers, do: an optional pointer is `Option<&T>`, and a raw pointer or block
says nothing.
"""

import re
from dataclasses import dataclass
from pathlib import Path

OPENING, CLOSING = "(<[", ")>]"
_OPTIONS = re.compile(r"// NS_OPTIONS\n.*?pub struct (\w+)", re.S)
_OWNER = re.compile(r"(?:unsafe )?impl(?:<.*?>)? (\w+)|\s*pub (?:unsafe )?trait (\w+)")
_SELECTOR = re.compile(r"unsafe\(method\(([^)]*)\)\)")
_FUNCTION = re.compile(r"\s*(?:pub )?(?:unsafe )?fn ")
_RECEIVER = re.compile(r"&self|&mut self|this\b|mtm\b")


@dataclass
class Signature:
    """Which arguments of a method, and whether its result, may be nil."""

    arguments: list
    result: bool


@dataclass
class Translation:
    """What one objc2 crate knows: signatures by (owner, selector), and the names of option sets."""

    signatures: dict
    options: set


def load(crate: Path) -> Translation:
    """Read `src/generated` of an unpacked objc2 crate."""
    translation = Translation({}, set())
    for path in sorted(crate.glob("src/generated/**/*.rs")):
        text = path.read_text()
        translation.options.update(_OPTIONS.findall(text))
        for owner, selector, declaration in _methods(text):
            returns_error = selector.endswith(":_")
            key = (owner, selector.removesuffix("_") if returns_error else selector)
            translation.signatures[key] = _signature(declaration, returns_error)
    return translation


def _methods(text: str):
    """Yield (owner, selector, Rust declaration up to its semicolon) for each method in a source file."""
    owner = selector = declaration = None
    for line in text.splitlines():
        if match := _OWNER.match(line):
            owner = match.group(1) or match.group(2)
        if match := _SELECTOR.search(line):
            selector = match.group(1)
            continue
        if declaration is None and selector and _FUNCTION.match(line):
            declaration = ""
        if declaration is not None:
            declaration += line.strip() + " "
            if line.rstrip().endswith(";"):
                yield owner, selector, declaration
                selector = declaration = None


def _signature(declaration: str, returns_error: bool) -> Signature:
    """The nullability of one Rust method; one that returns a Result may return nil with its error."""
    arguments, result = _split(declaration)
    types = [argument.split(":", 1)[-1].strip() for argument in arguments if not _RECEIVER.match(argument)]
    nullable = [type_.startswith(("Option<", "*mut ", "*const ")) for type_ in types]
    return Signature(nullable, returns_error or result.startswith(("Option<", "*")))


def _split(declaration: str) -> tuple:
    """Split `fn name(a: A, b: B) -> R;` into its arguments and its result type."""
    start = declaration.index("(")
    depth, current, arguments = 0, "", []
    for position in range(start, len(declaration)):
        character = declaration[position]
        if character in OPENING:
            depth += 1
        elif character in CLOSING and not declaration.endswith("-", 0, position):
            depth -= 1
        if depth == 0:
            break
        if character == "," and depth == 1:
            arguments.append(current.strip())
            current = ""
        elif position > start:
            current += character
    arguments.append(current.strip())
    result = declaration[position + 1 :].strip().removeprefix("->").strip(" ;")
    return [argument for argument in arguments if argument], result
