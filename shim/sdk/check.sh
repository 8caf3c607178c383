#!/bin/sh -e
# Compile the shim for macOS against headers generated from Apple's SDK metadata, and report.
# Needs clang-19, libc++-19-dev, python3 (3.9 or later) with venv, and cargo. The first run downloads
# about 110 MB; later runs are offline. Options and sources are passed on; see README.md.
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
cache=${ONESTEP_SDK_CACHE:-$here/../../target/sdk}
PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 exec python3 -m sdkgen --cache "$cache" "$@"
