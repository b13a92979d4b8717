#!/usr/bin/env bash
# Everything that CI checks, from nothing: packages, release build, all tests, the unit tests and the
# fuzzers under the address and undefined-behaviour sanitizers, formatting. Ends with one summary.
#
# MESHPLAN_DATA=FOLDER makes the tests over recorded measurements run; they skip without it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs="$(nproc)"
if command -v ccache >/dev/null; then
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_NOHASHDIR=1
fi

summary=()
failed=false
# note NAME OUTCOME STARTED: one line of the summary.
note() { summary+=("$(printf '%-20s %-7s %4d s' "$1" "$2" "$((SECONDS - $3))")"); }
# step NAME COMMAND...: runs the command; false if it failed.
step() {
  local name="$1" started="$SECONDS"
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then
    note "$name" ok "$started"
  else
    note "$name" FAILED "$started"
    failed=true
    return 1
  fi
}

# checked PRESET [CONFIGURE ARGUMENT...]: configure, build, test.
checked() {
  local preset="$1"
  shift
  if step "configure $preset" cmake --preset "$preset" --log-level=NOTICE "$@" &&
    step "build $preset" cmake --build --preset "$preset" --parallel "$jobs"; then
    step "test $preset" ctest --preset "$preset" --parallel "$jobs" || true
  fi
}

formatted() {
  find cli kernels planner profiles runtime tests -regex '.*\.\(h\|cpp\|cu\|cuh\)' -print0 |
    xargs -0 clang-format --dry-run --Werror
}
scripts_clean() { shellcheck .ci/run cli/*.sh tests/*.sh tests/*/*.sh; }

if step install tests/install.sh; then
  checked release
  # The second compiler: clang takes half as long as GCC for instrumented code. Warnings are no
  # errors here. Line numbers in the reports, not whole debug information. The preset leaves out the
  # checks of every pointer for null, alignment and type: address sanitizer stops at a bad one anyway.
  checked asan -DCMAKE_CXX_FLAGS_DEBUG=-g1
  step format formatted || true
  step shellcheck scripts_clean || true
fi

printf '\n== summary\n'
printf '%s\n' "${summary[@]}"
if [[ -z "${MESHPLAN_DATA-}" ]]; then
  echo "MESHPLAN_DATA is not set: the tests over recorded measurements were skipped"
fi
if "$failed"; then
  echo "FAILED"
  exit 1
fi
echo "all passed in $SECONDS s"
