"""Objective-C declarations of methods and properties."""

from dataclasses import dataclass

from . import spelling
from .metadata import Interface, Method, Property


@dataclass
class Context:
    """What the declarations of one framework are written with."""

    framework: str
    signatures: dict
    typedefs: dict
    known: set
    skipped: list

    def knows(self, *types: str) -> bool:
        """Whether all identifiers of these types are declared before this point."""
        return all(word in self.known for type_ in types for word in spelling.IDENTIFIER.findall(type_))


def mark(declaration: list, introduced: str, deprecated: str = "") -> str:
    """The macro that says what is declared (framework, kind, owner, name) and which systems have it."""
    versions = [f"introduced={introduced}"] if introduced else []
    versions += [f"deprecated={deprecated}"] if deprecated else []
    available = f" SDK_AVAILABLE({', '.join(versions)})" if versions else ""
    return f'SDK_DECLARATION("{"|".join([*declaration, introduced])}",{available})'


def members(interface: Interface, context: Context) -> list:
    """All members of a class or protocol, required ones first. Those with unknown types are skipped."""
    required, optional, seen = [], [], set()
    for prop in interface.properties:
        if line := _property(interface, prop, context, seen):
            (required if prop.required else optional).append(line)
    for method in interface.methods:
        if line := _method(interface, method, context, seen):
            (required if method.required else optional).append(line)
    return required + (["@optional", *optional] if optional else [])


def _property(owner: Interface, prop: Property, context: Context, seen: set) -> str:
    sign = "+" if prop.is_class else "-"
    type_ = spelling.normalise(prop.type)
    if (sign, prop.getter) in seen:
        return ""
    if not context.knows(type_):
        context.skipped.append(f"{owner.name}.{prop.name}: {type_}")
        return ""
    seen.update({(sign, prop.getter), (sign, prop.setter)})
    attributes = ["=".join(entry) if isinstance(entry, list) else entry for entry in prop.attributes]
    known = context.signatures.get((owner.name, prop.getter))
    may_be_nil = "weak" in attributes or (known is not None and known.result)
    is_plain = spelling.with_nullability(type_, "_Nullable", context.typedefs) != type_
    if may_be_nil and is_plain and "nullable" not in attributes:
        attributes.append("nullable")
    origin = mark([context.framework, sign, owner.name, prop.getter], prop.introduced, prop.deprecated)
    return f"@property ({', '.join(attributes)}) {spelling.with_name(type_, prop.name)} {origin};"


def _method(owner: Interface, method: Method, context: Context, seen: set) -> str:
    if (method.sign, method.selector) in seen:
        return ""
    seen.add((method.sign, method.selector))
    result = spelling.normalise(method.result)
    types = [spelling.normalise(argument.type) for argument in method.arguments]
    if not context.knows(result, *types):
        context.skipped.append(f"{method.sign}[{owner.name} {method.selector}]: {result} ({', '.join(types)})")
        return ""
    result, types = _with_nullability(owner, method, result, types, context)
    declaration = [context.framework, method.sign, owner.name, method.selector]
    origin = mark(declaration, method.introduced, method.deprecated)
    return f"{method.sign} ({result}){_selector(method, types)} {origin};"


def _with_nullability(owner: Interface, method: Method, result: str, types: list, context: Context) -> tuple:
    """Apply objc2's nullability. Where it has none, say so, which accepts nil and warns of nothing."""
    known = context.signatures.get((owner.name, method.selector))
    if known is None:
        unknown = "_Null_unspecified"
        types = [spelling.with_nullability(type_, unknown, context.typedefs) for type_ in types]
        return spelling.with_nullability(result, unknown, context.typedefs), types
    nullable = known.arguments + [True] * (len(types) - len(known.arguments))  # NSError ** became a Result
    types = [
        spelling.with_nullability(type_, "_Nullable", context.typedefs) if may_be_nil else type_
        for type_, may_be_nil in zip(types, nullable, strict=False)
    ]
    return spelling.with_nullability(result, "_Nullable", context.typedefs) if known.result else result, types


def _selector(method: Method, types: list) -> str:
    if not types:
        return method.selector
    parts = method.selector.split(":")
    pairs = zip(parts, types, method.arguments, strict=False)
    text = " ".join(f"{part}:({type_}){argument.name}" for part, type_, argument in pairs)
    return text + ", ..." if method.variadic else text
