"""The metadata of one framework, as PyObjC scraped it from Apple's SDK (`.fwinfo`: JSON after // lines)."""

import json
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Argument:
    """One argument of a method or function; `type` is spelled as in the SDK, without most nullability."""

    name: str
    type: str


@dataclass
class Method:
    """A method; `introduced` is the first macOS with it ("" where the SDK states none)."""

    selector: str
    is_class: bool
    result: str
    arguments: list
    required: bool = True
    variadic: bool = False
    introduced: str = ""
    deprecated: str = ""

    @property
    def sign(self) -> str:
        """`+` or `-`."""
        return "+" if self.is_class else "-"


@dataclass
class Property:
    """A declared property; availability and requiredness are those of its getter."""

    name: str
    type: str
    attributes: list
    getter: str
    setter: str
    is_class: bool
    required: bool = True
    introduced: str = ""
    deprecated: str = ""


@dataclass
class Interface:
    """A class or a protocol. `parents` are the protocols it adopts."""

    name: str
    is_protocol: bool
    superclass: str
    parents: list
    parameters: list
    methods: list = field(default_factory=list)
    properties: list = field(default_factory=list)

    @property
    def introduced(self) -> str:
        """The first macOS that has any of its members; "" if some member states none."""
        versions = [method.introduced for method in self.methods]
        return min(versions, key=version_key) if versions and all(versions) else ""


@dataclass
class Framework:
    """Everything that one `.fwinfo` file declares; enums, structs and functions stay as JSON."""

    name: str
    classes: dict
    protocols: dict
    definitions: dict


def version_key(version: str) -> tuple:
    """A sort key for versions such as "13.0" and "10.15.4"; "" sorts first."""
    return tuple(int(part) for part in version.split(".") if part)


def load(path: Path, name: str) -> Framework:
    """Read the metadata file at `path`."""
    lines = path.read_text().splitlines()
    definitions = json.loads("\n".join(line for line in lines if not line.startswith("//")))["definitions"]
    classes = {key: _interface(key, value, False) for key, value in definitions["classes"].items()}
    protocols = {key: _interface(key, value, True) for key, value in definitions["formal_protocols"].items()}
    return Framework(name, classes, protocols, definitions)


def _interface(name: str, raw: dict, is_protocol: bool) -> Interface:
    methods = [_method(entry) for entry in raw["methods"] if entry["visibility"] == "public"]
    getters = {(method.is_class, method.selector): method for method in methods}
    return Interface(
        name=name,
        is_protocol=is_protocol,
        superclass=raw.get("super") or "",
        parents=raw["implements"] if is_protocol else raw.get("protocols", []),
        parameters=raw.get("template_parameters", []),
        methods=methods,
        properties=[_property(entry, getters) for entry in raw["properties"]],
    )


def _version(value) -> str:
    """A version as text; PyObjC writes 100000 for "deprecated some day"."""
    return "" if value is None or (str(value).startswith("100") and len(str(value)) > 5) else str(value)


def _method(raw: dict) -> Method:
    return Method(
        selector=raw["selector"],
        is_class=raw["class_method"],
        result=raw["retval"]["type_name"],
        arguments=[
            Argument(entry["name"] or f"argument{i}", entry["type_name"]) for i, entry in enumerate(raw["args"])
        ],
        required=raw.get("required", True),
        variadic=raw.get("variadic", False),
        introduced=_version(raw.get("introduced")),
        deprecated=_version(raw.get("deprecated")),
    )


def _property(raw: dict, getters: dict) -> Property:
    attributes = list(raw["attributes"])
    named = dict(entry for entry in attributes if isinstance(entry, list))
    name, is_class = raw["name"], "class" in attributes
    getter = getters.get((is_class, named.get("getter", name)))
    return Property(
        name=name,
        type=raw["type_name"],
        attributes=attributes,
        getter=named.get("getter", name),
        setter=named.get("setter", f"set{name[0].upper()}{name[1:]}:"),
        is_class=is_class,
        required=getter.required if getter else True,
        introduced=getter.introduced if getter else "",
        deprecated=getter.deprecated if getter else "",
    )
