#!/usr/bin/env bash
# The headless tests under the address, leak and undefined-behaviour sanitizers, with a stable Rust:
# clang compiles the shim with them and links their runtime.
#
#   crates/backend-metal/tests/sanitize.sh [arguments of cargo test]
#
# By default all tests of the executor but the long ones; name a test to run that.
set -euo pipefail
root="$(cd "$(dirname "$0")/../../.." && pwd)"
cd "$root"

target="$(rustc -vV | sed -n 's/^host: //p')"
linker="$(echo "$target" | tr 'a-z-' 'A-Z_')"
cxx="${ONESTEP_CXX:-clang++-19}"
sanitizers="-fsanitize=address,undefined"

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}/sanitized"
# What a null object is asked gives zero, and the runtime's own structures are what they are: the
# check of C++ object types does not fit Objective-C.
export ONESTEP_HEADLESS_FLAGS="$sanitizers -fno-sanitize=vptr -fno-omit-frame-pointer \
-fno-sanitize-recover=undefined -g"
# With --target, these flags are kept away from build scripts.
export "CARGO_TARGET_${linker}_RUSTFLAGS=-Clinker=$cxx -Clink-arg=$sanitizers -Clink-arg=-fuse-ld=lld"
export ASAN_OPTIONS="fast_unwind_on_malloc=0:detect_stack_use_after_return=1:${ASAN_OPTIONS:-}"
export LSAN_OPTIONS="suppressions=$root/shim/headless/tests/leaks.txt:print_suppressions=0"
export UBSAN_OPTIONS="print_stacktrace=1"
symbolizer="$(command -v llvm-symbolizer-19 || command -v llvm-symbolizer || true)"
if [ -n "$symbolizer" ]; then
  export ASAN_SYMBOLIZER_PATH="$symbolizer"
fi

if [ "$#" -eq 0 ]; then
  set -- --test steps --test steady_state --test faults
fi
exec cargo test --target "$target" -p onestep-backend-metal --features headless "$@"
