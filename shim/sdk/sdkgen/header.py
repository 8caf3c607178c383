"""Write one framework's umbrella header from its metadata."""

import re

from . import spelling
from .members import Context, mark, members
from .metadata import Framework, Interface

PREAMBLE = """\
// Generated from the metadata of the macOS SDK by shim/sdk. Do not edit.
#pragma once
{imports}
{prelude}
#pragma clang assume_nonnull begin
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wnullability-completeness"
#pragma clang diagnostic ignored "-Wobjc-property-no-attribute"
#pragma clang diagnostic ignored "-Wavailability"
"""
POSTAMBLE = "#pragma clang diagnostic pop\n#pragma clang assume_nonnull end\n"

# Functions whose result type the metadata gives only as `id`.
RESULTS = {
    "MTLCreateSystemDefaultDevice": "id<MTLDevice> _Nullable",
    "MTLCopyAllDevices": "NSArray<id<MTLDevice>> *",
}


class HeaderWriter:
    """Collects the lines of one header; `context.known` grows as names are declared."""

    def __init__(self, framework: Framework, options: set, context: Context):
        self.framework = framework
        self.options = options
        self.context = context
        self.imported = set(context.known)
        self.lines = []

    def write(self, imports: list, prelude: str) -> str:
        """The whole header."""
        self._enums()
        self._forward_declarations()
        self._structs()
        self._typedefs()
        self._interfaces(self.framework.protocols, self._protocol)
        self._interfaces(self.framework.classes, self._class)
        self._functions()
        self._constants()
        preamble = PREAMBLE.format(imports="\n".join(f"#import <{name}>" for name in imports), prelude=prelude)
        return preamble + "\n".join(self.lines) + "\n" + POSTAMBLE

    def _mark(self, kind: str, owner: str, name: str, raw: dict) -> str:
        return mark([self.framework.name, kind, owner, name], str(raw.get("introduced") or ""))

    def _enums(self) -> None:
        constants, aliases = {}, {}
        for name, raw in self.framework.definitions["enum"].items():
            constants.setdefault(raw.get("enum"), []).append((name, raw["value"]))
        for alias, name in self.framework.definitions["aliases"].items():
            if alias not in self.framework.definitions["enum"]:
                aliases.setdefault(name, []).append((alias, name))
        for enum, raw in sorted(self.framework.definitions["enum_type"].items()):
            values = constants.get(enum, [])
            values = values + [alias for name, _ in values for alias in aliases.get(name, [])]
            macro = "SDK_OPTIONS" if enum in self.options else "SDK_ENUM"
            self._enum(f"{macro}({spelling.ENCODINGS[raw['type']]}, {enum})", enum, values)
            self.context.known.add(enum)
        self._enum("enum", "", [(name, value) for name, value in constants.get(None, []) if isinstance(value, int)])

    def _enum(self, head: str, owner: str, values: list) -> None:
        if not values:
            return
        lines = []
        for name, value in values:
            suffix = "UL" if isinstance(value, int) and value >= 2**63 else ""
            lines.append(f"    {name} {self._mark('constant', owner, name, {})} = {value}{suffix},")
        self.lines.append("\n".join([head + " {", *lines, "};"]))

    def _forward_declarations(self) -> None:
        for name, interface in sorted(self.framework.classes.items()):
            if name not in self.imported:
                self.lines.append(f"@class {name}{_parameters(interface, True)};")
                self.context.known.add(name)
        for name in sorted(self.framework.protocols):
            self.lines.append(f"@protocol {name};")
            self.context.known.add(name)

    def _structs(self) -> None:
        """Declare structs once their fields' types are known; bit fields and vectors are left out."""
        todo = {}
        for name, raw in self.framework.definitions["structs"].items():
            try:
                todo[name] = _struct(raw)
            except ValueError:
                self.context.skipped.append(f"struct {name}: {raw['typestr']}")
        self._until_settled(todo, self._struct)

    def _until_settled(self, todo: dict, declare) -> None:
        """Call `declare` for each entry until none can be declared any more; note those left over."""
        progress = True
        while progress:
            done = [name for name, value in todo.items() if declare(name, value)]
            progress = bool(done)
            for name in done:
                del todo[name]
        self.context.skipped += [f"{name}: {value}" for name, value in todo.items()]

    def _struct(self, name: str, value: tuple) -> bool:
        tag, fields = value
        if not self.context.knows(*[type_ for type_, _, _ in fields]):
            return False
        text = " ".join(f"{type_} {field}{suffix};" for type_, field, suffix in fields)
        if name not in self.context.known:
            self.lines.append(f"typedef struct {tag} {f'{{ {text} }} ' if fields else ''}{name};")
        self.context.known.update({name, tag})
        return True

    def _typedefs(self) -> None:
        todo = {
            name: spelling.normalise(type_)
            for name, type_ in self.framework.definitions["typedefs"].items()
            if name not in self.context.known and not re.match(r"(struct|enum) ", type_)
        }
        self._until_settled(todo, self._typedef)

    def _typedef(self, name: str, type_: str) -> bool:
        if re.match(r"^\w+ \((?![\^*])", type_) or not self.context.knows(type_):
            return False
        self.lines.append(f"typedef {spelling.with_name(type_, name)};")
        self.context.known.add(name)
        self.context.typedefs[name] = type_
        return True

    def _interfaces(self, interfaces: dict, declare) -> None:
        """Declare classes or protocols, each behind its parents of the same framework."""
        done = set()

        def visit(name: str) -> None:
            if name in interfaces and name not in done:
                done.add(name)
                for parent in [interfaces[name].superclass, *interfaces[name].parents]:
                    visit(parent)
                declare(interfaces[name])

        for name in interfaces:
            visit(name)

    def _adopted(self, interface: Interface) -> str:
        names = [name for name in interface.parents if name in self.context.known or name == "NSObject"]
        return f" <{', '.join(names)}>" if names else ""

    def _protocol(self, protocol: Interface) -> None:
        self.lines.append(f"@protocol {protocol.name}{self._adopted(protocol)}")
        self.lines += members(protocol, self.context)
        self.lines.append("@end")

    def _class(self, interface: Interface) -> None:
        if interface.name == "NSObject":  # objc/NSObject.h has it; the metadata has only informal protocols
            return
        superclass = interface.superclass or "NSObject"
        parent = self.framework.classes.get(superclass)
        if parent is None and superclass not in self.context.known:
            superclass = "NSObject"
        arguments = _parameters(interface, False) if parent and parent.parameters and interface.parameters else ""
        head = f"{interface.name}{_parameters(interface, True)} : {superclass}{arguments}{self._adopted(interface)}"
        available = self._mark("class", "", interface.name, {"introduced": interface.introduced}) + " "
        if interface.name in self.imported:
            head, available = f"{interface.name} ({self.framework.name})", ""
        self.lines.append(f"{available}@interface {head}")
        context = self.context
        inner = Context(
            context.framework,
            context.signatures,
            {**context.typedefs, **dict.fromkeys(interface.parameters, "id")},
            context.known | set(interface.parameters),
            context.skipped,
        )
        self.lines += [*members(interface, inner), "@end"]

    def _functions(self) -> None:
        for name, raw in self.framework.definitions["functions"].items():
            try:
                result = RESULTS.get(name) or _type_of(raw["retval"])
                arguments = _arguments(raw)
            except ValueError:
                self.context.skipped.append(f"function {name}")
                continue
            if not self.context.knows(result, *[type_ for type_, _ in arguments]):
                self.context.skipped.append(f"function {name}: {result} {arguments}")
                continue
            text = ", ".join(spelling.with_name(type_, argument) for type_, argument in arguments) or "void"
            text += ", ..." if raw.get("variadic") else ""
            retained = raw["retval"].get("already_cfretained") and result.startswith(("id", "NS"))
            owned = " __attribute__((ns_returns_retained))" if retained else ""
            self.lines.append(f"SDK_EXTERN {result} {name}({text}){owned} {self._mark('function', '', name, raw)};")

    def _constants(self) -> None:
        for name, raw in self.framework.definitions["externs"].items():
            type_ = spelling.normalise(raw.get("type_name") or "")
            if type_ and self.context.knows(type_):
                self.lines.append(f"SDK_EXTERN {type_} {name} {self._mark('constant', '', name, raw)};")


