"""C spellings of types: decoding of Objective-C type encodings, and insertion of names and nullability."""

import re

IDENTIFIER = re.compile(r"\b[A-Za-z_]\w*\b")

ENCODINGS = {
    "Q": "NSUInteger",
    "q": "NSInteger",
    "I": "uint32_t",
    "i": "int32_t",
    "S": "uint16_t",
    "s": "int16_t",
    "C": "uint8_t",
    "c": "int8_t",
    "L": "uint32_t",
    "l": "int32_t",
    "f": "float",
    "d": "double",
    "B": "BOOL",
    "Z": "BOOL",
    "v": "void",
    "@": "id",
    "#": "Class",
    ":": "SEL",
    "*": "char *",
}

# The language's own words, and the types that the prelude and the macOS headers declare.
BUILTIN = set(
    """void char short int long float double unsigned signed const id instancetype SEL Class BOOL bool
    struct enum __kindof _Nullable _Nonnull _Nullable_result _Null_unspecified NSObject NSInteger NSUInteger
    uint8_t uint16_t uint32_t uint64_t int8_t int16_t int32_t int64_t size_t uintptr_t intptr_t IMP Protocol
    va_list __strong __autoreleasing __unsafe_unretained __weak _NSZone kern_return_t
    dispatch_data_t dispatch_queue_t CGFloat CGPoint CGSize CGRect CGColorSpaceRef CGImageRef CFStringRef
    CFErrorRef CFTimeInterval IOSurfaceRef""".split()
)


def normalise(spelling: str) -> str:
    """The spelling that is used in headers, for one found in the metadata."""
    return re.sub(r"\b_Bool\b", "bool", spelling).removeprefix("enum ").strip()


def decode(encoding: str, start: int = 0) -> tuple:
    """Decode one type of an encoding; returns (C type, array suffix, index behind it).

    Raises `ValueError` for what is not decoded: bit fields, vectors and unions.
    """
    while encoding[start] in "rnNoORV":
        start += 1
    code = encoding[start]
    if encoding.startswith("@?", start):
        return "id", "", start + 2
    if code in ENCODINGS:
        return ENCODINGS[code], "", start + 1
    if encoding.startswith("^?", start):
        return "void *", "", start + 2
    if code == "^":
        pointee, _, end = decode(encoding, start + 1)
        return f"{pointee} *", "", end
    if code == "{":
        end = _closing(encoding, start)
        name = re.match(r"\{(\w+)", encoding[start:]).group(1)
        return name.removeprefix("_"), "", end + 1
    if code == "[":
        count = re.match(r"\[(\d+)", encoding[start:])
        element, suffix, end = decode(encoding, start + count.end())
        return element, f"[{count.group(1)}]{suffix}", end + 1
    raise ValueError(encoding[start:])


def _closing(encoding: str, start: int) -> int:
    depth = 0
    for position in range(start, len(encoding)):
        depth += (encoding[position] == "{") - (encoding[position] == "}")
        if depth == 0:
            return position
    raise ValueError(encoding[start:])


def with_name(spelling: str, name: str) -> str:
    """Declare `name` with this type: blocks and function pointers take it inside."""
    before, is_block, _ = spelling.partition("(^")
    if is_block and before.count("<") == before.count(">"):  # not a block within type arguments
        return re.sub(r"\(\^((?: _\w+)?)", lambda match: f"(^{match.group(1)} {name}", spelling, count=1)
    if "(*)" in spelling:
        return spelling.replace("(*)", f"(*{name})", 1)
    return f"{spelling} {name}"


def is_pointer(spelling: str, typedefs: dict) -> bool:
    """Whether nullability applies to this type, seen through `typedefs`."""
    bare = re.sub(r"\s*_N\w+$", "", spelling.strip())
    if bare.endswith("*") or bare.startswith("id<") or bare in ("id", "Class") or "(^" in bare:
        return True
    target = typedefs.get(bare)
    return target is not None and target != bare and is_pointer(target, typedefs)


def with_nullability(spelling: str, qualifier: str, typedefs: dict) -> str:
    """Add a nullability qualifier such as `_Nullable` to a pointer type that has none yet."""
    if not is_pointer(spelling, typedefs) or re.search(r"_N\w+\s*$", spelling):
        return spelling
    if "(^)" in spelling:
        return spelling.replace("(^)", f"(^ {qualifier})", 1)
    return f"{spelling} {qualifier}"
