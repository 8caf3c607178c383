#!/bin/sh
# Compiles every file of sources.txt with the flags of flags.txt and joins them in one object.
# usage: build.sh OUT.o [EXTRA FLAGS]    (CXX chooses the compiler)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$1
shift
CXX=${CXX:-clang++-19}
flags=$(sed -e "s|@HEADLESS@|$here|" -e "s|@GCC_INCLUDE@|$(gcc -print-file-name=include)|" "$here/flags.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
objects=
for source in $(cat "$here/sources.txt"); do
  object=$work/$(echo "$source" | tr / _).o
  # shellcheck disable=SC2086
  $CXX $flags -O2 -g -fPIC -Wall -Wextra "$@" -c "$here/$source" -o "$object"
  objects="$objects $object"
done
# shellcheck disable=SC2086
ld -r -o "$out" $objects
