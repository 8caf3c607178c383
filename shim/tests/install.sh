#!/bin/sh
# What a program without Rust does: copies the headers alone, configures in the wrong way first, then
# rightly in the same folder, installs, moves the installation, and links with what pkg-config says.
#   shim/tests/install.sh FOLDER [cmake options]       the folder is emptied
set -eu
shim=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$1
shift
rm -rf "$work"
mkdir -p "$work/headers"
work=$(CDPATH='' cd -- "$work" && pwd)

fail() {
  echo "install.sh: $1" >&2
  exit 1
}

# Each header needs nothing beside it but onestep.h, in C and in C++.
cp "$shim"/include/*.h "$work/headers"
mkdir "$work/alone"
cp "$shim/include/onestep.h" "$work/alone"
for header in "$work/alone/onestep.h" "$work/headers/onestep_graph.h"; do
  cc -std=c11 -Wall -Wextra -Werror -pedantic -fsyntax-only -x c "$header"
  c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -x c++ "$header"
done

# A first try without the option is refused and leaves no compiler behind that the second trips over.
if [ "$(uname)" != Darwin ]; then
  if cmake -S "$shim" -B "$work/build" >"$work/first.txt" 2>&1; then
    fail "without -DONESTEP_HEADLESS=ON there is nothing to build here"
  fi
  grep -q 'ONESTEP_HEADLESS=ON' "$work/first.txt" || fail "the message names no option"
  set -- -DONESTEP_HEADLESS=ON "$@"
fi
cmake -S "$shim" -B "$work/build" -DCMAKE_BUILD_TYPE=Release "$@" >"$work/second.txt"
# The same again, and with the compiler named: nothing is configured anew with something missing.
compiler=$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$work/build/CMakeCache.txt")
cmake -S "$shim" -B "$work/build" ${compiler:+-DCMAKE_CXX_COMPILER="$compiler"} >"$work/third.txt" 2>&1
if grep -qi 'cache to be deleted' "$work/third.txt"; then fail "the build folder was configured anew"; fi
cmake --build "$work/build" --parallel >"$work/build.txt"
cmake --install "$work/build" --prefix "$work/first" >/dev/null

# The installation is found where it lies, and the program is made of installed files alone.
mv "$work/first" "$work/moved"
PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name onestep.pc)")
export PKG_CONFIG_PATH
for name in train_line classify; do
  cp "$shim/examples/$name.c" "$work/$name.c"
  # shellcheck disable=SC2046 # words are what is wanted
  cc -std=c11 "$work/$name.c" $(pkg-config --cflags --libs onestep) -lm -o "$work/$name"
  "$work/$name"
done
