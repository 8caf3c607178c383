"""The report: what the shim uses, whether the SDK's metadata has it, since which macOS, and what is guarded."""

from collections import Counter
from dataclasses import dataclass, field

from .clang import DEPLOYMENT_TARGET
from .metadata import version_key
from .usage import Usage, Use


@dataclass
class Report:
    """Everything that the check found; `complaints` is empty if it passes."""

    usage: Usage
    seeds: int
    unnoticed: int
    sdk_selectors: set
    translated: set
    agreement: str
    runtime_selectors: set
    compared: str = "not compared"
    complaints: list = field(default_factory=list)

    def methods(self) -> list:
        """The methods in use, each verified, since the census only knows what the metadata declares."""
        return sorted(use for use in self.usage.places if use.kind in "+-")

    def unconfirmed(self) -> list:
        """Methods of Metal and MPS in use that the second source, objc2, lacks."""
        return [use for use in self.methods() if use.framework != "Foundation" and not self._is_translated(use)]

    def _is_translated(self, use: Use) -> bool:
        return (use.owner, use.name) in self.translated

    def newer(self) -> list:
        """Uses that the deployment target lacks; the compiler has found each of them guarded."""
        target = version_key(DEPLOYMENT_TARGET)
        return sorted(use for use in self.usage.places if version_key(use.introduced) > target)

    def selectors(self) -> dict:
        """Every selector that the compiled shim refers to, by what vouches for it."""
        census = {use.name for use in self.methods()}
        groups = {"metadata": [], "runtime": [], "compiler": [], "own": [], "unverified": []}
        for selector in sorted(self.usage.selectors):
            groups[self._voucher(selector, census)].append(selector)
        return groups

    def _voucher(self, selector: str, census: set) -> str:
        if selector in census:
            return "metadata"
        if selector in self.runtime_selectors:
            return "runtime"
        if selector in self.sdk_selectors:
            return "compiler"
        return "own" if selector in self.usage.defined else "unverified"

    def as_json(self) -> dict:
        """The whole report as plain data."""
        return {
            "deployment_target": DEPLOYMENT_TARGET,
            "sources": self.usage.sources,
            "seeded_mistakes": self.seeds,
            "seeded_mistakes_unnoticed": self.unnoticed,
            "declarations": [self._declaration(use) for use in sorted(self.usage.places)],
            "selectors": self.selectors(),
            "newer_than_target_and_guarded": [use.label for use in self.newer()],
            "methods_in_both_sources": self.agreement,
            "not_in_objc2": [use.label for use in self.unconfirmed()],
            "headless_headers": self.compared,
            "complaints": self.complaints,
        }

    def _declaration(self, use: Use) -> dict:
        return {
            "framework": use.framework,
            "declaration": use.label,
            "introduced": use.introduced,
            "places": sorted(self.usage.places[use]),
        }

    def as_text(self) -> str:
        """The report to read: totals, then each method with its version."""
        selectors = self.selectors()
        methods, kinds = self.methods(), Counter(use.kind for use in self.usage.places)
        total = sum(map(len, selectors.values()))
        verified = total - len(selectors["own"]) - len(selectors["unverified"])
        unconfirmed = ", ".join(use.label for use in self.unconfirmed())
        lines = [
            f"sources that compile for arm64-apple-macos{DEPLOYMENT_TARGET}: {len(self.usage.sources)}",
            f"seeded mistakes: {self.seeds}; unnoticed or misplaced: {self.unnoticed}",
            f"selectors that the compiled shim sends: {total}; verified {verified} "
            f"({len(selectors['metadata'])} called and in the metadata, {len(selectors['runtime'])} in Apple's "
            f"objc/NSObject.h, {len(selectors['compiler'])} sent by the compiler for literals, loops and properties), "
            f"the shim's own {len(selectors['own'])}, unverified {len(selectors['unverified'])}",
            f"declarations used: {kinds['class']} classes, {len(methods)} methods, {kinds['function']} functions, "
            f"{kinds['constant']} constants",
            f"methods that metadata and objc2 both have: {self.agreement}",
            f"of those in use, methods of Metal and MPS that the second source (objc2) lacks: {unconfirmed or 'none'}",
            f"newer than macOS {DEPLOYMENT_TARGET}, each guarded: {len(self.newer())}",
            *[
                f"    {use.introduced:8} {use.label}  ({', '.join(sorted(self.usage.places[use]))})"
                for use in self.newer()
            ],
            f"headless headers: {self.compared}",
            "methods by the macOS that introduced them (unstated: the SDK gives no version):",
        ]
        lines += [f"    {use.introduced or 'unstated':8} {use.framework} {use.label}" for use in _by_version(methods)]
        return "\n".join(lines) + "\n"


def _by_version(uses: list) -> list:
    return sorted(uses, key=lambda use: (version_key(use.introduced), use))
