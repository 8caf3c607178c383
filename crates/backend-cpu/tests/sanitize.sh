#!/usr/bin/env bash
# The kernels on drawn shapes under the address sanitizer, with any Rust: RUSTC_BOOTSTRAP lets a stable one
# take the flag. What is written or read beyond an operand or scratch memory ends the test.
#
#   crates/backend-cpu/tests/sanitize.sh [arguments of cargo test]
#
# By default some draws of each differential test, as ONESTEP_DRAWS says, and convolutions in strips.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target="$(rustc -vV | sed -n 's/^host: //p')"
linker="$(echo "$target" | tr 'a-z-' 'A-Z_')"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitized-cpu"
export RUSTC_BOOTSTRAP=1
# With --target, these flags are kept away from build scripts and procedural macros.
export "CARGO_TARGET_${linker}_RUSTFLAGS=-Zsanitizer=address"
# Stores to a task's own stack are told by their address: frames must lie on the stack.
export ASAN_OPTIONS="detect_stack_use_after_return=0:${ASAN_OPTIONS:-}"
export ONESTEP_DRAWS="${ONESTEP_DRAWS:-60}"
if [ "$#" -eq 0 ]; then set -- --lib -- differential strips; fi
# A sanitized build needs no optimisation beyond the first level, which takes a third of the time to compile.
cargo test -p onestep-backend-cpu --target "$target" \
  --config 'profile.dev.package.onestep-backend-cpu.opt-level=1' "$@"
