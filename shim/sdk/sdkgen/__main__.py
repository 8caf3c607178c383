"""`python -m sdkgen`: fetch, generate, check, report. Exits with 1 if anything is wrong."""

import argparse
import json
import sys
from pathlib import Path

from . import clang, fetch, generate, seeded, signatures, usage
from .report import Report

SHIM = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    """Run the check and print the report and the complaints."""
    options = _options()
    fetch.fetch(options.cache)
    sources = generate.generate(options.cache)
    compiler = clang.find(options.cache, [SHIM / "include", SHIM / "src", SHIM])
    report = _check(options, compiler, sources)
    (options.cache / "report.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
    (options.cache / "report.txt").write_text(report.as_text())
    print(report.as_text(), end="")
    for complaint in report.complaints:
        print(f"error: {complaint}", file=sys.stderr)
    print(f"{'failed' if report.complaints else 'passed'}; see {options.cache}/report.{{txt,json}}")
    return 1 if report.complaints else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sdkgen", description=__doc__)
    parser.add_argument("--cache", type=lambda text: Path(text).resolve(), required=True, help="downloads and results")
    parser.add_argument("--no-headless", action="store_true", help="leave out the comparison of headless headers")
    parser.add_argument("sources", nargs="*", type=Path, help="default: all of the shim")
    options = parser.parse_args()
    options.sources = options.sources or _sources()
    return options


def _sources() -> list:
    """bridge.m, what it is made of, and the C examples."""
    patterns = ["src/*.mm", "src/*.cpp", "examples/*.c"]
    return [SHIM / "bridge.m", *[path for pattern in patterns for path in sorted(SHIM.glob(pattern))]]


def _check(options: argparse.Namespace, compiler: clang.Clang, sdk: generate.Sources) -> Report:
    seeds = seeded.check_sources(compiler)
    used = usage.collect(compiler, options.sources)
    report = Report(
        usage=used,
        seeds=seeds.seeds,
        unnoticed=len(seeds.complaints),
        sdk_selectors=sdk.selectors(),
        translated=sdk.translated,
        agreement=sdk.agreement(),
        runtime_selectors=usage.runtime_selectors(options.cache / "darwin" / "objc" / "NSObject.h"),
        complaints=seeds.complaints + used.complaints,
    )
    unverified = report.selectors()["unverified"]
    report.complaints += [f"selector {selector} is in no declaration of the SDK" for selector in unverified]
    _compare_headers(options, report)
    return report


def _compare_headers(options: argparse.Namespace, report: Report) -> None:
    """Compare the seeded and the headless headers with the SDK's; adds to the report."""
    sdk = signatures.read(clang.find(options.cache, []))
    seeds = seeded.check_headers(sdk, signatures.read(clang.find(options.cache, [seeded.HEADERS])))
    report.seeds += seeds.seeds
    report.unnoticed += len(seeds.complaints)
    report.complaints += seeds.complaints
    if options.no_headless:
        return
    written = signatures.read(clang.find(options.cache, [SHIM / "headless" / "include"]))
    uses = [use for use in sorted(report.usage.places) if use.framework != "Foundation"]
    found = signatures.compare(sdk, written, uses)
    report.complaints += [f"headless/include: {complaint}" for complaint in found]
    report.compared = (
        f"{len(written.methods)} methods, {len(written.values)} constants, {len(written.functions)} functions and "
        f"{len(written.structs)} structs compared with the SDK, {len(uses)} uses looked up: {len(found)} differences"
    )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (fetch.FetchError, RuntimeError) as error:
        sys.exit(f"error: {error}")
