"""Compare hand-written headers (the headless implementation's) with the generated ones.

Both are read by clang, for the same target and on the same Foundation, from its syntax tree. What the
hand-written headers declare must be declared by the SDK with the same types and values; and they must
declare everything that the shim uses.
"""

import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from .clang import Clang, language

IMPORTS = "#import <MetalPerformanceShadersGraph/MetalPerformanceShadersGraph.h>\n"
_COMPARED = re.compile(r"(MTL|MPS)\w*$")
_ANNOTATION = re.compile(r"\s*\b(?:_N(?:ullable|onnull|ullable_result|ull_unspecified)|NS_RETURNS_RETAINED)\b")


@dataclass
class Surface:
    """The declarations of a set of headers whose names begin with MTL or MPS."""

    methods: dict = field(default_factory=dict)
    parents: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)  # and global variables
    structs: dict = field(default_factory=dict)
    typedefs: dict = field(default_factory=dict)

    def ancestors(self, owner: str) -> set:
        """The class or protocol itself and all that it inherits from or adopts."""
        found, todo = set(), [owner]
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += self.parents.get(name, ())
        return found

    def expand(self, spelling: str) -> str:
        """A type with typedefs replaced and annotations removed, for comparison."""
        text = spelling
        for _ in range(8):
            expanded = re.sub(r"\b(?:MTL|MPS)\w+", lambda match: self.typedefs.get(match[0], match[0]), text)
            if expanded == text:
                break
            text = expanded
        return re.sub(r"\s+", "", _ANNOTATION.sub("", text).replace("struct ", ""))


def read(clang: Clang) -> Surface:
    """Let clang read the headers, and collect their declarations."""
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch, "headers.mm")
        source.write_text(IMPORTS)
        options = ["-w", "-fsyntax-only", "-Xclang", "-ast-dump=json"]
        done = clang.run([*language(source), *options, source])
    if done.returncode:
        raise RuntimeError(f"the headers do not compile:\n{done.stderr}")
    surface, records = Surface(), {}
    for node in _flatten(json.loads(done.stdout)["inner"]):
        _collect(surface, records, node)
    return surface


def _flatten(nodes: list):
    """Top-level declarations, those in `extern "C"` included."""
    for node in nodes:
        if node["kind"] == "LinkageSpecDecl":
            yield from _flatten(node.get("inner", []))
        else:
            yield node


def _collect(surface: Surface, records: dict, node: dict) -> None:
    kind, name, inner = node["kind"], node.get("name", ""), node.get("inner", [])
    if kind == "CXXRecordDecl":
        fields = [(child.get("name", ""), child["type"]["qualType"]) for child in inner if child["kind"] == "FieldDecl"]
        if fields:
            records[node["id"]] = fields
        return
    if kind == "EnumDecl":
        surface.values.update({key: value for key, value in _constants(inner) if _COMPARED.match(key)})
        return
    if kind == "ObjCCategoryDecl":
        name = node["interface"]["name"]
    if not _COMPARED.match(name):
        return
    if kind in ("ObjCInterfaceDecl", "ObjCProtocolDecl", "ObjCCategoryDecl"):
        _interface(surface, name, node)
    elif kind in ("FunctionDecl", "VarDecl"):
        type_ = node["type"]
        surface.functions[name] = type_.get("desugaredQualType", type_["qualType"])
    elif kind == "TypedefDecl":
        _typedef(surface, records, name, node)


def _interface(surface: Surface, name: str, node: dict) -> None:
    parents = surface.parents.setdefault(name, set())
    parents.update(
        parent["name"]
        for parent in [node.get("super"), *node.get("protocols", [])]
        if parent and "name" in parent  # a forward declaration has none
    )
    for child in node.get("inner", []):
        if child["kind"] == "ObjCMethodDecl":
            types = [inner["type"]["qualType"] for inner in child.get("inner", []) if inner["kind"] == "ParmVarDecl"]
            key = (name, "-" if child["instance"] else "+", child["name"])
            surface.methods[key] = (child["returnType"]["qualType"], *types)


def _typedef(surface: Surface, records: dict, name: str, node: dict) -> None:
    record = _record(node)
    if record in records:
        surface.structs[name] = records[record]
    elif record is None:
        surface.typedefs[name] = node["type"]["qualType"]


def _record(node: dict):
    """The id of the struct that a typedef names; None if it names something else, "" for an enum."""
    for child in node.get("inner", []):
        if "decl" in child and child["kind"] in ("RecordType", "EnumType"):
            return child["decl"]["id"] if child["kind"] == "RecordType" else ""
        if child["kind"] == "ElaboratedType":
            return _record(child)
    return None


def _constants(nodes: list):
    """Yield name and value of each enumerator."""
    value = -1
    for node in nodes:
        if node["kind"] == "EnumConstantDecl":
            stated = [child["value"] for child in node.get("inner", []) if "value" in child]
            value = int(stated[0]) if stated else value + 1
            yield node["name"], value


def compare(sdk: Surface, written: Surface, uses: list) -> list:
    """The differences, as sentences; none if the hand-written headers are true to the SDK."""
    complaints = []
    for (owner, sign, selector), types in written.methods.items():
        expected = _inherited(sdk, owner, sign, selector)
        if expected is None:
            complaints.append(f"{sign}[{owner} {selector}] is not in the SDK")
        elif _types(written, types) != _types(sdk, expected):
            complaints.append(
                f"{sign}[{owner} {selector}]: {' | '.join(_types(written, types))}, "
                f"in the SDK {' | '.join(_types(sdk, expected))}"
            )
    for owner, parents in written.parents.items():
        if unknown := {parent for parent in parents if parent not in sdk.ancestors(owner)}:
            complaints.append(f"{owner} inherits from {', '.join(sorted(unknown))}, in the SDK it does not")
    for name, value in written.values.items():
        if sdk.values.get(name) != value:
            complaints.append(f"{name} is {value}, in the SDK {sdk.values.get(name)}")
    for name, type_ in written.functions.items():
        if written.expand(type_) != sdk.expand(sdk.functions.get(name, "missing")):
            complaints.append(f"{name}: {type_}, in the SDK {sdk.functions.get(name, 'missing')}")
    for name, fields in written.structs.items():
        expected = [(field, sdk.expand(type_)) for field, type_ in sdk.structs.get(name, [])]
        if [(field, written.expand(type_)) for field, type_ in fields] != expected:
            complaints.append(f"struct {name}: {fields}, in the SDK {expected}")
    return complaints + [f"{use.label} is used and not declared" for use in uses if not _declares(sdk, written, use)]


def _types(surface: Surface, types: tuple) -> list:
    return [surface.expand(type_) for type_ in types]


def _inherited(sdk: Surface, owner: str, sign: str, selector: str):
    """The SDK's types of a method that `owner` declares or inherits; its own declaration comes first."""
    for name in [owner, *sorted(sdk.ancestors(owner))]:
        if (name, sign, selector) in sdk.methods:
            return sdk.methods[name, sign, selector]
    return None


def _declares(sdk: Surface, written: Surface, use) -> bool:
    if use.kind == "class":
        return use.name in written.parents
    if use.kind in ("function", "constant"):
        return use.name in written.functions or use.name in written.values
    return any(
        sign == use.kind
        and selector == use.name
        and (use.owner in sdk.ancestors(owner) or owner in sdk.ancestors(use.owner))
        for owner, sign, selector in written.methods
    )