def _parameters(interface: Interface, declared: bool) -> str:
    """The type parameters of a generic class; immutable collections are covariant, as in the SDK."""
    if not interface.parameters:
        return ""
    covariant = "__covariant " if declared and "Mutable" not in interface.name else ""
    return "<" + ", ".join(covariant + name for name in interface.parameters) + ">"


def _struct(raw: dict) -> tuple:
    """The tag and the fields (type, name, array suffix) of a struct."""
    head = re.match(r"\{(\w+)=?", raw["typestr"])
    position, fields = head.end(), []
    if not raw["fieldnames"] and raw["typestr"][position] != "}":
        raise ValueError(raw["typestr"])  # fields without names: a union, or another struct's typedef
    for field in raw["fieldnames"]:
        type_, suffix, position = spelling.decode(raw["typestr"], position)
        fields.append((type_, field, suffix))
    return head.group(1), fields


def _arguments(raw: dict) -> list:
    """The types and names of a function's arguments; the metadata writes one `v` for none."""
    return [
        (_type_of(entry), entry.get("name") or f"argument{i}")
        for i, entry in enumerate(raw["args"])
        if entry["typestr"] != "v"
    ]


def _type_of(entry: dict) -> str:
    return spelling.normalise(entry["type_name"]) if "type_name" in entry else spelling.decode(entry["typestr"])[0]
